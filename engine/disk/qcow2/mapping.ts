import { viewOf } from './bytes.ts';
import { type Slice, SliceCache } from './cache.ts';
import {
  type ClusterEntry,
  decodeEntry,
  decodeTableEntry,
  type EntryShape,
  encodeCompressed,
  encodeEntry,
  encodeTableEntry,
  entryShape,
  isEmptyEntry,
  type TableEntry,
  UNALLOCATED,
} from './entries.ts';
import type { Header } from './header.ts';
import type { Layout } from './layout.ts';
import * as limits from './limits.ts';
import { Mutex } from './locks.ts';
import type { Refcounts } from './refcounts.ts';
import type { Storage } from './storage.ts';

const DURING_READ = 'read mapping';
const SECTOR = 512;

/** Sectors of the L1 table as they were when a commit began. */
export interface TableSector {
  readonly sector: number;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Where each guest cluster is: the L1 table in memory, L2 tables in slices in a bounded cache. */
export class Mapping {
  readonly shape: EntryShape;
  readonly cache: SliceCache;
  readonly #storage: Storage;
  readonly #l1: DataView;
  readonly #l1Offset: number;
  readonly #entriesPerSlice: number;
  readonly #changed = new Set<number>();
  readonly #newTables = new Mutex();

  private constructor(storage: Storage, header: Header, l1: Uint8Array, cacheBytes: number) {
    this.#storage = storage;
    this.shape = entryShape(header);
    const sliceSize = Math.min(header.clusterSize, limits.SLICE_BYTES);
    this.cache = new SliceCache(storage, sliceSize, cacheBytes);
    this.#entriesPerSlice = sliceSize / this.shape.entryBytes;
    this.#l1 = viewOf(l1);
    this.#l1Offset = header.l1.offset;
  }

  /** Reads the L1 table; its entries are checked when they are used. */
  static async open(storage: Storage, header: Header, cacheBytes = limits.L2_CACHE_BYTES): Promise<Mapping> {
    // Whole sectors, for that is what is written back.
    const bytes = Math.ceil((header.l1.entries * 8) / SECTOR) * SECTOR;
    return new Mapping(storage, header, await storage.readBytes(header.l1.offset, bytes), cacheBytes);
  }

  get dirty(): boolean {
    return this.cache.dirty || this.#changed.size > 0;
  }

  /** Enters the L1 table and all L2 tables into the layout. */
  describe(layout: Layout, entries: number): void {
    if (entries > 0) layout.add('L1 table', this.#l1Offset, entries * 8);
    for (let index = 0; index < entries; index += 1) {
      const { host } = this.#table(index);
      if (host !== 0) layout.add('L2 table', host, this.shape.clusterSize);
    }
  }

  #table(index: number): TableEntry {
    const entry = decodeTableEntry(this.#l1, index * 8, this.shape.clusterSize);
    const at = this.#l1Offset + index * 8;
    if (typeof entry === 'string') throw this.#storage.corrupt(entry, at, DURING_READ);
    if (entry.host !== 0) this.#storage.checkRange(entry.host, this.shape.clusterSize, DURING_READ, 'An L1 entry');
    return entry;
  }

  /** Where a table is; 0 when there is none. As `#table`, for every request. */
  #tableHost(index: number): number {
    const high = this.#l1.getUint32(index * 8);
    const low = this.#l1.getUint32(index * 8 + 4);
    const host = (high & 0x00ffffff) * 2 ** 32 + low;
    if (host === 0 && high === 0) return 0;
    const usual = (high & 0x7f000000) === 0 && host % this.shape.clusterSize === 0 && host < this.#storage.reach;
    return usual ? host : this.#table(index).host;
  }

  #sliceOffset(cluster: number, table: number): number {
    const index = cluster % this.shape.entries;
    return table + Math.floor(index / this.#entriesPerSlice) * this.cache.sliceSize;
  }

