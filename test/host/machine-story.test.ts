// @req C13-C17: a machine of the library with the default guest, through the process that owns its folder.
import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { JobView } from '../../engine/api/control.ts';
import { type DiskConfiguration, USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { createMachine, folderCall, type Owner, ownUntilEnd } from './machine-owner.ts';

const MIB = 2 ** 20;

let place: string;
let guest: { readonly kernel: string; readonly initrd: string; readonly append: string };
let machine: Owner;
let folder: string;
/** Taken when /data/x said `one`, and a variable of no file did too. */
let first: string;

const owners: Owner[] = [];
function start(one: string): Owner {
  const owner = ownUntilEnd(one);
  owners.push(owner);
  return owner;
}

beforeAll(async () => {
  place = mkdtempSync(path.join(os.tmpdir(), 'afterimage-test-'));
  const { kernel, initrd, append } = await ensureGuest();
  guest = { kernel, initrd, append };
  folder = path.join(place, 'machine');
  await createMachine(folder, {
    name: 'Story',
    memory: 128 * MIB,
    disks: [
      { kind: 'new', size: 32 * MIB, format: 'raw' },
      { kind: 'new', size: 16 * MIB, format: 'qcow2' },
    ],
    automatic: { ...USUAL_AUTOMATIC, beforeRestore: false, retention: { last: 1, hourly: 0, daily: 0 } },
  });
  machine = start(folder);
  await machine.connection.call('start', { guest, consoleSize: { rows: 24, columns: 80 } });
}, 120_000);

afterAll(async () => {
  for (const { connection, engine, exit } of owners) {
    connection.close();
    engine.kill();
    await exit;
  }
  rmSync(place, { recursive: true, force: true });
});

async function said(command: string, owner = machine): Promise<string> {
  const { status, output } = await owner.connection.call('exec', { command, timeoutSeconds: 120 });
  expect(status, output).toBe(0);
  return output;
}

async function job(owner: Owner, number: number): Promise<JobView> {
  const find = async () => (await owner.connection.call('jobs', {})).find(one => one.job === number);
  for (;;) {
    const found = await find();
    if (found !== undefined && found.state !== 'running') return found;
    const seen = owner.events.length;
    await owner.until(`the end of job ${number}`, () => owner.events.length > seen);
  }
}

/** When nothing runs in the background any more. */
async function quiet(owner: Owner): Promise<void> {
  for (;;) {
    const running = (await owner.connection.call('jobs', {})).find(({ state }) => state === 'running');
    if (running === undefined) return;
    await job(owner, running.job);
  }
}

async function problems(owner: Owner): Promise<readonly string[]> {
  await quiet(owner);
  return (await owner.connection.call('verify', { deep: true })).problems.map(({ message }) => message);
}

const layersIn = (one: string) =>
  readdirSync(path.join(one, 'disks'), { withFileTypes: true }).filter(entry => entry.isFile()).length;

test('commands at the guest’s shell: output, status, anything in them, one after the other', async () => {
  const run = (command: string, timeoutSeconds = 120) => machine.connection.call('exec', { command, timeoutSeconds });
  expect(await run('echo hello; exit 7')).toEqual({ status: 7, output: 'hello\n' });
  expect(await run("printf 'no end'")).toEqual({ status: 0, output: 'no end' });
  expect(await run(`echo "a  'b'" '$HOME' \\\\ "%s"`)).toEqual({ status: 0, output: "a  'b' $HOME \\ %s\n" });
  expect(await run(`for i in 1 2\ndo\techo $i # 'one\ndone\necho ${'z'.repeat(3000)} | wc -c`)).toEqual({
    status: 0,
    output: '1\n2\n3001\n',
  });
  expect(await Promise.all([run('echo one'), run('echo two')])).toMatchObject([
    { output: 'one\n' },
    { output: 'two\n' },
  ]);
  await expect(run('sleep 100', 1)).rejects.toMatchObject({ kind: 'state' });
  expect((await run('seq 1 3000')).output.length).toBe(13_893);
});

test('a checkpoint, and the way back to it; what came after is gone, disks included', async () => {
  await said('echo one > /data/x; echo one > /tmp/x; sync');
  const taken = await machine.connection.call('checkpoint', { name: 'first', note: 'a note' });
  first = taken.id;
  expect(taken).toMatchObject({ name: 'first', incremental: false, pendingRequests: 0 });
  await said('echo two > /data/x; echo two > /tmp/x; sync');
  const second = await machine.connection.call('checkpoint', {});
  expect(second).toMatchObject({ incremental: true, parent: first });
  const compared = await machine.connection.call('compare', { from: first, to: second.id });
  expect(compared.totalPages).toBe((128 * MIB) / 4096);
  // What was written, but for pages that became what they had been.
  expect(compared.changedPages).toBeGreaterThan(0);
  expect(compared.changedPages).toBeLessThanOrEqual(second.pages + second.zeroPages);
  expect(compared.disks[0]!.changedBytes).toBeGreaterThan(0);
  expect(compared.disks[0]!.changedBytes).toBeLessThan(2 * MIB);
  expect(compared.disks[1]!.changedBytes).toBe(0);
  const restored = await machine.connection.call('restore', { id: first });
  expect(restored.milliseconds).toBeLessThan(30_000);
  expect(await said('cat /data/x /tmp/x')).toBe('one\none\n');
  expect((await machine.connection.call('status', {})).position).toBe(first);
  const details = await machine.connection.call('details', { id: first });
  expect(details).toMatchObject({ note: 'a note', memory: 128 * MIB, current: true });
  expect(details.screen?.lines.join('\n')).toContain('root@afterimage');
  expect(await problems(machine)).toEqual([]);
  // A branch beside `second`, then along the other one.
  await said('echo three > /data/x; sync');
  const { kept } = await machine.connection.call('restore', { id: second.id, keepCurrent: true });
  expect(await said('cat /data/x /tmp/x')).toBe('two\ntwo\n');
  await machine.connection.call('restore', { id: kept! });
  expect(await said('cat /data/x')).toBe('three\n');
  const { nodes } = await machine.connection.call('tree', {});
  expect(nodes.map(({ id, parent }) => [id, parent])).toEqual([
    [first, undefined],
    [second.id, first],
    [kept, first],
  ]);
  // Back to the beginning: what others alone needed goes with them.
  await machine.connection.call('restore', { id: first });
  await machine.connection.call('protect-checkpoint', { id: second.id, protected: true });
  await expect(machine.connection.call('delete-checkpoint', { id: first, subtree: true })).rejects.toMatchObject({
    kind: 'state',
  });
  await machine.connection.call('protect-checkpoint', { id: second.id, protected: false });
  await machine.connection.call('delete-checkpoint', { id: second.id });
  await machine.connection.call('delete-checkpoint', { id: kept! });
  expect(await problems(machine)).toEqual([]);
  expect(layersIn(folder)).toBe(4);
});

test('automatic checkpoints come and go, and leave the others alone', async () => {
  for (let round = 0; round < 3; round += 1) {
    await said(`echo ${round} > /data/round; sync`);
    await machine.connection.call('checkpoint', { origin: 'automatic' });
  }
  expect(await problems(machine)).toEqual([]);
  const { nodes } = await machine.connection.call('tree', {});
  expect(nodes.map(({ origin }) => origin)).toEqual(['manual', 'automatic']);
  await machine.connection.call('keep-checkpoint', { id: nodes[1]!.id });
  await machine.connection.call('checkpoint', { origin: 'automatic' });
  expect((await machine.connection.call('tree', {})).nodes).toHaveLength(3);
});

test('going back to an automatic checkpoint keeps it, though a newer one is taken before', async () => {
  const { automatic } = await machine.connection.call('machine', {});
  const { nodes } = await machine.connection.call('tree', {});
  const old = nodes.findLast(({ origin }) => origin === 'automatic')!;
  // The machine is elsewhere.
  await machine.connection.call('restore', { id: first });
  await machine.connection.call('configure', { change: { automatic: { ...automatic, beforeRestore: true } } });
  const { id, kept } = await machine.connection.call('restore', { id: old.id });
  await machine.connection.call('configure', { change: { automatic } });
  const after = await machine.connection.call('tree', {});
  expect(after.current).toBe(id);
  expect(after.nodes.map(one => one.id)).toEqual(expect.arrayContaining([old.id, kept]));
  expect(await problems(machine)).toEqual([]);
});

test('disk jobs on a running machine are recorded, and keep what checkpoints need', async () => {
  const jobs = async (given: Parameters<typeof preview>[0]) => {
    const { job: number } = await machine.connection.call('disk-job', given);
    return await job(machine, number);
  };
  const preview = (given: {
    disk: number;
    kind: 'overlay' | 'commit' | 'stream' | 'compact' | 'check' | 'resize';
    size?: number;
  }) => machine.connection.call('disk-job-preview', given);
  const active = async () => (await machine.connection.call('machine', {})).disks.map(({ file }) => file);
  const [before] = await active();
  expect(await jobs({ disk: 0, kind: 'overlay' })).toMatchObject({ state: 'done' });
  const [over] = await active();
  expect(over).not.toBe(before);
  await said('echo over > /data/over; sync');
  expect(await preview({ disk: 0, kind: 'commit' })).toMatchObject({ allowed: true });
  expect(await jobs({ disk: 0, kind: 'commit' })).toMatchObject({ state: 'done' });
  expect((await active())[0]).toBe(before);
  // Below is what a checkpoint stands on.
  expect(await preview({ disk: 0, kind: 'commit' })).toMatchObject({ allowed: false });
  await expect(jobs({ disk: 0, kind: 'commit' })).rejects.toMatchObject({ kind: 'state' });
  expect(await jobs({ disk: 0, kind: 'compact' })).toMatchObject({ state: 'done' });
  expect(await jobs({ disk: 0, kind: 'check' })).toMatchObject({ outcome: 'nothing is damaged' });
  expect(await jobs({ disk: 1, kind: 'resize', size: 20 * MIB })).toMatchObject({ state: 'done' });
  expect(await said('cat /data/over /sys/block/vdb/size')).toBe(`over\n${(20 * MIB) / 512}\n`);
  const [disk] = await machine.connection.call('disks', {});
  expect(
    disk!.layers.flatMap(({ neededBy }) => neededBy).filter(({ name }) => name === 'first').length,
  ).toBeGreaterThan(0);
  const map = await machine.connection.call('disk-map', { layer: disk!.active, most: 3 });
  expect(map.length).toBeGreaterThan(0);
  expect(map.length).toBeLessThanOrEqual(3);
  expect(await problems(machine)).toEqual([]);
});

test('a suspended machine goes on in another process; deleting where it stands is refused', async () => {
  await said('echo before > /tmp/suspended; echo before > /data/suspended');
  expect(await machine.connection.call('suspend', {})).toMatchObject({ state: 'off' });
  const { current } = await machine.connection.call('tree', {});
  await expect(machine.connection.call('delete-checkpoint', { id: current! })).rejects.toMatchObject({ kind: 'state' });
  machine.connection.close();
  await machine.exit;
  machine = start(folder);
  expect(await machine.connection.call('start', { guest })).toMatchObject({ state: 'running', position: current });
  expect(await said('cat /tmp/suspended /data/suspended')).toBe('before\nbefore\n');
  expect(await problems(machine)).toEqual([]);
});

test('a checkpoint leaves as a file and comes in elsewhere; a clone goes on beside the original', async () => {
  const file = path.join(place, 'first.checkpoint');
  const { bytes } = await machine.connection.call('export', { id: first, file });
  expect(statSync(file).size).toBe(bytes);
  expect(await folderCall('preview', { file })).toMatchObject({
    name: 'first',
    machineName: 'Story',
    memory: 128 * MIB,
    disks: [{ size: 32 * MIB }, { size: 16 * MIB }],
  });
  const [imported, cloned] = [path.join(place, 'imported'), path.join(place, 'cloned')];
  const { machine: importedId } = await folderCall('import', { file, folder: imported, name: 'Imported' });
  const { machine: clonedId } = await machine.connection.call('clone', { id: first, folder: cloned, name: 'Cloned' });
  const original = await machine.connection.call('machine', {});
  expect(new Set([importedId, clonedId, original.id]).size).toBe(3);
  await expect(machine.connection.call('clone', { id: first, folder: cloned, name: 'x' })).rejects.toMatchObject({
    kind: 'state',
  });
  for (const one of [imported, cloned]) {
    const owner = start(one);
    expect((await owner.connection.call('tree', {})).nodes).toMatchObject([{ name: 'first', current: true }]);
    expect(await problems(owner)).toEqual([]);
    await owner.connection.call('start', { guest });
    expect(await said('cat /data/x /tmp/x; echo changed > /data/x; sync', owner)).toBe('one\none\n');
    await owner.connection.call('restore', { id: (await owner.connection.call('tree', {})).current! });
    expect(await said('cat /data/x', owner)).toBe('one\n');
    expect(await owner.connection.call('stop', {})).toMatchObject({ state: 'off', ended: { reason: 'poweroff' } });
    expect(await problems(owner)).toEqual([]);
    owner.connection.close();
    expect(await owner.exit).toEqual({ code: 0, signal: null });
  }
}, 240_000);

test('files that are not what they say are refused, and leave nothing', async () => {
  const file = path.join(place, 'bad.checkpoint');
  const into = path.join(place, 'bad');
  const begins = Buffer.concat([Buffer.from('\x89AFCK\r\n\x1a\x01\x00', 'latin1'), Buffer.alloc(100_000, 7)]);
  const others = ['', 'not a checkpoint', Buffer.alloc(100_000, 7)];
  for (const [content, kind] of [[begins, 'corrupt'], ...others.map(one => [one, 'unsupported'] as const)] as const) {
    writeFileSync(file, content);
    await expect(folderCall('import', { file, folder: into })).rejects.toMatchObject({ kind });
    await expect(folderCall('preview', { file })).rejects.toMatchObject({ kind });
  }
  expect(readdirSync(place).filter(name => name.startsWith('bad') || name.startsWith('.new'))).toEqual([
    'bad.checkpoint',
  ]);
});

test('verify finds what nobody needs, what is lost, and what is damaged', async () => {
  await machine.connection.call('stop', { force: true });
  expect(await problems(machine)).toEqual([]);
  writeFileSync(path.join(folder, 'disks/notes.txt'), 'x');
  writeFileSync(path.join(folder, 'checkpoints/left.partial'), 'x');
  const [needed] = (await machine.connection.call('details', { id: first })).disks;
  const orphan = 'disks/disk0-0123456789.qcow2';
  cpSync(path.join(folder, (await machine.connection.call('machine', {})).disks[1]!.file), path.join(folder, orphan));
  const found = await problems(machine);
  expect(found).toHaveLength(3);
  for (const name of ['notes.txt', '0123456789', 'left.partial']) expect(found.join('\n')).toContain(name);
  for (const name of ['disks/notes.txt', 'checkpoints/left.partial', orphan]) rmSync(path.join(folder, name));
  renameSync(path.join(folder, needed!.layer!), path.join(folder, 'away'));
  expect((await problems(machine)).filter(text => text.includes(needed!.layer!)).length).toBeGreaterThan(0);
  await expect(machine.connection.call('restore', { id: first, guest })).rejects.toMatchObject({ kind: 'missing' });
  renameSync(path.join(folder, 'away'), path.join(folder, needed!.layer!));
  expect(await problems(machine)).toEqual([]);
});

test('a temporary disk is part of checkpoints, and empty again at power-on', async () => {
  const { disks } = await machine.connection.call('machine', {});
  const change = disks.map((disk, index): DiskConfiguration => (index === 1 ? { ...disk, mode: 'temporary' } : disk));
  await machine.connection.call('configure', { change: { disks: change } });
  await machine.connection.call('start', { guest, fresh: true });
  await said('echo written | dd of=/dev/vdb conv=sync 2>/dev/null; sync');
  const { id } = await machine.connection.call('checkpoint', {});
  await said('echo later | dd of=/dev/vdb conv=sync 2>/dev/null; sync');
  await machine.connection.call('restore', { id });
  expect(await said('head -c 7 /dev/vdb')).toBe('written');
  await machine.connection.call('stop', { force: true });
  expect(await problems(machine)).toEqual([]);
  await machine.connection.call('start', { guest, fresh: true });
  expect(await said('head -c 7 /dev/vdb | tr "\\0" 0')).toBe('0000000');
  await machine.connection.call('stop', { force: true });
  await machine.connection.call('restore', { id, guest });
  expect(await said('head -c 7 /dev/vdb')).toBe('written');
  await machine.connection.call('stop', { force: true });
  expect(await problems(machine)).toEqual([]);
});

test('checkpoints in RAM are kept when they are persisted, those on a raw medium are there in the next process', async () => {
  const medium = path.join(place, 'medium.raw');
  writeFileSync(medium, '');
  truncateSync(medium, 512 * MIB);
  await machine.connection.call('start', { guest, fresh: true });
  await said('echo stores > /data/stores; sync');
  const inRam = await machine.connection.call('checkpoint', { store: 'ram', name: 'in RAM' });
  const onMedium = await machine.connection.call('checkpoint', { store: `raw:${medium}`, name: 'on a medium' });
  const lost = await machine.connection.call('checkpoint', { store: 'ram', name: 'lost' });
  const stores = async () => {
    const { nodes } = await machine.connection.call('tree', {});
    return Object.fromEntries(nodes.map(({ id, store, durable }) => [id, [store, durable]]));
  };
  expect(await stores()).toMatchObject({
    [inRam.id]: ['ram', false],
    [onMedium.id]: ['raw', true],
    [lost.id]: ['ram', false],
  });
  await machine.connection.call('persist-checkpoint', { id: inRam.id, store: 'file' });
  const note = path.join(place, 'note.txt');
  writeFileSync(note, 'x'.repeat(4096));
  await expect(machine.connection.call('checkpoint', { store: `raw:${note}` })).rejects.toMatchObject({
    kind: 'state',
  });
  await machine.connection.call('stop', { force: true });
  expect(await problems(machine)).toEqual([]);
  machine.connection.close();
  await machine.exit;
  machine = start(folder);
  const after = await stores();
  expect(after).toMatchObject({ [inRam.id]: ['file', true], [onMedium.id]: ['raw', true] });
  expect(after[lost.id]).toBeUndefined();
  for (const { id } of [inRam, onMedium]) {
    await machine.connection.call('restore', { id, guest });
    expect(await said('cat /data/stores')).toBe('stores\n');
  }
  await machine.connection.call('stop', { force: true });
  expect(await problems(machine)).toEqual([]);
});
