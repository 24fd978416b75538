import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { putMachine, recordOf } from '../../test/framework/machine-library.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { nameOf, readEntries } from './entries.ts';

const entryOf = async (library: string, slug: string) =>
  (await readEntries(library)).find(({ folder }) => path.basename(folder) === slug);

describe('entries of a library', () => {
  it('are sorted by name; hidden folders and files are none', async () => {
    const library = temporaryFolder();
    putMachine(library, 'b', { name: 'node 10' });
    putMachine(library, 'a', { name: 'node 9' });
    putMachine(library, 'c', { name: 'Älter' });
    putMachine(library, '.new-1-2', { name: 'unfinished' });
    writeFileSync(path.join(library, 'notes.txt'), '');
    expect((await readEntries(library)).map(nameOf)).toEqual(['Älter', 'node 9', 'node 10']);
  });

  it('of a library that does not exist there are none; of one that is a file it is said', async () => {
    const folder = temporaryFolder();
    expect(await readEntries(path.join(folder, 'none'))).toEqual([]);
    writeFileSync(path.join(folder, 'file'), '');
    await expect(readEntries(path.join(folder, 'file'))).rejects.toMatchObject({ kind: 'missing' });
  });

  const record = recordOf({});
  it.each<[string, unknown, string]>([
    ['no JSON', '{', 'not JSON'],
    ['not UTF-8', Buffer.from([0xff, 0xfe, 0x7b]), 'not JSON'],
    ['null', 'null', 'not valid'],
    ['a list', '[]', 'not valid'],
    ['empty', '', 'not JSON'],
    ['nothing in it', {}, 'not valid'],
    ['identity that is a path', { ...record, id: '../../../../../../../../etc/pass' }, 'id'],
    ['disk outside', { ...record, disks: [{ file: '../a', format: 'raw', mode: 'persistent' }] }, 'disks.0.file'],
    ['absolute disk', { ...record, disks: [{ file: '/etc/passwd', format: 'raw', mode: 'readonly' }] }, 'disks.0.file'],
    ['Windows disk', { ...record, disks: [{ file: 'C:\\x', format: 'raw', mode: 'readonly' }] }, 'disks.0.file'],
    ['format to be guessed', { ...record, disks: [{ file: 'disks/a', format: 'auto', mode: 'readonly' }] }, 'format'],
    ['1000 disks', { ...record, disks: Array.from({ length: 1000 }, () => ({})) }, 'disks'],
    ['too much memory', { ...record, memory: 2 ** 40 }, 'memory'],
    ['odd memory', { ...record, memory: 2 ** 28 + 1 }, 'memory'],
    ['no name', { ...record, name: '  ' }, 'name'],
    ['escape sequence as name', { ...record, name: '\u001b[2J' }, 'name'],
    ['name without end', { ...record, name: 'x'.repeat(1_000_000) }, 'name'],
    ['boot of another kind', { ...record, boot: { kind: 'network' } }, 'boot'],
    ['zero byte', { ...record, boot: { kind: 'files', kernel: '/bin/a\0b' } }, 'boot.kernel'],
  ])('a broken machine.json is told: %s', async (_, content, reason) => {
    const library = temporaryFolder();
    putMachine(library, 'good');
    const folder = putMachine(library, 'bad');
    const text = typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content);
    writeFileSync(path.join(folder, 'machine.json'), text);
    const entries = await readEntries(library);
    expect(entries.map(({ kind }) => kind)).toEqual(['broken', 'machine']);
    const [bad] = entries;
    if (bad?.kind !== 'broken') throw new Error('not broken');
    expect(bad.problem).toMatchObject({ kind: 'corrupt', context: { path: path.join(folder, 'machine.json') } });
    expect(bad.problem.message).toContain(reason);
    expect(bad.problem.message.length).toBeLessThan(400);
  });

  it('what stands in the place of machine.json cannot hurt', async () => {
    const library = temporaryFolder();
    const place = (slug: string) => {
      mkdirSync(path.join(library, slug));
      return path.join(library, slug, 'machine.json');
    };
    spawnSync('mkfifo', [place('pipe')]);
    mkdirSync(place('folder'));
    symlinkSync('/etc/hostname', place('link'));
    symlinkSync('machine.json', place('circle'));
    place('nothing');
    const huge = place('huge');
    writeFileSync(huge, '');
    spawnSync('truncate', ['-s', '10G', huge]);
    symlinkSync('nowhere', path.join(library, 'dangling'));
    const kinds = (await readEntries(library)).map(entry => [
      path.basename(entry.folder),
      entry.kind === 'broken' ? entry.problem.kind : 'fine',
    ]);
    expect(kinds).toEqual([
      ['circle', 'unsupported'],
      ['folder', 'unsupported'],
      ['huge', 'too-large'],
      ['link', 'unsupported'],
      ['nothing', 'missing'],
      ['pipe', 'unsupported'],
    ]);
  });

  it('a machine may be a link to a folder elsewhere', async () => {
    const [library, elsewhere] = [temporaryFolder(), temporaryFolder()];
    symlinkSync(putMachine(elsewhere, 'far'), path.join(library, 'near'));
    expect(await readEntries(library)).toMatchObject([{ kind: 'machine', record: { name: 'far' } }]);
  });

  it('a copy made by hand is the same machine twice, which is said', async () => {
    const library = temporaryFolder();
    const folder = putMachine(library, 'one');
    cpSync(folder, path.join(library, 'two'), { recursive: true });
    expect(await entryOf(library, 'one')).toMatchObject({ kind: 'machine' });
    expect(await entryOf(library, 'two')).toMatchObject({
      kind: 'broken',
      problem: { kind: 'state', message: expect.stringContaining("copy of the folder 'one'") },
    });
    rmSync(folder, { recursive: true });
    expect(await entryOf(library, 'two')).toMatchObject({ kind: 'machine' });
  });

  it('sockets of processes that are gone, or answer nonsense, are no running machines', async () => {
    const library = temporaryFolder();
    const stale = path.join(putMachine(library, 'stale'), 'control.sock');
    const server = createServer();
    await new Promise<void>(resolve => server.listen(`${stale}-there`, resolve));
    renameSync(`${stale}-there`, stale);
    await new Promise(resolve => server.close(resolve));
    const strange = createServer(socket => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    onTestFinished(() => void strange.close());
    await new Promise<void>(resolve =>
      strange.listen(path.join(putMachine(library, 'strange'), 'control.sock'), resolve),
    );
    writeFileSync(path.join(putMachine(library, 'file'), 'control.sock'), 'no socket');
    for (const entry of await readEntries(library)) expect(entry).toMatchObject({ status: { state: 'off' } });
  });

  it('a process that never answers does not keep the others from being listed', async () => {
    const library = temporaryFolder();
    putMachine(library, 'good');
    const silent = createServer(() => {});
    onTestFinished(() => void silent.close());
    await new Promise<void>(resolve =>
      silent.listen(path.join(putMachine(library, 'silent'), 'control.sock'), resolve),
    );
    expect(await readEntries(library)).toMatchObject([
      { kind: 'machine', record: { name: 'good' } },
      { kind: 'broken', problem: { kind: 'io', message: expect.stringContaining('does not answer') } },
    ]);
  });

  it('200 machines are listed in the time of a few', async () => {
    const library = temporaryFolder();
    for (let number = 0; number < 200; number++) putMachine(library, `machine-${number}`);
    await readEntries(library);
    const before = process.cpuUsage();
    expect(await readEntries(library)).toHaveLength(200);
    const { user, system } = process.cpuUsage(before);
    // Time of the processor, which other tests do not take from us. About 40 ms; a process each would take 20 s.
    expect((user + system) / 1000).toBeLessThan(1000);
  });
});
