// Dirty bitmaps of a disk over what happens to its chain: exactly what was written since the named point.
import { expect, it } from 'vitest';
import { addBitmap, clearBitmap, dirtyRanges, listBitmaps, removeBitmap } from '../../engine/disk/chain/bitmaps.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { commit } from '../../engine/disk/jobs/commit.ts';
import { compact } from '../../engine/disk/jobs/convert.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { resizeDisk } from '../../engine/disk/jobs/resize.ts';
import { stream } from '../../engine/disk/jobs/stream.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { MemoryFolder } from './memory-folder.ts';
import { codecs } from './qcow2/qemu.ts';

const SIZE = 2 ** 20;
const BIT = 4096;
const block = (index: number) => ({ offset: index * BIT, length: BIT });

class Machine {
  folder = new MemoryFolder();
  live!: LiveDisk;
  recorded: { path: string; format: 'raw' | 'qcow2' };
  #names = 0;

  constructor(format: 'raw' | 'qcow2' = 'qcow2') {
    this.recorded = { path: `base.${format}`, format };
  }

  static async create(format: 'raw' | 'qcow2' = 'qcow2'): Promise<Machine> {
    const machine = new Machine(format);
    if (format === 'raw') machine.folder.add('base.raw', new Uint8Array(SIZE));
    else {
      const file = await machine.folder.create('base.qcow2');
      await createImage(file, { size: SIZE, clusterSize: BIT });
      await file.close();
    }
    await machine.open();
    return machine;
  }

  async open(): Promise<void> {
    this.live = new LiveDisk(await openChain(this.folder, this.recorded, { access: 'write', codecs }));
  }

  async reopen(): Promise<void> {
    await this.live.close();
    await this.open();
  }

  async write(...blocks: number[]): Promise<void> {
    for (const index of blocks) await this.live.write(index * BIT, [new Uint8Array(BIT).fill(index + 1)]);
  }

  newName = () => {
    this.#names += 1;
    return `o${this.#names}.qcow2`;
  };

  async overlay(restartBitmaps: readonly string[] = []): Promise<void> {
    const overlay = await createOverlay(this.live.active, this.newName(), { clusterSize: BIT, restartBitmaps });
    this.recorded = { path: overlay.path, format: 'qcow2' };
    await this.live.switchTo(overlay).frozen;
  }

  async commit(layer = this.live.active): Promise<void> {
    const job = new Job('commit');
    const record = async (path: string) => {
      this.recorded = { path, format: path.endsWith('.raw') ? 'raw' : 'qcow2' };
    };
    const { live, newName } = this;
    await commit({ live, job, newName, record, needed: () => undefined, overlay: { clusterSize: BIT } }, layer);
  }

  dirty(name = 'daily') {
    return dirtyRanges(this.live.active, name);
  }
}

it('go on over overlays, power-off, commits into qcow2, streams and compaction', async () => {
  const machine = await Machine.create();
  await machine.write(0);
  await addBitmap(machine.live.active, 'daily', BIT);
  await machine.write(3);
  await machine.overlay();
  await machine.write(7, 8);
  await machine.overlay();
  await machine.live.discard(12 * BIT, BIT);
  await machine.live.writeZeroes(20 * BIT, BIT);
  const expected = [block(3), { offset: 7 * BIT, length: 2 * BIT }, block(12), block(20)];
  expect(await machine.dirty()).toEqual(expected);
  await machine.reopen();
  expect(await machine.dirty()).toEqual(expected);
  await machine.commit(machine.live.active.backing!);
  expect(await machine.dirty()).toEqual(expected);
  const { live } = machine;
  await stream({ live, job: new Job('stream') }, live.active, undefined);
  expect(await machine.dirty()).toEqual(expected);
  await machine.reopen();
  await compact(machine.live.active, {}, new Job('compact'));
  await machine.reopen();
  expect(await machine.dirty()).toEqual(expected);
  expect(await listBitmaps(machine.live.active)).toEqual([
    { name: 'daily', granularity: BIT, enabled: true, trusted: true },
  ]);
});

it('begin anew with the overlay that is made for it, and by being cleared', async () => {
  const machine = await Machine.create();
  await addBitmap(machine.live.active, 'daily', BIT);
  await addBitmap(machine.live.active, 'weekly', BIT);
  await machine.write(1);
  await machine.overlay(['daily']);
  await machine.write(2);
  expect(await machine.dirty()).toEqual([block(2)]);
  expect(await machine.dirty('weekly')).toEqual([{ offset: BIT, length: 2 * BIT }]);
  await clearBitmap(machine.live.active, 'weekly');
  expect(await machine.dirty('weekly')).toEqual([]);
  await machine.commit();
  await machine.write(5);
  expect(await machine.dirty()).toEqual([block(2), block(5)]);
  expect((await listBitmaps(machine.live.active)).map(({ name }) => name).sort()).toEqual(['daily', 'weekly']);
  await removeBitmap(machine.live.active, 'daily');
  await expect(machine.dirty()).rejects.toMatchObject({ kind: 'missing' });
  await machine.reopen();
  expect((await listBitmaps(machine.live.active)).map(({ name }) => name)).toEqual(['weekly']);
});

it('what a larger disk has gained counts as changed', async () => {
  const machine = await Machine.create();
  await addBitmap(machine.live.active, 'daily', BIT);
  await machine.write(2);
  await resizeDisk(machine.live.active, SIZE + 2 * BIT);
  expect(await machine.dirty()).toEqual([block(2), { offset: SIZE, length: 2 * BIT }]);
});

it('are not trusted after a crash, whichever layer missed writes, until they are cleared', async () => {
  const machine = await Machine.create();
  await addBitmap(machine.live.active, 'daily', BIT);
  await machine.write(1);
  await machine.overlay();
  await machine.write(2);
  await machine.live.flush();
  machine.folder = machine.folder.copy();
  await machine.open();
  expect(await listBitmaps(machine.live.active)).toMatchObject([{ name: 'daily', trusted: false }]);
  await expect(machine.dirty()).rejects.toMatchObject({ kind: 'state' });
  await clearBitmap(machine.live.active, 'daily');
  await machine.write(4);
  await machine.reopen();
  expect(await machine.dirty()).toEqual([block(4)]);
});

it('a layer that knows nothing of them makes them untrusted', async () => {
  const machine = await Machine.create();
  await addBitmap(machine.live.active, 'daily', BIT);
  await machine.overlay();
  await removeBitmap(machine.live.active, 'daily');
  await machine.overlay();
  await expect(machine.dirty()).rejects.toMatchObject({ kind: 'missing' });
  await addBitmap(machine.live.active, 'daily', BIT);
  await machine.write(9);
  expect(await machine.dirty()).toEqual([block(9)]);
});

it('a raw disk keeps none, and a commit into it takes them along where it can', async () => {
  const machine = await Machine.create('raw');
  await expect(addBitmap(machine.live.active, 'daily', BIT)).rejects.toMatchObject({ kind: 'unsupported' });
  await machine.overlay();
  await addBitmap(machine.live.active, 'daily', BIT);
  await machine.write(1);
  await machine.overlay();
  await machine.write(2);
  // The layer above takes over what the raw one cannot.
  await machine.commit(machine.live.active.backing!);
  expect(machine.live.active.backing!.format).toBe('raw');
  expect(await machine.dirty()).toEqual([{ offset: BIT, length: 2 * BIT }]);
  await machine.commit();
  expect(await listBitmaps(machine.live.active)).toEqual([]);
});
