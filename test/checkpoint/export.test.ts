import { describe, expect, test } from 'vitest';
import { aboutTable, type Disks } from '../../engine/checkpoint/about.ts';
import { type DiskRun, exportCheckpoint, exportInto, type FlatDisk } from '../../engine/checkpoint/export.ts';
import type { Hex } from '../../engine/checkpoint/format.ts';
import { type DiskSink, type ImportParts, importCheckpoint } from '../../engine/checkpoint/import.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { Random } from '../contract/random.ts';
import { about, PAGE, plain, zstd } from './content.ts';
import { PAGES, readStamps, TreeModel } from './tree-model.ts';
import { World } from './world.ts';

async function fresh(seed: number): Promise<TreeModel> {
  const world = new World();
  world.record = false;
  return await new TreeModel(world, new Random(seed)).open();
}

function flatDisk(device: string, content: Uint8Array, runs: readonly [number, number][]): FlatDisk {
  async function* all(): AsyncGenerator<DiskRun> {
    for (const [offset, end] of runs) yield { offset, bytes: content.subarray(offset, end) };
  }
  return { device, bytes: content.length, runs: all() };
}

// Ends in the middle of a page, as a disk of odd sectors does.
const DISK = new Uint8Array(40 * PAGE + 1536);
for (let at = 3 * PAGE; at < 9 * PAGE; at += 1) DISK[at] = at * 7;
for (let at = 38 * PAGE; at < DISK.length; at += 1) DISK[at] = at * 11;
const RUNS: [number, number][] = [
  [3 * PAGE, 8 * PAGE],
  [8 * PAGE, 9 * PAGE],
  [38 * PAGE, DISK.length],
];
const DISKS: Disks = {
  disks: [
    {
      device: 'disk0',
      layer: 'disks/a.qcow2',
      format: 'qcow2',
      size: DISK.length,
      ownCopy: false,
      temporary: true,
      space: undefined,
    },
  ],
};

async function exported(): Promise<{ file: MemoryFile; stamps: readonly number[]; id: Hex }> {
  const model = await fresh(21);
  const root = await model.take(undefined, 'file');
  const child = await model.take(root, 'file');
  const draft = await model.tree.take({
    store: 'file',
    base: child,
    spaces: [{ kind: 'memory', name: 'memory', bytes: PAGES * PAGE }],
  });
  const { stamps } = model.nodes.get(child)!;
  await draft.complete({ about: about('last', { note: 'noted' }), state: Uint8Array.of(1, 2, 3), disks: DISKS });
  const reader = await model.tree.open(draft.id);
  const world = new World();
  const progress: number[] = [];
  await exportInto(world.folder, 'out', file =>
    exportCheckpoint(reader, [flatDisk('disk0', DISK, RUNS)], file, zstd, {
      onProgress: ({ done, total }) => progress.push(done / total),
    }),
  );
  await reader.close();
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
  expect(progress.at(-1)).toBe(1);
  expect(world.open).toBe(0);
  expect([...world.names.keys()]).toEqual(['out']);
  return { file: new MemoryFile('out', world.content('out'), true), stamps, id: draft.id };
}

/** A sink into an array. */
class ArraySink implements DiskSink {
  readonly content: Uint8Array;
  state = 'open';

  constructor(bytes: number) {
    this.content = new Uint8Array(bytes);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.content.set(bytes, offset);
  }

  async finish() {
    this.state = 'finished';
    return { layer: 'disks/new.raw', format: 'raw' as const };
  }

  async abort(): Promise<void> {
    this.state = 'aborted';
  }
}

function partsFor(model: TreeModel, sinks: ArraySink[], change: Partial<ImportParts> = {}): ImportParts {
  const createDisk = async (_: string, bytes: number) => {
    const sink = new ArraySink(bytes);
    sinks.push(sink);
    return sink;
  };
  const limits = { mostMemoryBytes: 2 ** 20, mostDiskBytes: 2 ** 20 };
  return { tree: model.tree, store: 'file', codecs: plain, createDisk, ...limits, ...change };
}

