// Random trees of checkpoints beside a plain model: what each checkpoint must restore, and who comes after whom.
import type { BlockCodecs } from '../../engine/checkpoint/codecs.ts';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import type { Hex } from '../../engine/checkpoint/format.ts';
import { MemoryStore } from '../../engine/checkpoint/memory-store.ts';
import { RawMedium } from '../../engine/checkpoint/raw-medium.ts';
import type { CheckpointStore } from '../../engine/checkpoint/store.ts';
import { CheckpointTree, type DeleteOptions, type TakeOptions } from '../../engine/checkpoint/tree.ts';
import type { Random } from '../contract/random.ts';
import { about, identity, MACHINE, memory, pageOf, plain, stampsOf, zstd } from './content.ts';
import type { World } from './world.ts';

export interface ModelNode {
  readonly stamps: readonly number[];
  name: string;
  parent: Hex | undefined;
}

export const PAGES = 60;

export async function formatMedium(world: World, options = { bytes: 8 * 2 ** 20, unit: 8192, slotBytes: 16_384 }) {
  const file = world.writable('medium');
  await file.write(options.bytes - 1, [new Uint8Array(1)]);
  await RawMedium.format(file, options);
  await file.close();
}

export async function storesOf(world: World, medium: boolean): Promise<Map<string, CheckpointStore>> {
  const stores = new Map<string, CheckpointStore>([
    ['file', new FileStore(world.folder)],
    ['ram', new MemoryStore()],
  ]);
  if (medium) stores.set('raw', await RawMedium.open(world.writable('medium')));
  return stores;
}

export class TreeModel {
  readonly random: Random;
  readonly world: World;
  readonly nodes = new Map<Hex, ModelNode>();
  readonly codecs: BlockCodecs;
  stores!: Map<string, CheckpointStore>;
  tree!: CheckpointTree;
  /** Files of the medium that are open. */
  mediums = 0;
  #clock = 1_790_000_000_000;
  #stamp = 1;

  constructor(world: World, random: Random) {
    this.world = world;
    this.random = random;
    this.codecs = random.below(2) === 0 ? zstd : plain;
  }

  protected makeStores(medium: boolean): Promise<Map<string, CheckpointStore>> {
    return storesOf(this.world, medium);
  }

  async open(medium = false): Promise<this> {
    this.stores = await this.makeStores(medium);
    if (medium) this.mediums += 1;
    const { stores, codecs, random } = this;
    const bytes = (count: number) => Uint8Array.from({ length: count }, () => random.below(256));
    this.tree = await CheckpointTree.open({
      folder: this.world.folder,
      stores,
      machine: MACHINE,
      codecs,
      random: bytes,
    });
    return this;
  }

  /** Takes a checkpoint with some pages changed since `base`, a listed one or nothing. */
  async take(base: Hex | undefined, store: string, options: Partial<TakeOptions> = {}): Promise<Hex> {
    const { random, tree } = this;
    const before = base === undefined ? Array<number>(PAGES).fill(0) : this.nodes.get(base)!.stamps;
    const stamps = [...before];
    const changed: number[] = [];
    const most = random.pick([0, 3, 10, PAGES]);
    for (let page = 0; page < PAGES; page += 1) {
      if (base !== undefined && random.below(PAGES) >= most) continue;
      this.#stamp += 1;
      stamps[page] = random.below(4) === 0 ? 0 : this.#stamp;
      changed.push(page);
    }
    const spaces = [memory(PAGES)];
    const link = base === undefined ? {} : { base, parent: base };
    const parent = base ?? tree.current;
    const draft = await tree.take({ store, spaces, ...link, ...options });
    try {
      // Late pages last, in any order.
      changed.sort(() => random.below(3) - 1);
      for (let at = 0; at < changed.length; at += 5) {
        const pages = changed.slice(at, at + 5);
        await draft.writer.writePages(
          0,
          pages,
          pages.map(page => pageOf(page, stamps[page]!)),
        );
      }
    } catch (thrown) {
      await draft.abort();
      throw thrown;
    }
    this.#clock += 1000;
    const name = `at ${this.#clock}`;
    const origin = random.below(2) === 0 ? ('manual' as const) : ('automatic' as const);
    await draft.complete({
      about: about(name, { takenAt: this.#clock, origin }),
      state: Uint8Array.of(stamps[0]! & 255),
    });
    this.nodes.set(draft.id, { stamps, name, parent });
    return draft.id;
  }

  async delete(id: Hex, options: DeleteOptions = {}): Promise<void> {
    await this.tree.delete(id, options);
    this.forget([id]);
  }

  /** The model's part of a deletion. */
  forget(ids: readonly Hex[]): void {
    for (const id of ids) {
      const gone = this.nodes.get(id);
      if (gone === undefined) continue;
      this.nodes.delete(id);
      for (const node of this.nodes.values()) if (node.parent === id) node.parent = gone.parent;
    }
  }

  pickNode(): Hex {
    return this.random.pick([...this.nodes.keys()]);
  }

  /** Compares everything: list, names, links, and every page of every checkpoint. */
  async check(): Promise<void> {
    const { tree } = this;
    const want = [...this.nodes].map(([id, { name, parent }]) => ({ id, name, parent })).sort(byId);
    const got = tree.nodes.map(({ id, name, parent }) => ({ id, name, parent })).sort(byId);
    if (JSON.stringify(got) !== JSON.stringify(want)) {
      throw new Error(`Seed ${this.random.seed}: the tree is ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
    }
    for (const [id, { stamps }] of this.nodes) {
      const found = await readStamps(tree, id);
      const wrong = stamps.findIndex((stamp, page) => found[page] !== stamp);
      if (wrong >= 0) throw new Error(`Seed ${this.random.seed}: page ${wrong} of ${id} is ${found[wrong]}`);
    }
  }

  /** No more files than needed, none missing, all of them right. */
  async checkStorage(): Promise<void> {
    const report = await this.tree.verify();
    if (!report.sound) throw new Error(`Seed ${this.random.seed}: ${JSON.stringify(report)}`);
    let stored = 0;
    for (const store of this.stores.values()) for (const { bytes } of await store.list()) stored += bytes;
    const listed = this.tree.nodes.reduce((sum, node) => sum + (node.bytes ?? Number.NaN), 0);
    if (stored !== listed + this.tree.hiddenBytes) {
      throw new Error(
        `Seed ${this.random.seed}: ${stored} bytes are stored, ${listed} listed, ${this.tree.hiddenBytes} hidden`,
      );
    }
  }

  newIdentity(): Hex {
    return identity(this.random);
  }
}

export async function readStamps(tree: CheckpointTree, id: Hex): Promise<number[]> {
  const reader = await tree.open(id);
  try {
    return await stampsOf(reader);
  } finally {
    await reader.close();
  }
}

function byId(a: { id: Hex }, b: { id: Hex }): number {
  return a.id < b.id ? -1 : 1;
}
