import { AfterimageError } from '../base/errors.ts';
import type { FrameAllocator } from './frame-allocator.ts';
import { type PageRange, PageRanges } from './page-ranges.ts';
import type { MemoryTables } from './tables.ts';

/** Told of every change of the map. */
export interface MapListener {
  remapped(page: number, from: number, to: number): void;
}

/**
 * The P→M map while memory is virtualized. A part of it that is all identity has no storage, so virtualizing is a matter
 * of saying for which pages the map counts, whatever their number. On the hart thread.
 */
export class PageMap {
  readonly #tables: MemoryTables;
  readonly #frames: FrameAllocator;
  readonly #pagesPerChunk: number;
  readonly #directory: number;
  /** How many pages of each chunk are not in their own frame. */
  readonly #remapped: Uint16Array;
  #inForce = new PageRanges();
  #total = 0;
  listener: MapListener | undefined;

  constructor(tables: MemoryTables, frames: FrameAllocator) {
    this.#tables = tables;
    this.#frames = frames;
    this.#pagesPerChunk = tables.layout.MAP_CHUNK;
    this.#directory = tables.layout.MAP_DIRECTORY / 4;
    this.#remapped = new Uint16Array(Math.ceil(tables.ramPages / this.#pagesPerChunk));
  }

  /** The ranges for which the map is consulted. */
  get inForce(): PageRanges {
    return this.#inForce;
  }

  /** Pages that are not in their own frame. */
  get remapped(): number {
    return this.#total;
  }

  get chunks(): number {
    return this.#remapped.length;
  }

  remappedIn(chunk: number): number {
    return this.#remapped[chunk] ?? 0;
  }

  pagesOf(chunk: number): PageRange {
    const first = chunk * this.#pagesPerChunk;
    return { first, count: Math.min(this.#pagesPerChunk, this.#tables.ramPages - first) };
  }

  frameOf(page: number): number {
    // Read plainly: the hart alone changes the map, and this is it.
    const { words } = this.#tables;
    const chunk = words[this.#directory + Math.floor(page / this.#pagesPerChunk)]! >>> 2;
    return chunk === 0 ? page : words[chunk + (page % this.#pagesPerChunk)]!;
  }

  /** @throws AfterimageError `too-large` when the core has no room for so many separate ranges */
  refuseTooMany(ranges: PageRanges): void {
    const { MAP_RANGES_LIMIT } = this.#tables.layout;
    if (ranges.list.length <= MAP_RANGES_LIMIT) return;
    throw new AfterimageError('too-large', 'Memory is virtualized in too many separate ranges', {
      ranges: ranges.list.length,
      limit: MAP_RANGES_LIMIT,
    });
  }

  /** The map counts for these pages from now on; all others must be in their own frames. No page is looked at. */
  setInForce(ranges: PageRanges): void {
    const { MAP_RANGES, MAP_COUNT } = this.#tables.layout;
    this.refuseTooMany(ranges);
    let at = MAP_RANGES;
    for (const { first, count } of ranges.list) {
      this.#tables.setWord(at, first);
      this.#tables.setWord(at + 4, count);
      at += 8;
    }
    this.#tables.setWord(MAP_COUNT, ranges.list.length);
    this.#inForce = ranges.copy();
  }

  /** Prepares for `set` of a page; false when there is no frame left for the map itself. */
  makeRoom(page: number): boolean {
    if (this.#tables.chunkOf(page) !== 0) return true;
    const frame = this.#frames.take();
    if (frame === undefined) return false;
    const at = this.#tables.frameAddress(frame);
    const first = page - (page % this.#pagesPerChunk);
    for (let i = 0; i < this.#pagesPerChunk; i += 1) this.#tables.words[at / 4 + i] = first + i;
    // The saver may look at once: the entries are there first.
    this.#tables.setChunk(page, at);
    return true;
  }

  /** Maps a page to another frame; see `makeRoom`. */
  set(page: number, frame: number): void {
    const before = this.frameOf(page);
    const chunk = Math.floor(page / this.#pagesPerChunk);
    const change = Number(frame !== page) - Number(before !== page);
    this.#remapped[chunk] = this.remappedIn(chunk) + change;
    this.#total += change;
    this.#tables.setFrame(page, frame);
    this.listener?.remapped(page, before, frame);
  }

  /** The storage in frame `from` was copied to `to`; false when `from` is none of it. */
  moveStorage(from: number, to: number): boolean {
    const at = this.#tables.frameAddress(from);
    for (let chunk = 0; chunk < this.#remapped.length; chunk += 1) {
      const page = chunk * this.#pagesPerChunk;
      if (this.#tables.chunkOf(page) !== at) continue;
      this.#tables.setChunk(page, this.#tables.frameAddress(to));
      return true;
    }
    return false;
  }

  /** Gives the storage of parts that are all identity back (V7). */
  releaseStorage(): void {
    for (let chunk = 0; chunk < this.#remapped.length; chunk += 1) {
      if (this.#remapped[chunk] !== 0) continue;
      const page = chunk * this.#pagesPerChunk;
      const at = this.#tables.chunkOf(page);
      if (at === 0) continue;
      this.#tables.setChunk(page, 0);
      this.#frames.dropOwner(this.#tables.frameAt(at));
    }
  }

  /** Frames that hold the map. */
  get storage(): number {
    let frames = 0;
    for (let chunk = 0; chunk < this.#remapped.length; chunk += 1) {
      if (this.#tables.chunkOf(chunk * this.#pagesPerChunk) !== 0) frames += 1;
    }
    return frames;
  }
}