describe('an exported checkpoint', () => {
  test('brings memory, state and disks to another machine, under an identity of its own', async () => {
    const { file, stamps, id } = await exported();
    const model = await fresh(22);
    const sinks: ArraySink[] = [];
    const imported = await importCheckpoint(file, partsFor(model, sinks));
    expect(imported.id).not.toBe(id);
    expect(imported.about).toEqual(about('last', { note: 'noted' }));
    expect(sinks.map(sink => sink.state)).toEqual(['finished']);
    expect(Buffer.from(sinks[0]!.content).equals(DISK)).toBe(true);
    expect(imported.disks.disks).toMatchObject([
      { device: 'disk0', layer: 'disks/new.raw', format: 'raw', temporary: true },
    ]);
    expect(await readStamps(model.tree, imported.id)).toEqual(stamps);
    const reader = await model.tree.open(imported.id);
    expect(await reader.section('state')).toEqual(Uint8Array.of(1, 2, 3));
    expect(await reader.table(aboutTable)).toMatchObject({ name: 'last' });
    await reader.close();
    expect((await model.tree.verify()).sound).toBe(true);
    expect(model.world.open).toBe(0);
  });

  test('is refused before anything is made: too large, incremental, incomplete, or without its disks', async () => {
    const { file } = await exported();
    const model = await fresh(23);
    const sinks: ArraySink[] = [];
    const refused = async (parts: ImportParts, from = file) =>
      await importCheckpoint(from, parts).then(
        () => 'accepted',
        error => (error as { kind: string }).kind,
      );
    expect(await refused(partsFor(model, sinks, { mostMemoryBytes: 1000 }))).toBe('too-large');
    expect(await refused(partsFor(model, sinks, { mostDiskBytes: 1000 }))).toBe('too-large');
    const other = await fresh(24);
    const root = await other.take(undefined, 'file');
    const child = await other.take(root, 'file');
    const increment = new MemoryFile('child', other.world.content(`${child}.checkpoint`));
    expect(await refused(partsFor(model, sinks), increment)).toBe('unsupported');
    expect(sinks).toEqual([]);
    expect(model.world.names.size).toBe(0);
  });

  test('leaves nothing when a block is damaged, a disk fails or it is cancelled', async () => {
    const { file } = await exported();
    const model = await fresh(25);
    const bytes = file.content();
    bytes[4096 + 100]! ^= 4;
    const sinks: ArraySink[] = [];
    const hurt = new MemoryFile('hurt', bytes);
    await expect(importCheckpoint(hurt, partsFor(model, sinks))).rejects.toMatchObject({
      kind: 'corrupt',
      context: { file: 'hurt' },
    });
    const failing = partsFor(model, sinks, {
      createDisk: async (_, size) => {
        const sink = new ArraySink(size);
        sinks.push(sink);
        sink.write = async () => {
          throw new Error('full');
        };
        return sink;
      },
    });
    await expect(importCheckpoint(file, failing)).rejects.toThrow('full');
    const cancellation = { aborted: false };
    const onProgress = () => {
      cancellation.aborted = true;
    };
    const cancelled = importCheckpoint(file, partsFor(model, sinks), { cancellation, onProgress });
    await expect(cancelled).rejects.toMatchObject({ context: { cancelled: true } });
    expect(sinks.every(sink => sink.state === 'aborted')).toBe(true);
    expect(model.tree.nodes).toEqual([]);
    expect([...model.world.names.keys()]).toEqual([]);
    expect(model.world.open).toBe(0);
  });

  test('needs every disk, and content that fits', async () => {
    const model = await fresh(26);
    const draft = await model.tree.take({ store: 'file', spaces: [{ kind: 'memory', name: 'memory', bytes: PAGE }] });
    draft.writer.writeZeroes(0, 0, 1);
    await draft.complete({ about: about('x'), disks: DISKS });
    const reader = await model.tree.open(draft.id);
    const world = new World();
    const attempt = (disks: readonly FlatDisk[]) =>
      exportInto(world.folder, 'out', file => exportCheckpoint(reader, disks, file, plain));
    await expect(attempt([])).rejects.toMatchObject({ kind: 'usage' });
    await expect(attempt([flatDisk('disk0', DISK.subarray(0, PAGE), [])])).rejects.toMatchObject({ kind: 'usage' });
    for (const runs of [
      [[PAGE, PAGE + 100]],
      [[512, PAGE + 512]],
      [
        [PAGE, 3 * PAGE],
        [2 * PAGE, 4 * PAGE],
      ],
    ] as [number, number][][]) {
      await expect(attempt([flatDisk('disk0', DISK, runs)])).rejects.toMatchObject({ kind: 'usage' });
    }
    expect(world.names.size).toBe(0);
    await reader.close();
  });
});
