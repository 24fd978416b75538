import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { killedInTheEnd, putMachine, smallKernel } from '../../test/framework/machine-library.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { controlAddress } from './control-address.ts';
import { startWithNode, wordsOf } from './fork-engine.ts';
import { connectMachine, openMachine } from './open-machine.ts';

function machine(mode = 'talk', library = temporaryFolder()): string {
  return putMachine(library, 'web', { boot: { kind: 'files', kernel: smallKernel(), append: mode } });
}

describe('opening a machine', () => {
  it('by many at the same time leads all to one process', async () => {
    const folder = machine();
    const { startEngine } = killedInTheEnd();
    const opened = await Promise.all(Array.from({ length: 6 }, () => openMachine(folder, { startEngine })));
    expect(new Set(opened.map(({ status }) => status.pid)).size).toBe(1);
    expect(opened.filter(({ engine }) => engine !== undefined)).toHaveLength(1);
    for (const { connection } of opened) connection.close();
  });

  it('again and again finds the process that is about to end, or makes another', async () => {
    const folder = machine();
    const { startEngine } = killedInTheEnd();
    // A process lives a little longer than its last client: some of these meet it, some find it gone.
    for (const wait of [0, 20, 90, 100, 110, 130, 200]) {
      const { connection, status } = await openMachine(folder, { startEngine });
      expect(status.state).toBe('off');
      connection.close();
      await new Promise(resolve => setTimeout(resolve, wait));
    }
  });

  it('a machine goes on when those who started it leave, and is found by others', async () => {
    const folder = machine();
    const { startEngine } = killedInTheEnd();
    const first = await openMachine(folder, { startEngine });
    await first.connection.call('start', {});
    first.connection.close();
    const second = await openMachine(folder, { startEngine });
    expect([second.engine, second.status.state]).toEqual([undefined, 'running']);
    expect(second.status.pid).toBe(first.status.pid);
    await second.connection.call('stop', { force: true });
    second.connection.close();
  });

  it('a process that crashes is told with its last words, to its parent and to others', async () => {
    const folder = machine('abort');
    const { startEngine } = killedInTheEnd();
    const own = await openMachine(folder, { startEngine });
    const other = (await connectMachine(folder))!;
    const ends = Promise.all([own.connection.ended, other.connection.ended]);
    own.engine!.send({ id: 0, call: 'start', arguments: {} });
    const [ownEnd, otherEnd] = await ends;
    expect(ownEnd).toMatchObject({ signal: 'SIGABRT' });
    expect(otherEnd).toMatchObject({ signal: null, code: null });
    await expect(other.connection.call('status', {})).rejects.toMatchObject({ kind: 'io' });
    // What it left is in nobody's way.
    const next = await openMachine(folder, { startEngine });
    expect(next.status.state).toBe('off');
    next.connection.close();
  });

  it('a killed process leaves a lock and a socket that stop nobody', async () => {
    const folder = machine();
    const { startEngine } = killedInTheEnd();
    const first = await openMachine(folder, { startEngine });
    await first.connection.call('start', {});
    first.engine!.kill();
    expect(await first.connection.ended).toMatchObject({ signal: 'SIGKILL' });
    expect(existsSync(path.join(folder, 'control.sock'))).toBe(true);
    const second = await openMachine(folder, { startEngine });
    expect(second.engine).toBeDefined();
    expect(second.status.pid).not.toBe(first.status.pid);
    second.connection.close();
  });

  it('a folder without a machine, or with a broken one, is told', async () => {
    const { startEngine } = killedInTheEnd();
    const empty = temporaryFolder();
    await expect(openMachine(empty, { startEngine })).rejects.toMatchObject({ kind: 'missing' });
    await expect(openMachine(path.join(empty, 'none'), { startEngine })).rejects.toMatchObject({ kind: 'missing' });
    const folder = machine();
    writeFileSync(path.join(folder, 'machine.json'), '{}');
    await expect(openMachine(folder, { startEngine })).rejects.toMatchObject({ kind: 'corrupt' });
  });

  it('a folder that somebody keeps who does not listen is told to be in use', async () => {
    const folder = machine();
    const { startEngine } = killedInTheEnd();
    // The name says: written by a process on another host, of which nobody here can know whether it lives.
    mkdirSync(path.join(folder, 'disks.lock'));
    writeFileSync(path.join(folder, 'disks.lock/write-1-1-aaaaaaaaaaaa-bbbbbbbbbbbb-00000000'), '');
    await expect(openMachine(folder, { startEngine, patienceMilliseconds: 500 })).rejects.toMatchObject({
      kind: 'locked',
      context: { pid: 1 },
    });
  });

  it('a folder whose path is too long for a socket is reached all the same', async () => {
    const folder = machine('talk', path.join(temporaryFolder(), 'x'.repeat(120)));
    const { startEngine } = killedInTheEnd();
    const first = await openMachine(folder, { startEngine });
    const address = await controlAddress(folder);
    expect(Buffer.byteLength(address!)).toBeLessThanOrEqual(100);
    expect(readFileSync(path.join(folder, 'control.path'), 'utf8')).toBe(address);
    const second = (await connectMachine(folder))!;
    expect(second.status.pid).toBe(first.status.pid);
    second.connection.close();
    first.connection.close();
  });

  it('is not led to other sockets by what lies in the folder', async () => {
    const folder = machine('talk', path.join(temporaryFolder(), 'x'.repeat(120)));
    const file = path.join(folder, 'control.path');
    const hostile = [
      '/run/docker.sock',
      '../control.sock',
      `/tmp/afterimage-0/${'a'.repeat(24)}.sock/../x`,
      '',
      'x'.repeat(101),
    ];
    for (const text of hostile) {
      writeFileSync(file, text);
      expect(await controlAddress(folder), text).toBeUndefined();
    }
    const other = machine('talk', path.join(temporaryFolder(), 'x'.repeat(120)));
    symlinkSync('/etc/hostname', path.join(other, 'control.path'));
    expect(await controlAddress(other)).toBeUndefined();
  });

  it('a process that cannot even begin is told with what it said', async () => {
    const folder = machine();
    writeFileSync(path.join(folder, 'last-words.log'), 'words of an earlier one\n');
    const entry = path.join(temporaryFolder(), 'entry.mjs');
    writeFileSync(entry, "process.stderr.write('first\\nno such module\\n', () => process.exit(3));");
    const startEngine = (of: string | undefined) => startWithNode(of, pathToFileURL(entry));
    await expect(openMachine(folder, { startEngine })).rejects.toMatchObject({
      kind: 'internal',
      context: { folder, code: 3, lastWords: 'no such module' },
    });
    expect(wordsOf(folder)).toMatch(/earlier one\nfirst\nno such module\n$/);
  });

  it('last words are not read or written through links', async () => {
    const folder = machine('abort');
    const target = path.join(temporaryFolder(), 'target');
    writeFileSync(target, 'untouched');
    symlinkSync(target, path.join(folder, 'last-words.log'));
    const { startEngine } = killedInTheEnd();
    const { connection, engine } = await openMachine(folder, { startEngine });
    connection.call('start', {}).catch(() => {});
    expect(await connection.ended).toMatchObject({ signal: 'SIGABRT', lastWords: '' });
    expect([readFileSync(target, 'utf8'), wordsOf(folder), engine!.lastWords()]).toEqual(['untouched', '', '']);
  });
});
