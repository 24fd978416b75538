import { viewOf } from './bytes.ts';
import { MOST_DIRTY_SHARE } from './limits.ts';
import { type MemoryUser, type MetadataMemory, sharedMemory } from './metadata-memory.ts';
import type { Storage } from './storage.ts';

/** Part of an L2 table or refcount block in memory. */
export interface Slice {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes that differ from the file; empty when `from >= to`. */
  from: number;
  to: number;
  /** A commit is writing an older copy of it: the file cannot tell its content yet. */
  writing: boolean;
  /** Used since the last search for something to evict. */
  used: boolean;
  /** Whoever had it loaded has not looked at it yet. */
  awaited: boolean;
}

/** Bytes of a slice as they were when a commit began. */
export interface DirtyPart {
  readonly slice: Slice;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Writes of metadata are widened to whole sectors: disks write no less, and a sector is never torn. */
const SECTOR = 512;

/** A bounded write-back cache of slices. Only clean slices are evicted; dirty ones wait for a commit. */
export class SliceCache implements MemoryUser {
  readonly sliceSize: number;
  readonly #storage: Storage;
  readonly #memory: MetadataMemory;
  readonly #mostSlices: number;
  readonly #mostDirty: number;
  readonly #slices = new Map<number, Slice>();
  readonly #loading = new Map<number, Promise<Slice>>();
  #dirty = 0;

  /** @param memory is shared with other caches, beside the bound of this one */
  constructor(storage: Storage, sliceSize: number, mostBytes: number, memory = sharedMemory) {
    this.#storage = storage;
    this.#memory = memory;
    this.sliceSize = sliceSize;
    this.#mostSlices = Math.max(4, Math.floor(mostBytes / sliceSize));
    this.#mostDirty = Math.floor(this.#mostSlices * MOST_DIRTY_SHARE);
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#slices.size * this.sliceSize;
  }

  get dirty(): boolean {
    return this.#dirty > 0;
  }

  /** Whether a commit is due before more is made dirty. */
  get full(): boolean {
    return this.#dirty >= this.#mostDirty;
  }

  /** The slice if it is in memory. It stays so at least until the caller next waits. */
  peek(offset: number): Slice | undefined {
    const slice = this.#slices.get(offset);
    if (slice === undefined) return undefined;
    slice.used = true;
    slice.awaited = false;
    return slice;
  }

  /** Brings a slice into memory. The caller looks at it with `peek` next: until then it is not evicted. */
  async load(offset: number): Promise<Slice> {
    const present = this.peek(offset);
    if (present !== undefined) return present;
    let loading = this.#loading.get(offset);
    if (loading === undefined) {
      loading = this.#read(offset).finally(() => this.#loading.delete(offset));
      this.#loading.set(offset, loading);
    }
    return await loading;
  }

  async #read(offset: number): Promise<Slice> {
    const bytes = await this.#storage.readBytes(offset, this.sliceSize);
    // A new table may have been put there while the old content was being read.
    const present = this.peek(offset);
    if (present !== undefined) return present;
    const slice = this.#put(offset, bytes);
    slice.awaited = true;
    return slice;
  }

  /** Puts the content of a new table into the cache; all of it is dirty. */
  insert(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += this.sliceSize) {
      this.drop(offset + at);
      const slice = this.#put(offset + at, bytes.slice(at, at + this.sliceSize));
      this.touch(slice, 0, this.sliceSize);
    }
  }

  #put(offset: number, bytes: Uint8Array): Slice {
    this.#evict();
    const slice: Slice = {
      offset,
      bytes,
      view: viewOf(bytes),
      from: 0,
      to: 0,
      writing: false,
      used: true,
      awaited: false,
    };
    this.#slices.set(offset, slice);
    this.#memory.took(this, this.sliceSize);
    return slice;
  }

  #evict(): void {
    while (this.#slices.size >= this.#mostSlices && this.relinquish());
  }

  /**
   * Second chance in the order of loading: what was used since the last search goes to the end of the line. What is
   * awaited stays, or many requests with few slices would evict each other's for ever; there are no more of those than
   * requests in flight.
   */
  relinquish(): boolean {
    let tries = 2 * this.#slices.size;
    for (const [offset, slice] of this.#slices) {
      if (tries === 0) return false;
      tries -= 1;
      this.#slices.delete(offset);
      if (!slice.used && !slice.awaited && !slice.writing && slice.from >= slice.to) {
        this.#memory.gave(this, this.sliceSize);
        return true;
      }
      slice.used = false;
      this.#slices.set(offset, slice);
    }
    return false;
  }

  /** Lets go of all; nothing is dirty, or it is lost. */
  close(): void {
    for (const offset of [...this.#slices.keys()]) this.drop(offset);
  }

  /** Says that the bytes `from..to` of a slice have changed. The caller asked `peek` or `load` in the same step. */
  touch(slice: Slice, from: number, to: number): void {
    if (slice.from >= slice.to) {
      slice.from = from;
      slice.to = to;
      this.#dirty += 1;
      return;
    }
    slice.from = Math.min(slice.from, from);
    slice.to = Math.max(slice.to, to);
  }

  /** Forgets a slice whose table is no longer in use. */
  drop(offset: number): void {
    const slice = this.#slices.get(offset);
    if (slice === undefined) return;
    if (slice.from < slice.to) this.#dirty -= 1;
    slice.from = slice.to = 0;
    this.#slices.delete(offset);
    this.#memory.gave(this, this.sliceSize);
  }

  /** Copies of all that is dirty, for a commit to write; `written` or `failed` must follow. */
  takeDirty(): DirtyPart[] {
    const parts: DirtyPart[] = [];
    if (this.#dirty === 0) return parts;
    for (const slice of this.#slices.values()) {
      if (slice.from >= slice.to) continue;
      const from = Math.floor(slice.from / SECTOR) * SECTOR;
      const to = Math.ceil(slice.to / SECTOR) * SECTOR;
      parts.push({ slice, at: slice.offset + from, bytes: slice.bytes.slice(from, to) });
      slice.from = slice.to = 0;
      slice.writing = true;
    }
    this.#dirty = 0;
    return parts;
  }

  written(parts: readonly DirtyPart[]): void {
    for (const { slice } of parts) slice.writing = false;
  }

  /** The parts may or may not have reached the file: they are dirty again. */
  failed(parts: readonly DirtyPart[]): void {
    for (const { slice, at, bytes } of parts) {
      slice.writing = false;
      // Unless its table has gone meanwhile.
      if (this.#slices.get(slice.offset) !== slice) continue;
      this.touch(slice, at - slice.offset, at - slice.offset + bytes.length);
    }
  }
}
