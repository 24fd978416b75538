import { describe, expect, test } from 'vitest';
import type { Hex } from '../../engine/checkpoint/format.ts';
import { RawMedium } from '../../engine/checkpoint/raw-medium.ts';
import { expired } from '../../engine/checkpoint/retention.ts';
import { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import { Random } from '../contract/random.ts';
import { about, MACHINE, memory, pageOf, plain, stampsOf } from './content.ts';
import { formatMedium, PAGES, readStamps, storesOf, TreeModel } from './tree-model.ts';
import { World } from './world.ts';

const SEQUENCES = Number(process.env.AFTERIMAGE_CHECKPOINT_SEQUENCES ?? 60);
const FIRST_SEED = Number(process.env.AFTERIMAGE_CHECKPOINT_SEED ?? 1);

async function fresh(seed = 1): Promise<TreeModel> {
  const world = new World();
  world.record = false;
  return await new TreeModel(world, new Random(seed)).open();
}

async function chainOf(model: TreeModel, length: number): Promise<Hex[]> {
  const ids: Hex[] = [];
  for (let index = 0; index < length; index += 1) ids.push(await model.take(ids.at(-1), 'file'));
  return ids;
}

describe('a random tree', () => {
  test('restores every node as the model says, through deletions, merges, moves and reopening', async () => {
    let deletions = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEQUENCES; seed += 1) {
      const random = new Random(seed);
      const world = new World();
      world.record = false;
      const medium = random.below(2) === 0;
      if (medium) await formatMedium(world);
      const model = await new TreeModel(world, random).open(medium);
      const empty = model.stores.get('raw');
      const freeBytes = empty instanceof RawMedium ? empty.freeBytes : 0;
      const durable = medium ? ['file', 'raw'] : ['file'];
      for (let step = 0; step < 25; step += 1) {
        const what = model.nodes.size === 0 ? 0 : random.below(12);
        if (what < 5) {
          const base = model.nodes.size === 0 || random.below(6) === 0 ? undefined : model.pickNode();
          const inMemory = base !== undefined && !model.tree.node(base).durable;
          await model.take(base, inMemory || random.below(5) === 0 ? 'ram' : random.pick(durable));
        } else if (what < 8) {
          deletions += 1;
          await model.delete(model.pickNode(), { merge: random.pick(['now', 'now', 'when-worth', 'later'] as const) });
        } else if (what === 8) {
          model.forget(await model.tree.deleteSubtree(model.pickNode()));
        } else if (what === 9) {
          await model.tree.persist(model.pickNode(), random.pick(durable));
        } else if (what === 10) {
          model.forget(await model.tree.retain({ latest: random.below(4) }));
        } else {
          for (const node of model.tree.nodes) if (!node.durable) model.forget([node.id]);
          await model.open(medium);
        }
        await model.check();
      }
      await model.tree.collapse();
      await model.check();
      await model.checkStorage();
      for (const id of [...model.nodes.keys()]) await model.delete(id);
      await model.checkStorage();
      expect(model.tree.hiddenBytes).toBe(0);
      for (const store of model.stores.values()) expect(await store.list()).toEqual([]);
      expect(world.open, 'open files').toBe(model.mediums);
      const raw = model.stores.get('raw');
      if (raw instanceof RawMedium) expect(raw.freeBytes).toBe(freeBytes);
    }
    expect(deletions).toBeGreaterThan(SEQUENCES);
  });
});

