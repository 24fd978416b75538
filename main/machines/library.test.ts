import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { putMachine, smallKernel, testLibrary } from '../../test/framework/machine-library.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { measureFolder } from './measure.ts';

const boot = (mode: string) => ({ kind: 'files' as const, kernel: smallKernel(), append: mode });

describe('machine library', () => {
  it('creates, finds, renames and deletes machines', async () => {
    const { library, folder } = testLibrary();
    const { folder: web, record } = await library.create({
      name: ' Web (1) ',
      disks: [{ kind: 'new', size: 2 ** 20, format: 'qcow2' }],
    });
    expect([web, record.name, record.disks.length]).toEqual([path.join(folder, 'web-1'), 'Web (1)', 1]);
    for (const name of ['Web (1)', 'web-1', record.id, record.id.slice(0, 6)]) {
      expect(await library.find(name), name).toMatchObject({ folder: web, record });
    }
    expect(await library.rename(web, 'Other')).toMatchObject({ name: 'Other', id: record.id });
    expect(await library.find('Other')).toMatchObject({ folder: web });
    await expect(library.find('Web (1)')).rejects.toMatchObject({ kind: 'missing' });
    // Its old name is free again, and the folder of that name is not.
    expect(await library.create({ name: 'Web (1)' })).toMatchObject({ folder: path.join(folder, 'web-1-2') });
    await library.remove(web);
    expect((await library.list()).map(entry => path.basename(entry.folder))).toEqual(['web-1-2']);
    expect(readdirSync(folder)).toEqual(['web-1-2']);
  });

  it.each([[''], ['   '], ['a\nb'], ['a\u001b[2J'], ['x'.repeat(101)]])('refuses the name %j', async name => {
    const { library, folder } = testLibrary();
    await expect(library.create({ name })).rejects.toMatchObject({ kind: 'usage' });
    expect(existsSync(folder)).toBe(false);
  });

  it('has no two machines of one name, whoever makes them at the same time', async () => {
    const { library, folder } = testLibrary();
    putMachine(folder, 'web', { name: 'Web' });
    for (const name of ['Web', 'wEB', ' web ']) {
      await expect(library.create({ name }), name).rejects.toMatchObject({ kind: 'state' });
    }
    await expect(library.rename(putMachine(folder, 'b', { name: 'B' }), 'web')).rejects.toMatchObject({
      kind: 'state',
    });
    const twins = await Promise.allSettled(['Twin', 'twin', 'TWIN'].map(name => library.create({ name })));
    expect(twins.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    // Different names whose folders would be the same.
    const made = await Promise.all(['a b', 'a-b', 'a_b', 'a/b'].map(name => library.create({ name })));
    expect(new Set(made.map(one => one.folder)).size).toBe(4);
    expect((await library.list()).filter(({ kind }) => kind === 'machine')).toHaveLength(7);
  });

  it('an ambiguous name is told with the folders it can be', async () => {
    const { library, folder } = testLibrary();
    putMachine(folder, 'one', { name: 'same' });
    putMachine(folder, 'two', { name: 'same' });
    await expect(library.find('same')).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(/'one' or 'two'/),
    });
    expect(await library.find('two')).toMatchObject({ folder: path.join(folder, 'two') });
  });

  it('files that cannot be used are named, and nothing is left behind', async () => {
    const { library, folder } = testLibrary();
    const missing = path.join(temporaryFolder(), 'missing.qcow2');
    const kernel = temporaryFolder();
    await expect(
      library.create({ name: 'a', disks: [{ kind: 'existing', path: missing, format: 'qcow2', mode: 'persistent' }] }),
    ).rejects.toMatchObject({ kind: 'missing', context: { path: missing } });
    await expect(library.create({ name: 'a', boot: { kind: 'files', kernel } })).rejects.toMatchObject({
      kind: 'unsupported',
      context: { path: kernel },
    });
    const damaged = path.join(temporaryFolder(), 'damaged.qcow2');
    writeFileSync(damaged, 'QFI\xfbnonsense', 'latin1');
    await expect(
      library.create({ name: 'a', disks: [{ kind: 'existing', path: damaged, format: 'qcow2', mode: 'persistent' }] }),
    ).rejects.toMatchObject({ context: { file: damaged } });
    expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
  });

  it('takes existing disks over as copies', async () => {
    const { library } = testLibrary();
    const raw = path.join(temporaryFolder(), 'disk.raw');
    const content = Buffer.alloc(2 ** 20, 'content of a disk ');
    writeFileSync(raw, content);
    const { folder, record } = await library.create({
      name: 'a',
      disks: [{ kind: 'existing', path: raw, format: 'raw', mode: 'temporary' }],
    });
    expect(record.disks).toMatchObject([{ format: 'raw', mode: 'temporary' }]);
    expect(readFileSync(path.join(folder, record.disks[0]!.file)).equals(content)).toBe(true);
    const copy = await library.duplicate(folder, 'b');
    expect(copy.record).toMatchObject({
      name: 'b',
      memory: record.memory,
      disks: [{ format: 'raw', mode: 'temporary' }],
    });
    expect(copy.record.id).not.toBe(record.id);
    expect(readFileSync(path.join(copy.folder, copy.record.disks[0]!.file)).equals(content)).toBe(true);
  });

  it('a machine that runs is neither copied nor deleted, unless asked', async () => {
    const { library } = testLibrary();
    const { folder } = await library.create({ name: 'a', boot: boot('talk') });
    const { connection } = await library.open(folder);
    await connection.call('start', {});
    expect(await library.list()).toMatchObject([{ kind: 'machine', status: { state: 'running' } }]);
    await expect(library.duplicate(folder, 'b')).rejects.toMatchObject({ kind: 'state' });
    await expect(library.remove(folder)).rejects.toMatchObject({ kind: 'state' });
    expect(existsSync(folder)).toBe(true);
    expect(await library.rename(folder, 'renamed')).toMatchObject({ name: 'renamed' });
    await library.remove(folder, { force: true });
    expect(await library.list()).toEqual([]);
    connection.close();
  });

  it('deletes by the platform, when it can bring things back', async () => {
    const { library, folder } = testLibrary();
    const one = putMachine(folder, 'one');
    const trashed: string[] = [];
    await library.remove(one, { trash: async name => void trashed.push(name) });
    expect(trashed).toEqual([one]);
    // The trash has not taken it, so it is still there.
    expect(existsSync(one)).toBe(true);
  });

  it('deletes broken machines, and nothing that is not in it', async () => {
    const { library, folder } = testLibrary();
    const broken = putMachine(folder, 'broken');
    writeFileSync(path.join(broken, 'machine.json'), '{');
    await expect(library.find('broken')).rejects.toMatchObject({ kind: 'corrupt' });
    expect(await library.findFolder('broken')).toBe(broken);
    await library.remove(broken);
    expect(existsSync(broken)).toBe(false);
    const other = temporaryFolder();
    for (const outside of [other, folder, path.join(folder, '..'), path.join(folder, 'none'), '/']) {
      await expect(library.remove(outside), outside).rejects.toMatchObject({ kind: 'usage' });
    }
    expect(existsSync(other)).toBe(true);
  });

  it('says what is in a folder before it goes', async () => {
    const { folder } = testLibrary();
    const one = putMachine(folder, 'one');
    writeFileSync(path.join(one, 'disks/disk0-a.qcow2'), Buffer.alloc(8192, 1));
    writeFileSync(path.join(one, 'checkpoints/aa.checkpoint'), Buffer.alloc(8192, 1));
    mkdirSync(path.join(one, 'mine/deep'), { recursive: true });
    writeFileSync(path.join(one, 'mine/deep/notes.txt'), 'mine');
    const contents = await measureFolder(one);
    expect(contents).toMatchObject({ disks: 1, checkpoints: 1, others: 1 });
    expect(contents.bytes).toBeGreaterThan(16_000);
    expect(contents.newestCheckpoint).toBeGreaterThan(1_700_000_000_000);
    await expect(measureFolder(path.join(folder, 'none'))).rejects.toMatchObject({ kind: 'missing' });
  });
});
