// The host refuses a step, each in turn: the error comes out typed, nothing half-made is listed, nothing leaks, and the
// next attempt succeeds.
import { describe, expect, test } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import { Random } from '../contract/random.ts';
import { readStamps, TreeModel } from './tree-model.ts';
import { World } from './world.ts';

async function scene(seed: number) {
  const world = new World();
  world.record = false;
  const model = await new TreeModel(world, new Random(seed)).open();
  const root = await model.take(undefined, 'file');
  const child = await model.take(root, 'file');
  const tip = await model.take(child, 'file');
  return { world, model, root, child, tip };
}

type Scene = Awaited<ReturnType<typeof scene>>;

const operations: readonly [string, (scene: Scene) => Promise<unknown>][] = [
  ['taking', ({ model, tip }) => model.take(tip, 'file')],
  ['taking all', ({ model }) => model.take(undefined, 'file')],
  ['deleting the root', ({ model, root }) => model.delete(root)],
  ['deleting the middle', ({ model, child }) => model.delete(child)],
  ['deleting a subtree', async ({ model, child }) => model.forget(await model.tree.deleteSubtree(child))],
  [
    'renaming',
    ({ model, root }) =>
      model.tree.rename(root, 'other').then(() => model.tree.rename(root, model.nodes.get(root)!.name)),
  ],
];

describe.each(operations)('%s', (_, operation) => {
  test.each([
    ['once', false],
    ['for good', true],
  ])('fails at each step, %s', async (_, stuck) => {
    let failures = 0;
    for (let step = 1; ; step += 1) {
      const at = await scene(31);
      const { world, model } = at;
      world.failAfter = step;
      world.failure = step % 2 === 0 ? 'io' : 'no-space';
      world.stuck = stuck;
      let failed = true;
      try {
        await operation(at);
        failed = false;
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(AfterimageError);
        expect((thrown as AfterimageError).kind).toBe(world.failure);
      }
      const spent = world.failAfter > 0 && world.failAfter !== Number.POSITIVE_INFINITY;
      world.failAfter = Number.POSITIVE_INFINITY;
      expect(world.open, `step ${step}`).toBe(0);
      // Whatever is listed restores; then it works.
      for (const node of model.tree.nodes) {
        const known = model.nodes.get(node.id);
        if (known !== undefined) expect(await readStamps(model.tree, node.id)).toEqual(known.stamps);
      }
      model.forget([...model.nodes.keys()].filter(id => !model.tree.nodes.some(node => node.id === id)));
      await model.open();
      for (const orphan of await model.tree.orphans()) await model.tree.removeOrphan(orphan.store, orphan.id);
      const listed = new Set(model.tree.nodes.map(node => node.id));
      model.forget([...model.nodes.keys()].filter(id => !listed.has(id)));
      for (const id of model.nodes.keys())
        expect(await readStamps(model.tree, id)).toEqual(model.nodes.get(id)!.stamps);
      await model.tree.collapse();
      expect((await model.tree.verify()).sound).toBe(true);
      expect([...world.names.keys()].filter(name => name.endsWith('.checkpoint.partial'))).toEqual([]);
      if (failed) failures += 1;
      if (spent && !failed) break;
    }
    expect(failures).toBeGreaterThan(2);
  });
});

test('a full disk ends a checkpoint, frees its bytes, and lets a smaller one succeed', async () => {
  const { world, model, tip } = await scene(33);
  const before = world.totalBytes;
  world.capacity = before + 20_000;
  await expect(model.take(undefined, 'file')).rejects.toMatchObject({ kind: 'no-space' });
  expect(world.totalBytes).toBe(before);
  expect(model.tree.nodes).toHaveLength(3);
  const draft = await model.tree.take({
    store: 'file',
    base: tip,
    spaces: [{ kind: 'memory', name: 'memory', bytes: 60 * 4096 }],
  });
  await draft.abort();
  expect(world.totalBytes).toBe(before);
  world.capacity = Number.POSITIVE_INFINITY;
  await model.take(undefined, 'file');
  await model.checkStorage();
});
