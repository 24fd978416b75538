import { AfterimageError } from '../../base/errors.ts';
import { readU64, roundUp, viewOf, writeU64 } from './bytes.ts';
import { type Slice, SliceCache } from './cache.ts';
import type { Header } from './header.ts';
import type { Layout } from './layout.ts';
import * as limits from './limits.ts';
import { Mutex } from './locks.ts';
import { getRefcount, largestRefcount, setRefcount } from './refcount-width.ts';
import type { Storage } from './storage.ts';

const DURING_READ = 'read refcounts';
const DURING_ALLOCATE = 'allocate clusters';
const SECTOR = 512;
const ENTRIES_PER_SECTOR = SECTOR / 8;

/** Host clusters in a row, by number. */
export interface Extent {
  readonly first: number;
  readonly count: number;
}

export interface Allocation extends Extent {
  /** Nothing was ever there: the clusters read as zeroes where they are not written. */
  readonly fresh: boolean;
}

/** What a commit writes of the refcount table. */
export interface TableChange {
  /** Entries that changed since the last commit. */
  readonly indices: readonly number[];
  /** The sectors with those entries, unless the whole table is written. */
  readonly sectors: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  /** The whole table, when it has moved to a place that the header does not name yet. */
  readonly moved: { readonly offset: number; readonly clusters: number; readonly bytes: Uint8Array } | undefined;
  readonly replaced: Extent | undefined;
}

export interface RefcountParts {
  readonly storage: Storage;
  readonly layout: Layout;
  readonly header: Header;
  /** Waits until more metadata may be made dirty. */
  readonly room: () => Promise<void>;
  readonly cacheBytes: number;
}

/**
 * Which host clusters are in use, and by how many references. Changes are made in memory and reach the file by commits.
 * A cluster that loses a reference keeps it here until a commit has made its loss durable (`release`), so that no cut
 * can leave a cluster referred to and free, or referred to twice.
 */
export class Refcounts {
  readonly cache: SliceCache;
  readonly #storage: Storage;
  readonly #layout: Layout;
  readonly #bits: number;
  readonly #most: number;
  readonly #clustersPerBlock: number;
  readonly #clustersPerSlice: number;
  readonly #mutex = new Mutex();
  readonly #room: () => Promise<void>;
  #table: Float64Array;
  #tableAt: Extent;
  #changed = new Set<number>();
  #replaced: Extent | undefined;
  #moved = false;
  #released: Extent[] = [];
  #releasedClusters = 0;
  /** Free clusters whose space is on its way back to the host. */
  readonly #kept = new Set<number>();
  /** No cluster before it is free. */
  #hint = 0;

  private constructor(parts: RefcountParts, table: Float64Array) {
    const { clusterSize, refcountBits, refcountTable } = parts.header;
    this.#storage = parts.storage;
    this.#layout = parts.layout;
    this.#room = parts.room;
    this.#bits = refcountBits;
    this.#most = largestRefcount(refcountBits);
    this.#clustersPerBlock = (clusterSize * 8) / refcountBits;
    this.cache = new SliceCache(parts.storage, Math.min(clusterSize, limits.SLICE_BYTES), parts.cacheBytes);
    this.#clustersPerSlice = (this.cache.sliceSize * 8) / refcountBits;
    this.#table = table;
    this.#tableAt = { first: refcountTable.offset / clusterSize, count: refcountTable.clusters };
  }

  /** Reads and checks the refcount table and enters it and its blocks into the layout. */
  static async open(parts: RefcountParts): Promise<Refcounts> {
    const { storage, layout, header } = parts;
    const { offset, clusters } = header.refcountTable;
    const bytes = await storage.readBytes(offset, clusters * header.clusterSize);
    const table = new Float64Array(bytes.length / 8);
    const view = viewOf(bytes);
    layout.add('refcount table', offset, bytes.length);
    for (let index = 0; index < table.length; index += 1) {
      const block = readU64(view, index * 8);
      if (block === 0) continue;
      storage.checkRange(block, header.clusterSize, DURING_READ, 'A refcount block');
      layout.add('refcount block', block, header.clusterSize);
      table[index] = block;
    }
    return new Refcounts(parts, table);
  }

