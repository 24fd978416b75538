// @req C12-C16: disks that come and go, and checkpoints that keep the ones they have.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { type AddedDisk, USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { createMachine, type Owner, own } from './machine-owner.ts';
import { temporaryFolder } from './temporary-folder.ts';

const MIB = 2 ** 20;

let guest: { readonly kernel: string; readonly initrd: string; readonly append: string };

beforeAll(async () => {
  const { kernel, initrd, append } = await ensureGuest();
  guest = { kernel, initrd, append };
}, 120_000);

class Machine {
  readonly folder: string;
  readonly owner: Owner;

  constructor(folder: string) {
    this.folder = folder;
    this.owner = own(folder);
  }

  get call() {
    const { connection } = this.owner;
    return connection.call.bind(connection);
  }

  async start(): Promise<void> {
    await this.call('start', { guest, fresh: true });
  }

  async off(): Promise<void> {
    await this.said('sync');
    await this.call('stop', { force: true });
  }

  async said(command: string): Promise<string> {
    const { status, output } = await this.call('exec', { command, timeoutSeconds: 120 });
    expect(status, output).toBe(0);
    return output;
  }

  /** Sizes in MiB as the guest sees them, with what each disk says of itself at its beginning. */
  async seen(): Promise<string[]> {
    const script = [
      'for n in $(ls /sys/block | grep ^vd)',
      'do echo $n $(($(cat /sys/block/$n/size) / 2048)) $(dd if=/dev/$n bs=8 count=1 2>/dev/null | tr -d "\\0")',
      'done',
    ].join('\n');
    return (await this.said(script)).trim().split('\n').filter(Boolean);
  }

  write(device: string, text: string): Promise<string> {
    return this.said(`printf '${text}\\0\\0\\0\\0' | dd of=/dev/${device} conv=notrunc 2>/dev/null; sync`);
  }

  add(disk: AddedDisk) {
    return this.call('add-disk', { disk });
  }

  async problems(): Promise<readonly string[]> {
    await this.settled();
    return (await this.call('verify', { deep: true })).problems.map(({ message }) => message);
  }

  async settled(): Promise<void> {
    for (;;) {
      const running = (await this.call('jobs', {})).some(({ state }) => state === 'running');
      if (!running) return;
      const { length } = this.owner.events;
      await this.owner.until('a job ended', () => this.owner.events.length > length);
    }
  }

  layers(): string[] {
    return readdirSync(path.join(this.folder, 'disks')).filter(name => /\.(raw|qcow2)$/.test(name));
  }
}

async function machineWith(...sizes: number[]): Promise<Machine> {
  const folder = path.join(temporaryFolder(), 'machine');
  const disks = sizes.map(size => ({ kind: 'new', size: size * MIB, format: 'qcow2' }) as const);
  const automatic = { ...USUAL_AUTOMATIC, beforeRestore: false };
  await createMachine(folder, { memory: 128 * MIB, disks, automatic });
  return new Machine(folder);
}

const newDisk = (size: number): AddedDisk => ({ kind: 'new', size: size * MIB, format: 'qcow2' });

test('the guest sees disks that were added, and those of the checkpoint after going back', async () => {
  const machine = await machineWith();
  const raw = path.join(temporaryFolder(), 'found.raw');
  writeFileSync(raw, Buffer.alloc(3 * MIB, 0));
  writeFileSync(raw, 'found', { flag: 'r+' });
  await machine.start();
  expect(await machine.seen()).toEqual([]);
  const { id: before } = await machine.call('checkpoint', { name: 'no disks' });
  await expect(machine.add(newDisk(8))).rejects.toMatchObject({ kind: 'state' });
  await machine.off();

  await machine.add({ kind: 'new', size: 5 * MIB, format: 'raw' });
  const { disks } = await machine.add({ kind: 'existing', path: raw, format: 'raw', mode: 'persistent' });
  expect(disks).toMatchObject([{ format: 'raw', mode: 'persistent' }, { format: 'raw' }]);
  await machine.call('configure', { change: { memory: 256 * MIB } });
  await machine.start();
  expect(await machine.seen()).toEqual(['vda 5', 'vdb 3 found']);
  await machine.write('vda', 'one');
  const { id: two, incremental } = await machine.call('checkpoint', { name: 'two disks' });
  // Another memory has nothing in common with the one before.
  expect(incremental).toBe(false);

  await machine.call('restore', { id: before });
  expect(await machine.seen()).toEqual([]);
  expect(await machine.call('machine', {})).toMatchObject({ disks: [], memory: 128 * MIB });
  await machine.call('restore', { id: two });
  expect(await machine.seen()).toEqual(['vda 5 one', 'vdb 3 found']);
  expect(await machine.call('machine', {})).toMatchObject({ memory: 256 * MIB });
  expect(await machine.problems()).toEqual([]);
  await machine.call('delete-checkpoint', { id: before, subtree: true });
  await machine.off();
  expect(await machine.problems()).toEqual([]);
  expect(existsSync(raw)).toBe(true);
});

