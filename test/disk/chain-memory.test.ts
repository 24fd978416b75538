// What the metadata of a deep chain takes in memory is bounded for the process, not for each layer.
import { expect, it, onTestFinished } from 'vitest';
import { createWhole } from '../../engine/disk/chain/folder.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { layersFrom, openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { L2_CACHE_BYTES, METADATA_MEMORY_BYTES, REFCOUNT_CACHE_BYTES } from '../../engine/disk/qcow2/limits.ts';
import { MetadataMemory, sharedMemory } from '../../engine/disk/qcow2/metadata-memory.ts';
import { MemoryFolder } from './memory-folder.ts';

const KIB = 1024;
const LAYERS = 60;
/** A slice of extended entries for clusters of 16 KiB describes so much. */
const SLICE_SPAN = 16 * 1024 * KIB;
const SLICES = 6;
const MOST = 2 * 1024 * KIB;
const IN_FLIGHT = 16;

async function deepChain(folder: MemoryFolder): Promise<LiveDisk> {
  const size = SLICES * SLICE_SPAN;
  await createWhole(folder, 'layer0', file => createImage(file, { size, clusterSize: 16 * KIB, extendedL2: true }));
  const live = new LiveDisk(await openChain(folder, { path: 'layer0', format: 'qcow2' }, { access: 'write' }));
  for (let index = 1; index <= LAYERS; index += 1) {
    for (let slice = 0; slice < SLICES; slice += 1) await live.write(place(slice, index), [sector(slice, index)]);
    if (index === LAYERS) break;
    await live.switchTo(await createOverlay(live.active, `layer${index}`, { clusterSize: 16 * KIB })).frozen;
  }
  return live;
}

function place(slice: number, layer: number): number {
  return slice * SLICE_SPAN + layer * 512;
}

function sector(slice: number, layer: number): Uint8Array {
  return new Uint8Array(512).fill(slice * LAYERS + layer);
}

it('the caches of a chain of 60 layers stay within the bound of the process, and the content is right', async () => {
  const { most } = sharedMemory;
  onTestFinished(() => {
    sharedMemory.most = most;
  });
  // What each cache may take by itself would be twenty times as much.
  expect(METADATA_MEMORY_BYTES * 15).toBeLessThan(LAYERS * (L2_CACHE_BYTES + REFCOUNT_CACHE_BYTES));
  expect(most).toBe(METADATA_MEMORY_BYTES);
  sharedMemory.most = MOST;
  const live = await deepChain(new MemoryFolder());
  // Each layer needs its own slices for the same places, 5.6 MiB in all.
  expect(LAYERS * SLICES * 16 * KIB).toBeGreaterThan(2 * MOST);
  let peak = 0;
  for (let round = 0; round < 2; round += 1) {
    for (let from = 0; from < LAYERS * SLICES; from += IN_FLIGHT) {
      const reads = Array.from({ length: IN_FLIGHT }, async (_, index) => {
        const [slice, layer] = [(from + index) % SLICES, 1 + (Math.floor((from + index) / SLICES) % LAYERS)];
        const found = new Uint8Array(512);
        await live.read(place(slice, layer), [found]);
        peak = Math.max(peak, sharedMemory.bytes);
        expect(found).toEqual(sector(slice, layer));
      });
      await Promise.all(reads);
    }
  }
  // One slice for each request in flight comes on top, until the next one waits.
  expect(peak).toBeLessThanOrEqual(MOST + IN_FLIGHT * 16 * KIB);
  expect(peak).toBeGreaterThan(MOST / 2);
  let cached = 0;
  for (const { image } of layersFrom(live.active)) cached += (await image?.cachedBytes()) ?? 0;
  expect(cached).toBeLessThanOrEqual(sharedMemory.bytes);
  await live.close();
  expect(sharedMemory.bytes).toBe(0);
});

it('who keeps much gives first to last in turn, and what cannot be given stays', async () => {
  const memory = new MetadataMemory(100);
  const user = (left: number) => {
    const self = {
      gave: 0,
      relinquish: () => {
        if (left === 0) return false;
        left -= 1;
        self.gave += 1;
        memory.gave(self, 10);
        return true;
      },
    };
    return self;
  };
  const [one, two, stubborn] = [user(10), user(10), user(0)];
  for (const each of [one, two]) for (let count = 0; count < 5; count += 1) memory.took(each, 10);
  expect([one.gave, two.gave]).toEqual([0, 0]);
  memory.took(stubborn, 40);
  await Promise.resolve();
  expect([one.gave, two.gave, memory.bytes]).toEqual([2, 2, 100]);
  memory.took(stubborn, 100);
  await Promise.resolve();
  expect(memory.bytes).toBe(140);
});