  /** The last guest cluster whose entry is in the same slice. */
  lastInSlice(cluster: number): number {
    return cluster - (cluster % this.#entriesPerSlice) + this.#entriesPerSlice - 1;
  }

  /** The last guest cluster of the same L2 table, if the table does not exist. */
  lastWithoutTable(cluster: number): number | undefined {
    const index = Math.floor(cluster / this.shape.entries);
    return this.#tableHost(index) === 0 ? (index + 1) * this.shape.entries - 1 : undefined;
  }

  /** The entry of a guest cluster, or undefined when it must be loaded first. */
  peek(cluster: number): ClusterEntry | undefined {
    const table = this.#tableHost(Math.floor(cluster / this.shape.entries));
    if (table === 0) return UNALLOCATED;
    const slice = this.cache.peek(this.#sliceOffset(cluster, table));
    return slice === undefined ? undefined : this.#decode(slice, cluster);
  }

  /** How many guest clusters from this one on have entries that say nothing, as far as one slice in memory tells. */
  countEmpty(cluster: number, most: number): number {
    const { entries } = this.shape;
    const table = this.#tableHost(Math.floor(cluster / entries));
    if (table === 0) return Math.min(most, entries - (cluster % entries));
    const slice = this.cache.peek(this.#sliceOffset(cluster, table));
    if (slice === undefined) return 0;
    const first = cluster % this.#entriesPerSlice;
    const end = Math.min(first + most, this.#entriesPerSlice);
    let index = first;
    while (index < end && isEmptyEntry(slice.view, index * this.shape.entryBytes, this.shape)) index += 1;
    return index - first;
  }

  /** Brings the entry of a guest cluster into memory; `peek` again afterwards. */
  async load(cluster: number): Promise<void> {
    const table = this.#table(Math.floor(cluster / this.shape.entries)).host;
    if (table !== 0) await this.cache.load(this.#sliceOffset(cluster, table));
  }

  async get(cluster: number): Promise<ClusterEntry> {
    for (;;) {
      const entry = this.peek(cluster);
      if (entry !== undefined) return entry;
      await this.load(cluster);
    }
  }

  #decode(slice: Slice, cluster: number): ClusterEntry {
    const at = (cluster % this.#entriesPerSlice) * this.shape.entryBytes;
    if (isEmptyEntry(slice.view, at, this.shape)) return UNALLOCATED;
    const entry = decodeEntry(slice.view, at, this.shape);
    if (typeof entry === 'string') throw this.#storage.corrupt(entry, slice.offset + at, DURING_READ);
    if (entry.host !== 0 && !(entry.host < this.#storage.reach)) {
      throw this.#storage.corrupt('An L2 entry points past the end of the file', slice.offset + at, DURING_READ);
    }
    return entry;
  }

  /** Whether the cluster's L2 table exists and may be changed in place. */
  writable(cluster: number): boolean {
    const index = Math.floor(cluster / this.shape.entries);
    return this.#tableHost(index) !== 0 && this.#l1.getInt32(index * 8) < 0;
  }

  /**
   * Gives the cluster an L2 table that may be changed in place: a new one, or its own copy of one that a snapshot shares.
   * Tables come one at a time, so that the cache goes over its share of dirty slices by one table at most.
   */
  makeWritable(cluster: number, refcounts: Refcounts, layout: Layout, room: () => Promise<void>): Promise<void> {
    return this.#newTables.run(async () => {
      const index = Math.floor(cluster / this.shape.entries);
      const old = this.#table(index);
      if (old.copied) return;
      await room();
      const bytes = new Uint8Array(this.shape.clusterSize);
      const { clusterSize } = this.shape;
      const { first } = await refcounts.allocate(1);
      const host = first * clusterSize;
      try {
        for (let at = 0; old.host !== 0 && at < clusterSize; at += this.cache.sliceSize) {
          bytes.set((await this.cache.load(old.host + at)).bytes, at);
          this.cache.peek(old.host + at);
        }
      } catch (thrown) {
        refcounts.release({ first, count: 1 });
        throw thrown;
      }
      this.cache.insert(host, bytes);
      layout.add('L2 table', host, clusterSize);
      encodeTableEntry(this.#l1, index * 8, { host, copied: true });
      this.#changed.add(Math.floor((index * 8) / SECTOR));
      if (old.host === 0) return;
      for (let at = 0; at < clusterSize; at += this.cache.sliceSize) this.cache.drop(old.host + at);
      layout.remove(old.host, clusterSize);
      refcounts.release({ first: old.host / clusterSize, count: 1 });
    });
  }

  /** Changes an entry that `peek` has just found, in a table that is `writable`. */
  set(cluster: number, entry: ClusterEntry): void {
    this.#change(cluster, (view, at) => encodeEntry(view, at, entry, this.shape));
  }

  setCompressed(cluster: number, host: number, length: number): void {
    this.#change(cluster, (view, at) => encodeCompressed(view, at, host, length, this.shape));
  }

  #change(cluster: number, encode: (view: DataView, at: number) => void): void {
    const host = this.#tableHost(Math.floor(cluster / this.shape.entries));
    const slice = this.cache.peek(this.#sliceOffset(cluster, host));
    if (host === 0 || slice === undefined)
      throw this.#storage.corrupt('An L2 table left memory', host, 'change mapping');
    const at = (cluster % this.#entriesPerSlice) * this.shape.entryBytes;
    encode(slice.view, at);
    this.cache.touch(slice, at, at + this.shape.entryBytes);
  }

  /** The changed sectors of the L1 table, for a commit to write. */
  takeTableChanges(): TableSector[] {
    const l1 = new Uint8Array(this.#l1.buffer, this.#l1.byteOffset, this.#l1.byteLength);
    const sectors = [...this.#changed].map(sector => ({
      sector,
      at: this.#l1Offset + sector * SECTOR,
      bytes: l1.slice(sector * SECTOR, (sector + 1) * SECTOR),
    }));
    this.#changed.clear();
    return sectors;
  }

  restoreTableChanges(sectors: readonly TableSector[]): void {
    for (const { sector } of sectors) this.#changed.add(sector);
  }
}