  /** Clusters released since the last commit began. */
  get releasedClusters(): number {
    return this.#releasedClusters;
  }

  get dirty(): boolean {
    return this.cache.dirty || this.#changed.size > 0 || this.#moved || this.#released.length > 0;
  }

  /** Finds free clusters in a row, at least one and at most `most`, and gives each a refcount of one. */
  allocate(most: number): Promise<Allocation> {
    return this.#mutex.run(async () => {
      await this.#room();
      for (;;) {
        const found = await this.#search(this.#hint, most);
        if (found !== undefined) return found;
      }
    });
  }

  /** As `allocate`, if that is possible without a wait. The caller has seen that there is room. */
  allocateNow(most: number): Allocation | undefined {
    if (!this.#mutex.idle) return undefined;
    const offset = this.#sliceOffset(this.#hint);
    const slice = offset === undefined ? undefined : this.cache.peek(offset);
    if (slice === undefined) return undefined;
    const found = this.#takeIn(slice, this.#hint, most, true);
    return typeof found === 'number' ? undefined : found;
  }

  /** Finds exactly `count` free clusters in a row, for a table. */
  allocateRow(count: number): Promise<Extent> {
    return this.#mutex.run(async () => {
      await this.#room();
      let from = this.#hint;
      let first = from;
      let length = 0;
      while (length < count) {
        const found = await this.#search(from, count - length);
        if (found === undefined) continue;
        if (length > 0 && found.first !== first + length) {
          await this.#lower({ first, count: length });
          length = 0;
        }
        if (length === 0) first = found.first;
        length += found.count;
        from = found.first + found.count;
      }
      return { first, count };
    });
  }

  /** One more reference to a cluster in use; false if its count has no room, or `wanted` says no in the same step. */
  addReference(cluster: number, wanted: () => boolean): Promise<boolean> {
    return this.#mutex.run(async () => {
      await this.#room();
      const offset = this.#sliceOffset(cluster) ?? this.#missing(cluster);
      for (;;) {
        const slice = this.cache.peek(offset);
        if (slice === undefined) {
          await this.cache.load(offset);
          continue;
        }
        if (!wanted()) return false;
        const value = this.#valueIn(slice, cluster);
        if (value === 0) this.#missing(cluster);
        if (value >= this.#most) return false;
        this.#set(cluster, value + 1);
        return true;
      }
    });
  }

  /** One reference less to each cluster, once the next commit is durable. The caller took the reference away. */
  release(extent: Extent): void {
    const last = this.#released.at(-1);
    if (last !== undefined && last.first + last.count === extent.first) {
      this.#released[this.#released.length - 1] = { first: last.first, count: last.count + extent.count };
    } else {
      this.#released.push(extent);
    }
    this.#releasedClusters += extent.count;
  }

  takeReleased(): Extent[] {
    const released = this.#released;
    this.#released = [];
    this.#releasedClusters = 0;
    return released;
  }

  /**
   * Takes the references away that were released and whose loss is durable now. Clusters that nothing refers to any more
   * are told and not given away until `giveAway`.
   */
  applyReleased(extents: readonly Extent[], freed: (cluster: number) => void): Promise<void> {
    return this.#mutex.run(async () => {
      for (const extent of extents) {
        await this.#room();
        await this.#lower(extent, cluster => {
          this.#kept.add(cluster);
          freed(cluster);
        });
      }
    });
  }

  /** Lets clusters be used again that `applyReleased` has freed. */
  giveAway({ first, count }: Extent): void {
    for (let cluster = first; cluster < first + count; cluster += 1) this.#kept.delete(cluster);
    this.#hint = Math.min(this.#hint, first);
  }

  takeTableChange(): TableChange {
    const sectors = new Set([...this.#changed].map(index => Math.floor(index / ENTRIES_PER_SECTOR)));
    const change: TableChange = {
      indices: [...this.#changed],
      sectors: this.#moved ? [] : [...sectors].map(sector => this.#encodeSector(sector)),
      moved: this.#moved
        ? {
            offset: this.#tableAt.first * this.#storage.clusterSize,
            clusters: this.#tableAt.count,
            bytes: this.#encodeTable(),
          }
        : undefined,
      replaced: this.#replaced,
    };
    this.#changed = new Set();
    this.#moved = false;
    this.#replaced = undefined;
    return change;
  }

  /** Puts back what a failed commit may not have written. */
  restoreTableChange(change: TableChange): void {
    for (const index of change.indices) this.#changed.add(index);
    if (change.moved !== undefined) this.#moved = true;
    if (change.replaced === undefined) return;
    // Moved again meanwhile: the place in between was never named by the header.
    if (this.#replaced !== undefined) this.release(this.#replaced);
    this.#replaced = change.replaced;
  }

  #encodeSector(sector: number): { at: number; bytes: Uint8Array } {
    const bytes = new Uint8Array(SECTOR);
    const view = viewOf(bytes);
    for (let entry = 0; entry < ENTRIES_PER_SECTOR; entry += 1) {
      writeU64(view, entry * 8, this.#table[sector * ENTRIES_PER_SECTOR + entry] ?? 0);
    }
    const at = this.#tableAt.first * this.#storage.clusterSize + sector * SECTOR;
    this.#layout.expect('refcount table', at, SECTOR);
    return { at, bytes };
  }

  #encodeTable(): Uint8Array {
    const bytes = new Uint8Array(this.#tableAt.count * this.#storage.clusterSize);
    const view = viewOf(bytes);
    this.#table.forEach((block, index) => {
      writeU64(view, index * 8, block);
    });
    return bytes;
  }

  /** Host offset of the slice with the cluster's refcount, or undefined if there is no block for it. */
  #sliceOffset(cluster: number): number | undefined {
    const block = this.#table[Math.floor(cluster / this.#clustersPerBlock)] ?? 0;
    if (block === 0) return undefined;
    const inBlock = cluster % this.#clustersPerBlock;
    return block + Math.floor(inBlock / this.#clustersPerSlice) * this.cache.sliceSize;
  }

  /** Takes free clusters in a row, the first at or after `from`. Returns undefined when the tables had to grow first. */
  async #search(from: number, most: number): Promise<Allocation | undefined> {
    const fromHint = from === this.#hint;
    for (let at = from; ; ) {
      const block = Math.floor(at / this.#clustersPerBlock);
      if (block >= this.#table.length) {
        await this.#grow();
        return undefined;
      }
      const offset = this.#sliceOffset(at);
      if (offset === undefined) {
        await this.#addBlock(block);
        return undefined;
      }
      const slice = this.cache.peek(offset);
      if (slice === undefined) {
        await this.cache.load(offset);
        continue;
      }
      const found = this.#takeIn(slice, at, most, fromHint);
      if (typeof found !== 'number') return found;
      at = found;
    }
  }

  /** Takes the first free clusters in a row of a slice, from `at` on, or returns the first cluster behind the slice. */
  #takeIn(slice: Slice, from: number, most: number, fromHint: boolean): Allocation | number {
    const { clusterSize } = this.#storage;
    let at = from;
    const first = at - (at % this.#clustersPerSlice);
    const end = first + this.#clustersPerSlice;
    const isFree = (cluster: number) =>
      getRefcount(slice.view, cluster - first, this.#bits) === 0 && !(this.#kept.size > 0 && this.#kept.has(cluster));
    while (at < end && !isFree(at)) at += 1;
    let count = 0;
    while (count < most && at + count < end && isFree(at + count)) count += 1;
    if (fromHint) this.#hint = at + count;
    if (count === 0) return at;
    this.#layout.expectData(at * clusterSize, count * clusterSize);
    for (let index = 0; index < count; index += 1) this.#set(at + index, 1);
    const fresh = at * clusterSize >= this.#storage.reach;
    this.#storage.extend((at + count) * clusterSize);
    return { first: at, count, fresh };
  }

  /** Sets a refcount whose slice is in memory. */
  #set(cluster: number, value: number): void {
    const slice = this.cache.peek(this.#sliceOffset(cluster) ?? this.#missing(cluster));
    if (slice === undefined) throw new AfterimageError('internal', 'A refcount slice left memory while in use');
    const index = cluster % this.#clustersPerSlice;
    setRefcount(slice.view, index, this.#bits, value);
    const at = Math.floor((index * this.#bits) / 8);
    this.cache.touch(slice, at, at + Math.max(1, this.#bits / 8));
  }

  #missing(cluster: number): never {
    throw this.#storage.corrupt('A cluster in use has no refcount', cluster * this.#storage.clusterSize, DURING_READ);
  }

  async #lower({ first, count }: Extent, freed?: (cluster: number) => void): Promise<void> {
    for (let cluster = first; cluster < first + count; ) {
      const offset = this.#sliceOffset(cluster);
      const slice = offset === undefined ? undefined : this.cache.peek(offset);
      if (offset !== undefined && (slice === undefined || this.cache.full)) {
        await this.#room();
        await this.cache.load(offset);
        continue;
      }
      const value = slice === undefined ? 0 : this.#valueIn(slice, cluster);
      // Only a damaged image frees what it never counted: there is nothing to take away.
      if (value > 0 && value <= this.#most) this.#set(cluster, value - 1);
      if (value === 1 && freed !== undefined) freed(cluster);
      else if (value === 1) this.#hint = Math.min(this.#hint, cluster);
      cluster += 1;
    }
  }

  #valueIn(slice: Slice, cluster: number): number {
    return getRefcount(slice.view, cluster % this.#clustersPerSlice, this.#bits);
  }

  /** A block for clusters that have none: all of them are free, so it takes the first of them and counts itself. */
  async #addBlock(index: number): Promise<void> {
    const cluster = index * this.#clustersPerBlock;
    this.#placeBlock(index, cluster);
    this.#set(cluster, 1);
    await this.#room();
  }

  #placeBlock(index: number, cluster: number): void {
    const { clusterSize } = this.#storage;
    const offset = cluster * clusterSize;
    this.#layout.expectData(offset, clusterSize);
    this.#layout.add('refcount block', offset, clusterSize);
    this.#storage.extend(offset + clusterSize);
    this.cache.insert(offset, new Uint8Array(clusterSize));
    this.#table[index] = offset;
    this.#changed.add(index);
  }

  /** Moves the table to a larger place behind all clusters that it can count, with blocks that count that place. */
  async #grow(): Promise<void> {
    const { clusterSize } = this.#storage;
    const old = this.#table;
    const first = old.length * this.#clustersPerBlock;
    let blocks = 1;
    let clusters = 0;
    for (;;) {
      // Half as much again each time keeps moves rare.
      clusters = Math.ceil((Math.max(old.length * 1.5, old.length + blocks) * 8) / clusterSize);
      const needed = Math.ceil((blocks + clusters) / this.#clustersPerBlock);
      if (needed <= blocks) break;
      blocks = needed;
    }
    if (clusters * clusterSize > roundUp(limits.MOST_REFCOUNT_TABLE_BYTES, clusterSize)) {
      throw new AfterimageError('too-large', 'The image cannot grow further: its refcount table is at its largest', {
        file: this.#storage.file.name,
        during: DURING_ALLOCATE,
      });
    }
    this.#layout.expectData(first * clusterSize, (blocks + clusters) * clusterSize);
    this.#table = new Float64Array((clusters * clusterSize) / 8);
    this.#table.set(old);
    for (let block = 0; block < blocks; block += 1) this.#placeBlock(old.length + block, first + block);
    for (let index = 0; index < blocks + clusters; index += 1) this.#set(first + index, 1);
    const before = this.#tableAt;
    this.#tableAt = { first: first + blocks, count: clusters };
    this.#layout.add('refcount table', this.#tableAt.first * clusterSize, clusters * clusterSize);
    this.#layout.remove(before.first * clusterSize, before.count * clusterSize);
    // The header names the oldest place until a commit; places in between were never named.
    if (this.#replaced === undefined) this.#replaced = before;
    else this.release(before);
    this.#moved = true;
    await this.#room();
  }
}
