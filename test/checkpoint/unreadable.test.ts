// Deleted checkpoints whose files others build on, when it cannot be known for a time who does (@req C16).
import { expect, test } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import type { CheckpointStore } from '../../engine/checkpoint/store.ts';
import { Random } from '../contract/random.ts';
import { TreeModel } from './tree-model.ts';
import { World } from './world.ts';

/** A store whose medium is there or not, as the test has it. */
class Removable implements CheckpointStore {
  readonly durable = true;
  readonly #inner: CheckpointStore;
  away = false;

  constructor(inner: CheckpointStore) {
    this.#inner = inner;
  }

  get lost(): boolean {
    return this.away;
  }

  #there(): CheckpointStore {
    if (this.away) throw new AfterimageError('missing', 'The medium is not there');
    return this.#inner;
  }

  begin = async (id: string) => await this.#there().begin(id);
  open = async (id: string) => await this.#there().open(id);
  list = async () => (this.away ? [] : await this.#inner.list());
  remove = async (id: string) => (this.away ? undefined : await this.#inner.remove(id));
  sweep = async () => (this.away ? 0 : await this.#inner.sweep());
}

/** A tree over two worlds: files, and a medium that can be taken away. */
class Machine extends TreeModel {
  readonly medium = new World();
  removable!: Removable;
  away = false;

  protected override async makeStores() {
    const stores = await super.makeStores(false);
    this.removable = new Removable(new FileStore(this.medium.folder));
    this.removable.away = this.away;
    return stores.set('raw', this.removable);
  }
}

async function fresh(): Promise<Machine> {
  const world = new World();
  world.record = false;
  return await new Machine(world, new Random(3)).open();
}

test('a file that a checkpoint on a lost medium builds on stays, also when it was deleted', async () => {
  const model = await fresh();
  const base = await model.take(undefined, 'file');
  const heir = await model.take(base, 'raw');
  await model.delete(base, { merge: 'later' });
  model.away = true;
  await model.open();
  await model.tree.collapse();
  await model.take(undefined, 'file');
  model.away = false;
  await model.open();
  expect(model.tree.nodes.map(({ id }) => id)).toContain(heir);
  await model.check();
  // Who builds on what is known again, so what was put off is done now.
  await model.tree.collapse();
  await model.check();
  expect(model.tree.hiddenBytes).toBe(0);
});

test('in one process, too: the medium comes back between two deletions', async () => {
  const model = await fresh();
  const base = await model.take(undefined, 'file');
  await model.take(base, 'raw');
  await model.delete(base, { merge: 'later' });
  const other = await model.take(undefined, 'file');
  model.away = true;
  await model.open();
  await model.delete(other);
  expect(model.tree.hiddenBytes).toBeGreaterThan(0);
  model.removable.away = false;
  await model.tree.collapse();
  await model.check();
  expect(model.tree.hiddenBytes).toBe(0);
});

test('a file that cannot be read for a moment keeps what it builds on', async () => {
  const model = await fresh();
  const base = await model.take(undefined, 'file');
  const heir = await model.take(base, 'file');
  await model.delete(base, { merge: 'later' });
  const { folder } = model.world;
  const failing = { ...folder };
  failing.open = async name => {
    if (name.startsWith(heir)) throw new AfterimageError('io', 'The host failed as the test asked for', { file: name });
    return await folder.open(name);
  };
  Object.defineProperty(model.world, 'folder', { get: () => failing, configurable: true });
  await model.open();
  Reflect.deleteProperty(model.world, 'folder');
  await model.open();
  await model.check();
});

test('a checkpoint whose file is gone for good keeps nothing from being removed', async () => {
  const model = await fresh();
  const base = await model.take(undefined, 'file');
  const heir = await model.take(base, 'file');
  await model.delete(base, { merge: 'later' });
  model.world.names.delete(`${heir}.checkpoint`);
  await model.open();
  expect(model.tree.hiddenBytes).toBe(0);
});

test('a checkpoint that fails at any one step leaves no file that could be listed later', async () => {
  let failures = 0;
  for (let step = 1; ; step += 1) {
    const model = await fresh();
    const first = await model.take(undefined, 'file');
    const { world } = model;
    world.failAfter = step;
    world.failure = 'io';
    const failed = await model.take(first, 'file').then(
      () => false,
      () => true,
    );
    world.failAfter = Number.POSITIVE_INFINITY;
    if (!failed) break;
    failures += 1;
    expect(await model.tree.orphans(), `step ${step}`).toEqual([]);
    await model.open();
    await model.check();
  }
  // Creating, writing, two flushes and the renaming of each of two files, at the least.
  expect(failures).toBeGreaterThan(8);
});