describe('deleting', () => {
  test('the root of a chain merges it into its child and frees what only it had', async () => {
    const model = await fresh();
    const [root, child] = await chainOf(model, 3);
    const before = model.world.totalBytes;
    await model.delete(root!);
    model.world.collect();
    expect(model.tree.node(child!).base).toBeUndefined();
    expect(model.world.totalBytes).toBeLessThanOrEqual(before);
    await model.check();
    await model.checkStorage();
  });

  test('a node with two children keeps its file, hidden, until one is left', async () => {
    const model = await fresh(4);
    const root = await model.take(undefined, 'file');
    const one = await model.take(root, 'file');
    const two = await model.take(root, 'file');
    await model.delete(root);
    expect(model.tree.hiddenBytes).toBeGreaterThan(0);
    expect(model.tree.nodes.map(node => node.parent)).toEqual([undefined, undefined]);
    await model.check();
    await model.checkStorage();
    await model.delete(one);
    expect(model.tree.hiddenBytes).toBe(0);
    expect(model.tree.node(two).base).toBeUndefined();
    await model.check();
    await model.checkStorage();
  });

  test('is refused for a protected node, also in a subtree, and then changes nothing', async () => {
    const model = await fresh();
    const [root, , last] = await chainOf(model, 3);
    await model.tree.protect(last!, true);
    await expect(model.tree.delete(last!)).rejects.toMatchObject({ kind: 'state' });
    await expect(model.tree.deleteSubtree(root!)).rejects.toMatchObject({ kind: 'state' });
    await model.check();
    await model.tree.protect(last!, false);
    expect(await model.tree.deleteSubtree(root!)).toHaveLength(3);
    expect(model.tree.nodes).toEqual([]);
  });

  test('the current node moves the position to its parent', async () => {
    const model = await fresh();
    const [root, child] = await chainOf(model, 2);
    expect(model.tree.current).toBe(child);
    await model.delete(child!);
    expect(model.tree.current).toBe(root);
    await model.delete(root!);
    expect(model.tree.current).toBeUndefined();
  });

  test('can be cancelled in the merge: the node is gone, nothing is lost, and it can be finished later', async () => {
    const model = await fresh(2);
    const [root] = await chainOf(model, 2);
    let calls = 0;
    const cancellation = { aborted: false };
    const onProgress = () => {
      calls += 1;
      cancellation.aborted = true;
    };
    const deleting = model.tree.delete(root!, { cancellation, onProgress });
    await expect(deleting).rejects.toMatchObject({ kind: 'state', context: { cancelled: true } });
    expect(calls).toBe(1);
    model.forget([root!]);
    await model.check();
    expect(model.tree.hiddenBytes).toBeGreaterThan(0);
    expect((await model.tree.verify()).sound).toBe(true);
    await model.tree.collapse();
    expect(model.tree.hiddenBytes).toBe(0);
    await model.check();
    await model.checkStorage();
  });

  test('leaves open readers alone', async () => {
    const model = await fresh();
    const [root, child] = await chainOf(model, 2);
    const expected = model.nodes.get(child!)!.stamps;
    const reader = await model.tree.open(child!);
    await model.delete(root!);
    await model.delete(child!);
    expect(await stampsOf(reader)).toEqual(expected);
    await reader.close();
    expect(model.world.open).toBe(0);
  });

  test('does not merge a file that is pinned, which would keep its pages twice', async () => {
    const model = await fresh();
    const [root, child] = await chainOf(model, 2);
    model.tree.pin(root!);
    await model.delete(root!);
    expect(model.tree.node(child!).base).toBe(root);
    model.tree.unpin(root!);
    await model.tree.collapse();
    expect(model.tree.node(child!).base).toBeUndefined();
    await model.check();
    await model.checkStorage();
  });

  test('keeps a file that is pinned, so that the next increment can build on it', async () => {
    const model = await fresh();
    const [root, child] = await chainOf(model, 2);
    const { stamps } = model.nodes.get(child!)!;
    model.tree.pin(child!);
    await model.delete(child!);
    await model.tree.collapse();
    const draft = await model.tree.take({
      store: 'file',
      base: child!,
      spaces: [memory(PAGES)],
    });
    model.tree.unpin(child!);
    await model.tree.collapse();
    await draft.complete({ about: about('next') });
    expect(await readStamps(model.tree, draft.id)).toEqual(stamps);
    expect(model.tree.node(draft.id).parent).toBe(root);
    await model.tree.collapse();
    expect(model.tree.hiddenBytes).toBe(0);
    expect(await readStamps(model.tree, draft.id)).toEqual(stamps);
    await expect(model.tree.take({ store: 'file', base: child!, spaces: [] })).rejects.toMatchObject({
      kind: 'missing',
    });
  });
});

