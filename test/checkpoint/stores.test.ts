// One suite that every store must pass, and what is special to each.
import { describe, expect, test } from 'vitest';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import { MemoryStore } from '../../engine/checkpoint/memory-store.ts';
import { RawMedium } from '../../engine/checkpoint/raw-medium.ts';
import type { CheckpointStore } from '../../engine/checkpoint/store.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { Random } from '../contract/random.ts';
import { identity } from './content.ts';
import { formatMedium } from './tree-model.ts';
import { World } from './world.ts';

const A = 'aa'.repeat(16);
const B = 'bb'.repeat(16);
const UNIT = 4096;

async function mediumOf(world: World, bytes = 2 ** 19): Promise<RawMedium> {
  await formatMedium(world, { bytes, unit: UNIT, slotBytes: 4096 });
  return await RawMedium.open(world.writable('medium'));
}

async function store(into: CheckpointStore, id: string, content: Uint8Array): Promise<void> {
  const draft = await into.begin(id);
  // In pieces, with the beginning last, as the writer does.
  await draft.file.write(100, [content.subarray(100, 5000), content.subarray(5000)]);
  await draft.file.write(0, [content.subarray(0, 100)]);
  await draft.complete();
}

async function stored(from: CheckpointStore, id: string): Promise<Uint8Array> {
  const file = await from.open(id);
  try {
    return await contentOf(file);
  } finally {
    await file.close();
  }
}

async function contentOf(file: HostFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(await file.size());
  await file.read(0, [bytes.subarray(0, 7), bytes.subarray(7)]);
  return bytes;
}

const some = (length: number, seed: number) => Uint8Array.from({ length }, (_, at) => (at * 31 + seed) % 253);

describe.each([
  ['files', async (world: World): Promise<CheckpointStore> => new FileStore(world.folder)],
  ['memory', async (): Promise<CheckpointStore> => new MemoryStore()],
  ['a raw medium', async (world: World): Promise<CheckpointStore> => mediumOf(world)],
])('a store of %s', (_, make) => {
  test('gives back what was completed, and only that', async () => {
    const all = await make(new World());
    await expect(all.open(A)).rejects.toMatchObject({ kind: 'missing' });
    await store(all, A, some(30_000, 1));
    await store(all, B, some(9000, 2));
    const draft = await all.begin('cc'.repeat(16));
    await draft.file.write(0, [some(100, 3)]);
    expect([...(await all.list())].sort((a, b) => a.bytes - b.bytes)).toEqual([
      { id: B, bytes: 9000 },
      { id: A, bytes: 30_000 },
    ]);
    await draft.abort();
    await draft.abort();
    const file = await all.open(A);
    expect(await contentOf(file)).toEqual(some(30_000, 1));
    const beyond = new Uint8Array(200).fill(9);
    await file.read(29_900, [beyond]);
    expect(beyond).toEqual(Uint8Array.of(...some(30_000, 1).subarray(29_900), ...new Uint8Array(100)));
    await expect(file.write(0, [Uint8Array.of(1)])).rejects.toMatchObject({ kind: 'denied' });
    await file.close();
  });

  test('keeps an open file readable when it is replaced, removed, and its place used again', async () => {
    const all = await make(new World());
    await store(all, A, some(30_000, 1));
    const old = await all.open(A);
    await store(all, A, some(20_000, 2));
    const replaced = await all.open(A);
    await all.remove(A);
    await all.remove(A);
    for (let round = 0; round < 5; round += 1) await store(all, identity(new Random(round)), some(30_000, 9));
    expect(await contentOf(old)).toEqual(some(30_000, 1));
    expect(await contentOf(replaced)).toEqual(some(20_000, 2));
    await old.close();
    await replaced.close();
    await expect(all.open(A)).rejects.toMatchObject({ kind: 'missing' });
  });

  test('keeps the old one when a replacement is given up', async () => {
    const all = await make(new World());
    await store(all, A, some(30_000, 1));
    const draft = await all.begin(A);
    await draft.file.write(0, [some(10_000, 5)]);
    await draft.abort();
    expect(await stored(all, A)).toEqual(some(30_000, 1));
  });
});