test('a removed disk stays in the checkpoints that have it, and no other takes its place', async () => {
  const machine = await machineWith(4, 6);
  await machine.call('configure', {
    change: { disks: (await machine.call('machine', {})).disks.map(disk => ({ ...disk, mode: 'temporary' })) },
  });
  await machine.start();
  await machine.write('vda', 'first');
  await machine.write('vdb', 'second');
  const { id } = await machine.call('checkpoint', { name: 'both' });
  await machine.off();

  expect(await machine.call('disk-removal', { disk: 0 })).toMatchObject({ device: 'vda', checkpoints: 1, layers: 0 });
  const [, second] = (await machine.call('machine', {})).disks;
  expect((await machine.call('remove-disk', { disk: 0, files: 'delete' })).disks).toMatchObject([second!]);
  await machine.start();
  expect(await machine.seen()).toEqual(['vda 6']);
  const views = await machine.call('disks', {});
  expect(views).toHaveLength(1);
  const elsewhere = await machine.call('detached-disks', {});
  expect(elsewhere).toMatchObject([{ size: 4 * MIB }]);
  // No layer is shown for two disks.
  const shown = [...views, ...elsewhere].flatMap(({ layers }) => layers.map(layer => layer.path));
  expect(shown.sort()).toEqual(
    machine
      .layers()
      .map(name => `disks/${name}`)
      .sort(),
  );

  await machine.call('restore', { id });
  expect(await machine.seen()).toEqual(['vda 4 first', 'vdb 6 second']);
  await machine.off();
  expect(await machine.problems()).toEqual([]);
  // Each goes back to its own empty disk.
  await machine.start();
  expect(await machine.seen()).toEqual(['vda 4', 'vdb 6']);
  await machine.off();
  await machine.call('delete-checkpoint', { id });
  expect(await machine.problems()).toEqual([]);
  expect(machine.layers()).toHaveLength(2);
});

test('what is kept comes back with its content; what is in no checkpoint is kept when the machine goes back', async () => {
  const machine = await machineWith(4);
  await machine.start();
  const { id: before } = await machine.call('checkpoint', { name: 'before' });
  await machine.off();
  await machine.add(newDisk(6));
  await machine.start();
  await machine.write('vdb', 'alone');
  await machine.off();

  // It was never in a checkpoint: going back must not lose it.
  await machine.call('restore', { id: before, guest });
  expect(await machine.seen()).toEqual(['vda 4']);
  await machine.off();
  expect(await machine.problems()).toEqual([]);
  const [found] = await machine.call('detached-disks', {});
  expect(found).toMatchObject({ size: 6 * MIB, kept: { mode: 'persistent' } });
  const { file } = found!.kept!;
  await machine.add({ kind: 'detached', file });
  await expect(machine.add({ kind: 'detached', file })).rejects.toMatchObject({ kind: 'missing' });
  await machine.start();
  expect(await machine.seen()).toEqual(['vda 4', 'vdb 6 alone']);
  const { id: both } = await machine.call('checkpoint', { name: 'both' });
  await machine.write('vdb', 'later');
  await machine.off();

  // Kept as it is now, beside what the checkpoint has of it.
  await machine.call('remove-disk', { disk: 1, files: 'keep' });
  const [kept] = await machine.call('detached-disks', {});
  await machine.call('restore', { id: both, guest });
  expect(await machine.seen()).toEqual(['vda 4', 'vdb 6 alone']);
  await machine.off();
  await machine.add({ kind: 'detached', file: kept!.kept!.file });
  const { disks } = await machine.call('machine', {});
  expect(new Set(disks.map(disk => disk.id)).size).toBe(3);
  // In another order.
  await machine.call('configure', { change: { disks: [disks[2]!, disks[0]!, disks[1]!] } });
  await machine.start();
  expect(await machine.seen()).toEqual(['vda 6 later', 'vdb 4', 'vdc 6 alone']);
  await machine.off();
  await machine.call('remove-disk', { disk: 0, files: 'keep' });
  const [again] = await machine.call('detached-disks', {});
  await machine.call('delete-detached', { file: again!.kept!.file });
  expect(await machine.call('detached-disks', {})).toEqual([]);
  expect(await machine.problems()).toEqual([]);
});

test('what cannot be is refused, and changes nothing', async () => {
  const machine = await machineWith(4);
  await machine.start();
  await expect(machine.call('remove-disk', { disk: 0, files: 'keep' })).rejects.toMatchObject({ kind: 'state' });
  await machine.said('true');
  await machine.call('suspend', {});
  const before = await machine.call('machine', {});
  await expect(machine.add(newDisk(4))).rejects.toMatchObject({ message: expect.stringContaining('suspended') });
  await expect(machine.call('configure', { change: { memory: 256 * MIB } })).rejects.toMatchObject({ kind: 'state' });
  await machine.call('start', { guest, fresh: true });
  await machine.call('stop', { force: true });
  await expect(machine.call('remove-disk', { disk: 1, files: 'keep' })).rejects.toMatchObject({ kind: 'missing' });
  const [disk] = before.disks;
  for (const disks of [[], [disk!, disk!], [{ ...disk!, file: 'disks/other.qcow2' }]]) {
    await expect(machine.call('configure', { change: { disks } })).rejects.toMatchObject({ kind: 'usage' });
  }
  const missing = path.join(machine.folder, 'nothing.raw');
  await expect(
    machine.add({ kind: 'existing', path: missing, format: 'raw', mode: 'persistent' }),
  ).rejects.toMatchObject({ kind: 'missing' });
  for (let count = 1; count < 6; count += 1) await machine.add(newDisk(1));
  await expect(machine.add(newDisk(1))).rejects.toMatchObject({ kind: 'too-large' });
  for (let count = 1; count < 6; count += 1) await machine.call('remove-disk', { disk: 1, files: 'delete' });
  expect((await machine.call('machine', {})).disks).toMatchObject(before.disks);
  expect(await machine.problems()).toEqual([]);
});
