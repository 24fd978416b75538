// The power fails at every step of every operation, and unsynced writes are kept, lost, torn or partly there: the tree
// is the old one or the new one, and every checkpoint that is listed restores as it was.
import { describe, expect, test } from 'vitest';
import { exportCheckpoint, exportInto } from '../../engine/checkpoint/export.ts';
import type { Hex } from '../../engine/checkpoint/format.ts';
import { importCheckpoint } from '../../engine/checkpoint/import.ts';
import { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { Random } from '../contract/random.ts';
import { plain, stampsOf } from './content.ts';
import { formatMedium, readStamps, TreeModel } from './tree-model.ts';
import { type Loss, World } from './world.ts';

// Trees to cut in each test; more for a long run.
const TREES = Number(process.env.AFTERIMAGE_CHECKPOINT_CUTS ?? 1);

const seedsFrom = (first: number) => Array.from({ length: TREES }, (_, index) => first + 100 * index);

type Known = ReadonlyMap<Hex, readonly number[]>;

interface Scene {
  readonly model: TreeModel;
  /** The operation under the power cuts. Afterwards the model says what must be there. */
  readonly run: () => Promise<void>;
  readonly medium?: boolean;
  /** A file may be complete and not yet listed. Deleting must not leave such a file. */
  readonly mayOrphan?: boolean;
}

const stampsOfAll = (model: TreeModel): Map<Hex, readonly number[]> =>
  new Map([...model.nodes].map(([id, node]) => [id, node.stamps]));

/** A tree with a fork, an increment on it, and one node on a medium when there is one. */
async function forked(seed: number, medium: boolean): Promise<{ model: TreeModel; ids: Hex[] }> {
  const world = new World();
  if (medium) await formatMedium(world, { bytes: 2 * 2 ** 20, unit: 8192, slotBytes: 4096 });
  const model = await new TreeModel(world, new Random(seed)).open(medium);
  const store = medium ? 'raw' : 'file';
  const root = await model.take(undefined, store);
  const left = await model.take(root, store);
  const right = await model.take(root, store);
  const tip = await model.take(left, store);
  return { model, ids: [root, left, right, tip] };
}

async function cutEverywhere({
  model,
  run,
  medium = false,
  mayOrphan = false,
}: Scene): Promise<{ cuts: number; old: number; new: number }> {
  const before: Known = stampsOfAll(model);
  const begin = model.world.steps.length;
  await run();
  const after: Known = stampsOfAll(model);
  const end = model.world.steps.length;
  const random = new Random(model.random.seed + 1000);
  const outcome = { cuts: 0, old: 0, new: 0 };
  for (let count = begin; count <= end; count += 1) {
    for (const loss of ['none', 'all', 'some', 'some', 'some'] as Loss[]) {
      const world = await World.afterCut(model.world.steps, count, loss, random);
      const what = `seed ${model.random.seed}, cut after ${count - begin} of ${end - begin} steps, losing ${loss}`;
      const reopened = await new TreeModel(world, new Random(1)).open(medium);
      const found = new Set(reopened.tree.nodes.map(node => node.id));
      const is = (known: Known) => found.size === known.size && [...known.keys()].every(id => found.has(id));
      expect(is(before) || is(after), what).toBe(true);
      if (is(after)) outcome.new += 1;
      else outcome.old += 1;
      outcome.cuts += 1;
      for (const id of found)
        expect(await readStamps(reopened.tree, id), what).toEqual(after.get(id) ?? before.get(id));
      // What is left over is reported, can be removed, and then everything is needed.
      if (!mayOrphan) expect(await reopened.tree.orphans(), what).toEqual([]);
      for (const orphan of await reopened.tree.orphans()) await reopened.tree.removeOrphan(orphan.store, orphan.id);
      await reopened.tree.collapse();
      const report = await reopened.tree.verify();
      expect(report, what).toMatchObject({ sound: true });
      expect(reopened.tree.hiddenBytes > 0 && found.size === 0, what).toBe(false);
      expect(
        [...world.names.keys()].filter(name => name.endsWith('.checkpoint.partial')),
        what,
      ).toEqual([]);
      for (const id of found)
        expect(await readStamps(reopened.tree, id), what).toEqual(after.get(id) ?? before.get(id));
    }
    if (count === end) expect(outcome.new, 'what was acknowledged stays').toBeGreaterThanOrEqual(5);
  }
  return outcome;
}

describe.each([
  ['files', false],
  ['a raw medium', true],
])('after a power cut, on %s', (_, medium) => {
  const store = medium ? 'raw' : 'file';

  test('taking leaves the old tree or the new one', async () => {
    for (const seed of seedsFrom(1)) {
      const { model, ids } = await forked(seed, medium);
      const run = async () => {
        await model.take(ids[3], store);
      };
      const { old, new: taken } = await cutEverywhere({ model, medium, run, mayOrphan: true });
      expect(old).toBeGreaterThan(5);
      expect(taken).toBeGreaterThan(4);
    }
  });

  test('deleting with a merge never harms another node', async () => {
    for (const seed of seedsFrom(4)) {
      for (const victim of [0, 1, 2, 3]) {
        const { model, ids } = await forked(seed, medium);
        const run = () => model.delete(ids[victim]!);
        await cutEverywhere({ model, medium, run });
      }
    }
  });

  test('deleting a subtree takes all of it or nothing', async () => {
    const { model, ids } = await forked(6, medium);
    const run = async () => model.forget(await model.tree.deleteSubtree(ids[1]!));
    await cutEverywhere({ model, medium, run });
  });

  test('merging what earlier deletions left changes nothing that is listed', async () => {
    const { model, ids } = await forked(7, medium);
    await model.delete(ids[0]!, { merge: 'later' });
    await model.delete(ids[1]!, { merge: 'later' });
    const run = async () => {
      await model.tree.collapse();
    };
    await cutEverywhere({ model, medium, run });
  });

  test('renaming gives the old name or the new one', async () => {
    const { model, ids } = await forked(8, medium);
    const begin = model.world.steps.length;
    const old = model.tree.node(ids[1]!).name;
    await model.tree.rename(ids[1]!, 'new');
    const random = new Random(8);
    const seen = new Set<string>();
    for (let count = begin; count <= model.world.steps.length; count += 1) {
      for (const loss of ['none', 'all', 'some', 'some'] as Loss[]) {
        const world = await World.afterCut(model.world.steps, count, loss, random);
        const reopened = await new TreeModel(world, new Random(1)).open(medium);
        seen.add(reopened.tree.node(ids[1]!).name);
      }
    }
    expect(seen).toEqual(new Set([old, 'new']));
  });

  test('importing brings all or nothing', async () => {
    const source = await forked(9, medium);
    const reader = await source.model.tree.open(source.ids[3]!);
    const file = new MemoryFile('exported');
    await exportCheckpoint(reader, [], file, plain);
    await reader.close();
    const { model } = await forked(10, medium);
    const run = async () => {
      const createDisk = async (): Promise<never> => {
        throw new Error('There is no disk in it');
      };
      const limits = { mostMemoryBytes: 2 ** 20, mostDiskBytes: 0 };
      const parts = { tree: model.tree, store, codecs: plain, createDisk, ...limits };
      const { id, about } = await importCheckpoint(file, parts);
      const { stamps } = source.model.nodes.get(source.ids[3]!)!;
      model.nodes.set(id, { stamps, name: about.name, parent: undefined });
    };
    await cutEverywhere({ model, medium, run, mayOrphan: true });
  });
});

test('an exported file is whole when it has its name', async () => {
  const source = await forked(12, false);
  const reader = await source.model.tree.open(source.ids[3]!);
  const world = new World();
  await exportInto(world.folder, 'out', file => exportCheckpoint(reader, [], file, plain));
  await reader.close();
  const random = new Random(12);
  let named = 0;
  for (let count = 0; count <= world.steps.length; count += 1) {
    for (const loss of ['none', 'all', 'some', 'some', 'some', 'some'] as Loss[]) {
      const after = await World.afterCut(world.steps, count, loss, random);
      if (!after.names.has('out')) continue;
      named += 1;
      const noParent = async () => expect.fail('it has no parent');
      const found = await CheckpointReader.open(await after.folder.open('out'), noParent, plain);
      expect(await stampsOf(found)).toEqual(source.model.nodes.get(source.ids[3]!)!.stamps);
    }
  }
  expect(named).toBeGreaterThan(5);
});

test('the cuts find what they are there for: a store that does not flush loses checkpoints', async () => {
  const { model } = await forked(11, false);
  const { steps } = model.world;
  const careless = steps.filter(step => step.kind !== 'flush');
  const random = new Random(11);
  let lost = 0;
  for (let round = 0; round < 20; round += 1) {
    const world = await World.afterCut(careless, careless.length, 'some', random);
    try {
      const reopened = await new TreeModel(world, new Random(1)).open();
      if (!(await reopened.tree.verify()).sound) lost += 1;
    } catch {
      lost += 1;
    }
  }
  expect(lost).toBeGreaterThan(15);
});