describe('files', () => {
  test('sweep removes what was interrupted and nothing else', async () => {
    const world = new World();
    const files = new FileStore(world.folder);
    await store(files, A, some(9000, 1));
    world.put(`${B}.checkpoint.partial`, some(500, 1));
    world.put('notes.txt', some(5, 1));
    expect(await files.sweep()).toBe(500);
    expect([...world.names.keys()].sort()).toEqual([`${A}.checkpoint`, 'notes.txt']);
    expect(await files.sweep()).toBe(0);
    await expect(files.begin('../../x')).rejects.toMatchObject({ kind: 'usage' });
  });
});

describe('memory', () => {
  test('is bounded and given back', async () => {
    const all = new MemoryStore(3 * 2 ** 20);
    await store(all, A, some(2 ** 20 + 1, 1));
    expect(all.usedBytes).toBe(2 * 2 ** 20);
    const draft = await all.begin(B);
    await expect(draft.file.write(0, [new Uint8Array(2 ** 20 + 1)])).rejects.toMatchObject({ kind: 'no-space' });
    await draft.abort();
    await all.remove(A);
    expect(all.usedBytes).toBe(0);
  });
});

describe('a raw medium', () => {
  test('uses scattered units, says when it is full, and gets all of it back', async () => {
    const world = new World();
    const medium = await mediumOf(world);
    const free = medium.freeBytes;
    const ids = Array.from({ length: 20 }, (_, index) => index.toString(16).padStart(32, '0'));
    for (const id of ids) await store(medium, id, some(5 * UNIT, 1));
    for (const id of ids.filter((_, index) => index % 2 === 0)) await medium.remove(id);
    const large = some(30 * UNIT + 5, 7);
    await store(medium, A, large);
    expect(await stored(medium, A)).toEqual(large);
    const draft = await medium.begin(B);
    const tooMuch = draft.file.write(0, [new Uint8Array(medium.freeBytes + 1)]);
    await expect(tooMuch).rejects.toMatchObject({ kind: 'no-space' });
    await draft.abort();
    const again = await RawMedium.open(world.writable('medium'));
    expect(again.freeBytes).toBe(free - (10 * 5 + 31) * UNIT);
    expect(await stored(again, A)).toEqual(large);
    for (const { id } of await again.list()) await again.remove(id);
    expect(again.freeBytes).toBe(free);
  });

  test('says when its directory is full and stays usable', async () => {
    const world = new World();
    await formatMedium(world, { bytes: 2 ** 20, unit: UNIT, slotBytes: 4096 });
    const medium = await RawMedium.open(world.writable('medium'));
    let count = 0;
    const fill = async () => {
      for (; ; count += 1) await store(medium, count.toString(16).padStart(32, '0'), some(200, count));
    };
    await expect(fill()).rejects.toMatchObject({ kind: 'no-space' });
    expect(count).toBe(Math.floor((4096 - 24) / 36));
    await medium.remove('0'.repeat(32));
    await store(medium, A, some(300, 1));
  });

  test('does not touch what a failed directory may name, and never the present directory', async () => {
    const world = new World();
    const medium = await mediumOf(world);
    await store(medium, A, some(20_000, 1));
    const free = medium.freeBytes;
    for (let round = 0; round < 4; round += 1) {
      const draft = await medium.begin(B);
      await draft.file.write(0, [some(10_000, round)]);
      // The directory is written, its flush fails: it may be there after a power cut.
      world.failAfter = 3;
      await expect(draft.complete()).rejects.toMatchObject({ kind: 'no-space' });
      await draft.abort();
      const after = await World.afterCut(world.steps, world.steps.length, 'none', new Random(1));
      const reopened = await RawMedium.open(after.writable('medium'));
      expect(await stored(reopened, A)).toEqual(some(20_000, 1));
      const maybe = (await reopened.list()).find(({ id }) => id === B);
      if (maybe !== undefined) expect(await stored(reopened, B)).toEqual(some(10_000, round));
      expect(medium.freeBytes).toBeLessThan(free);
    }
    await store(medium, B, some(10_000, 9));
    expect(medium.freeBytes).toBe(free - 3 * UNIT);
    await medium.remove(B);
    expect(medium.freeBytes).toBe(free);
  });
});