describe('calls that overlap', () => {
  test('give what they would give one after the other', async () => {
    for (let seed = 40; seed < 55; seed += 1) {
      const model = await fresh(seed);
      const ids = await chainOf(model, 6);
      const tip = ids[5]!;
      const { stamps } = model.nodes.get(tip)!;
      // Readers open while their chain is merged under them; a checkpoint is taken on a base that is being rewritten.
      const deleting = [0, 2, 3].map(index => model.tree.delete(ids[index]!));
      const reading = Array.from({ length: 8 }, () => readStamps(model.tree, tip));
      const renaming = model.tree.rename(ids[1]!, 'renamed');
      const draft = await model.tree.take({ store: 'file', base: tip, spaces: [memory(PAGES)] });
      await draft.writer.writePages(0, [7], [pageOf(7, 9999)]);
      const taking = draft.complete({ about: about('taken') });
      const verifying = model.tree.verify();
      await Promise.all([...deleting, renaming, taking]);
      for (const found of await Promise.all(reading)) expect(found).toEqual(stamps);
      expect((await verifying).nodes.flatMap(node => node.problems)).toEqual([]);
      const expected = [...stamps];
      expected[7] = 9999;
      expect(await readStamps(model.tree, draft.id)).toEqual(expected);
      await model.tree.collapse();
      expect(model.tree.nodes.map(node => node.id)).toEqual(expect.arrayContaining([ids[1], ids[4], tip, draft.id]));
      expect(model.tree.nodes).toHaveLength(4);
      expect(model.tree.node(ids[1]!).name).toBe('renamed');
      expect((await model.tree.verify()).sound).toBe(true);
      expect(model.world.open).toBe(0);
    }
  });
});

describe('retention', () => {
  test('never touches manual or protected ones', async () => {
    const model = await fresh(5);
    await chainOf(model, 20);
    const manual = model.tree.nodes.filter(node => node.origin === 'manual').map(node => node.id);
    const automatic = model.tree.nodes.filter(node => node.origin === 'automatic').map(node => node.id);
    expect(automatic.length).toBeGreaterThan(5);
    await model.tree.protect(automatic[0]!, true);
    model.forget(await model.tree.retain({ latest: 2 }));
    const left = model.tree.nodes.map(node => node.id);
    expect(left).toEqual(expect.arrayContaining([...manual, automatic[0]!, ...automatic.slice(-2)]));
    expect(left).toHaveLength(new Set([...manual, automatic[0], ...automatic.slice(-2), model.tree.current]).size);
    await model.check();
  });

  test('keeps one for each period', async () => {
    const nodes = Array.from({ length: 48 }, (_, hour) => ({
      id: `${hour}`,
      takenAt: hour * 3_600_000,
      origin: 'automatic' as const,
      protected: false,
    }));
    const gone = new Set(expired(nodes, { latest: 2, periods: [{ milliseconds: 24 * 3_600_000, count: 7 }] }, '30'));
    expect(nodes.map(node => node.id).filter(id => !gone.has(id))).toEqual(['23', '30', '46', '47']);
  });

  test('costs in proportion to change: a large base is not rewritten for each small increment', async () => {
    const model = await fresh(6);
    const spaces = [memory(1000)];
    const full = await model.tree.take({ store: 'file', spaces });
    for (let page = 0; page < 1000; page += 1) await full.writer.writePages(0, [page], [pageOf(page, 3)]);
    const { bytes } = await full.complete({ about: about('base', { origin: 'automatic' }) });
    let last = full.id;
    const before = model.world.bytesWritten;
    for (let round = 0; round < 40; round += 1) {
      const draft = await model.tree.take({ store: 'file', base: last, spaces });
      await draft.writer.writePages(0, [round % 3], [pageOf(round % 3, round * 3)]);
      await draft.complete({ about: about('auto', { origin: 'automatic', takenAt: 1_800_000_000_000 + round }) });
      last = draft.id;
      await model.tree.retain({ latest: 3 });
    }
    const reader = await model.tree.open(last);
    expect(reader.files.length).toBeLessThan(12);
    await reader.close();
    // Rewriting the base each time would be 40 times its size.
    expect(model.world.bytesWritten - before).toBeLessThan(bytes);
    await model.tree.collapse();
    expect(model.tree.nodes).toHaveLength(3);
    expect(model.tree.hiddenBytes).toBe(0);
  });
});

describe('a tree', () => {
  test('keeps names, notes and protection over reopening, and refuses what is too long', async () => {
    const model = await fresh();
    const [root] = await chainOf(model, 2);
    await model.tree.rename(root!, 'before the upgrade €');
    await model.tree.annotate(root!, 'a\nlong note');
    await model.tree.setCurrent(root!);
    await expect(model.tree.rename(root!, 'x'.repeat(201))).rejects.toMatchObject({ kind: 'usage' });
    const before = model.tree.nodes;
    await model.open();
    expect(model.tree.nodes).toEqual(before);
    expect(model.tree.node(root!)).toMatchObject({ name: 'before the upgrade €', note: 'a\nlong note', current: true });
  });

  test('lists what is in memory, and forgets it with the process unless it is persisted', async () => {
    const model = await fresh(8);
    const root = await model.take(undefined, 'file');
    const quick = await model.take(root, 'ram');
    const quicker = await model.take(quick, 'ram');
    const lost = await model.take(quicker, 'ram');
    expect(model.tree.nodes).toHaveLength(4);
    await expect(model.tree.take({ store: 'file', base: quick, spaces: [] })).rejects.toMatchObject({ kind: 'usage' });
    await model.tree.persist(quicker, 'file');
    await model.check();
    expect(model.tree.node(quicker).base).toBe(root);
    await model.open();
    model.forget([quick, lost]);
    await model.check();
    await model.checkStorage();
  });

  test('says what is wrong: damage, missing files, orphans', async () => {
    const model = await fresh(9);
    const [root, child, other] = await chainOf(model, 3);
    const name = `${root}.checkpoint`;
    const bytes = model.world.content(name);
    bytes[5000]! ^= 1;
    model.world.put(name, bytes);
    model.world.put(`${'cd'.repeat(16)}.checkpoint`, bytes);
    await model.world.folder.remove(`${other}.checkpoint`);
    const report = await model.tree.verify();
    expect(report.sound).toBe(false);
    expect(report.orphans).toEqual([{ store: 'file', id: 'cd'.repeat(16), bytes: bytes.length }]);
    const kinds = new Map(report.nodes.map(node => [node.id, node.problems.map(problem => problem.kind)]));
    expect(kinds.get(root!)).toEqual(['corrupt']);
    expect(kinds.get(child!)).toEqual(['corrupt']);
    expect(kinds.get(other!)).toEqual(['missing']);
    await model.tree.removeOrphan('file', 'cd'.repeat(16));
    expect(await model.tree.orphans()).toEqual([]);
    expect(model.world.open).toBe(0);
  });

  test('is made anew from the files when tree.json is lost', async () => {
    const model = await fresh(11);
    await chainOf(model, 4);
    await model.world.folder.remove('tree.json');
    const stores = await storesOf(model.world, false);
    const parts = {
      folder: model.world.folder,
      stores,
      machine: MACHINE,
      codecs: plain,
      random: (count: number) => new Uint8Array(count),
    };
    model.tree = await CheckpointTree.rebuild(parts);
    await model.check();
    await model.checkStorage();
  });

  test('refuses a damaged tree.json with a typed error', async () => {
    const model = await fresh(12);
    await chainOf(model, 3);
    const good = JSON.parse(Buffer.from(model.world.content('tree.json')).toString()) as {
      version: number;
      machine: string;
      current: string;
      nodes: { id: string; parent?: string; name: unknown; store: string }[];
    };
    const changes: ((tree: typeof good) => void)[] = [
      tree => tree.nodes.push(tree.nodes[0]!),
      tree => Object.assign(tree.nodes[0]!, { parent: tree.nodes[2]!.id }),
      tree => Object.assign(tree.nodes[1]!, { parent: 'ee'.repeat(16) }),
      tree => Object.assign(tree.nodes[1]!, { name: 7 }),
      tree => Object.assign(tree.nodes[1]!, { takenAt: -1 }),
      tree => Object.assign(tree.nodes[1]!, { id: '../../etc/passwd' }),
      tree => Object.assign(tree, { current: 'ee'.repeat(16) }),
      tree => Object.assign(tree, { nodes: {} }),
      tree => Object.assign(tree, { version: 9 }),
    ];
    for (const change of changes) {
      const tree = structuredClone(good);
      change(tree);
      model.world.put('tree.json', new TextEncoder().encode(JSON.stringify(tree)));
      await expect(model.open()).rejects.toMatchObject({ kind: tree.version === 9 ? 'unsupported' : 'corrupt' });
    }
    model.world.put('tree.json', Uint8Array.of(0xff, 0x7b));
    await expect(model.open()).rejects.toMatchObject({ kind: 'corrupt' });
    Object.assign(good, { machine: 'bb'.repeat(16) });
    model.world.put('tree.json', new TextEncoder().encode(JSON.stringify(good)));
    await expect(model.open()).rejects.toMatchObject({ kind: 'state' });
  });

  test('reports sizes: its own, and what it takes from others', async () => {
    const model = await fresh(13);
    const [root, child] = await chainOf(model, 2);
    const alone = await model.tree.sizes(root!);
    expect(alone).toEqual({ own: model.tree.node(root!).bytes, shared: 0 });
    const both = await model.tree.sizes(child!);
    expect(both.own).toBe(model.tree.node(child!).bytes);
    expect(both.shared).toBeGreaterThan(0);
    expect(both.shared).toBeLessThan(alone.own);
  });
});
