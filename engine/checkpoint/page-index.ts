import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import { CODECS, type Codec } from './codecs.ts';
import { BLOCK_PAGES, damaged, HEADER_BYTES, MOST_INDEX_BYTES, pagesOf, readU64, viewOf, writeU64 } from './format.ts';
import type { Space } from './header.ts';

/** A stored block. */
export interface BlockEntry {
  readonly offset: number;
  /** Bytes in the file. */
  readonly length: number;
  readonly checksum: number;
  readonly pages: number;
  readonly codec: Codec;
}

/** Consecutive pages of one space that lie one after the other in one block, or are zero. */
export interface PageRun {
  readonly space: number;
  readonly first: number;
  readonly count: number;
  /** Number of the block, or `ZERO_BLOCK`. */
  readonly block: number;
  /** Position of the first page in the block. */
  readonly slot: number;
}

export const ZERO_BLOCK = 0xffffffff;
const BLOCK_ENTRY_BYTES = 20;
const RUN_BYTES = 16;

/** The page index of one file, checked: found by bisection in the bytes it was read from. */
export class PageIndex {
  readonly blockCount: number;
  readonly runCount: number;
  readonly #view: DataView;
  readonly #runsAt: number;
  /** First run of each space, and the end. */
  readonly #spaceRuns: number[];

  private constructor(view: DataView, blocks: number, runs: number, spaceRuns: number[]) {
    this.#view = view;
    this.blockCount = blocks;
    this.runCount = runs;
    this.#runsAt = 8 + blocks * BLOCK_ENTRY_BYTES;
    this.#spaceRuns = spaceRuns;
  }

  /**
   * Takes over `bytes`. One pass over them, no memory beyond them.
   * @param at offset of the index in the file, for errors
   * @param dataEnd where blocks must end
   * @throws AfterimageError `corrupt`
   */
  static decode(bytes: Uint8Array, spaces: readonly Space[], at: number, dataEnd: number, file: string): PageIndex {
    const refuse = (what: string, within: number): never => {
      throw damaged(what, { file, section: 'pages', offset: at + within });
    };
    if (bytes.length < 8) refuse('the page index is cut off', 0);
    const view = viewOf(bytes);
    const blocks = view.getUint32(0, true);
    const runs = view.getUint32(4, true);
    const runsAt = 8 + blocks * BLOCK_ENTRY_BYTES;
    if (bytes.length !== runsAt + runs * RUN_BYTES) refuse('the page index has another size than it says', 0);
    let end = HEADER_BYTES;
    for (let entry = 8; entry < runsAt; entry += BLOCK_ENTRY_BYTES) {
      const offset = readU64(view, entry);
      const length = view.getUint32(entry + 8, true);
      const size = view.getUint8(entry + 16) * PAGE_SIZE;
      const codec = view.getUint8(entry + 17);
      if (offset < end || offset + length > dataEnd) refuse('a block lies outside or over another', entry);
      if (size === 0 || size > BLOCK_PAGES * PAGE_SIZE) refuse('a block has an impossible number of pages', entry + 16);
      if (codec >= CODECS.length || view.getUint16(entry + 18, true) !== 0) refuse('a block has bad flags', entry + 17);
      if (length === 0 || (codec === 0 ? length !== size : length >= size))
        refuse('a block has a bad length', entry + 8);
      end = offset + length;
    }
    const spaceRuns: number[] = [];
    let space = -1;
    let next = 0;
    for (let run = 0; run < runs; run += 1) {
      const entry = runsAt + run * RUN_BYTES;
      const first = view.getUint32(entry, true);
      const count = view.getUint32(entry + 4, true);
      const block = view.getUint32(entry + 8, true);
      const slot = view.getUint8(entry + 12);
      const of = view.getUint8(entry + 13);
      if (of >= spaces.length || of < space || view.getUint16(entry + 14, true) !== 0) {
        refuse('a run of pages is in no space or out of order', entry + 13);
      }
      if (of > space) next = 0;
      for (; space < of; space += 1) spaceRuns.push(run);
      if (count === 0 || first < next || first + count > pagesOf(spaces[of]!.bytes)) {
        refuse('a run of pages lies outside or over another', entry);
      }
      next = first + count;
      if (block === ZERO_BLOCK ? slot !== 0 : block >= blocks) refuse('a run of pages is in no block', entry + 8);
      if (block !== ZERO_BLOCK && slot + count > view.getUint8(8 + block * BLOCK_ENTRY_BYTES + 16)) {
        refuse('a run of pages ends after its block', entry + 12);
      }
    }
    while (spaceRuns.length <= spaces.length) spaceRuns.push(runs);
    return new PageIndex(view, blocks, runs, spaceRuns);
  }

  block(number: number): BlockEntry {
    const at = 8 + number * BLOCK_ENTRY_BYTES;
    return {
      offset: readU64(this.#view, at),
      length: this.#view.getUint32(at + 8, true),
      checksum: this.#view.getUint32(at + 12, true),
      pages: this.#view.getUint8(at + 16),
      codec: CODECS[this.#view.getUint8(at + 17)]!,
    };
  }

  run(number: number): PageRun {
    const at = this.#runsAt + number * RUN_BYTES;
    return {
      first: this.#view.getUint32(at, true),
      count: this.#view.getUint32(at + 4, true),
      block: this.#view.getUint32(at + 8, true),
      slot: this.#view.getUint8(at + 12),
      space: this.#view.getUint8(at + 13),
    };
  }

  /** The run that has the page, if this file has it. */
  find(space: number, page: number): PageRun | undefined {
    let low = this.#spaceRuns[space]!;
    let high = this.#spaceRuns[space + 1]!;
    // The last run that begins at or before the page.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#view.getUint32(this.#runsAt + middle * RUN_BYTES, true) <= page) low = middle + 1;
      else high = middle;
    }
    if (low === this.#spaceRuns[space]) return undefined;
    const run = this.run(low - 1);
    return page < run.first + run.count ? run : undefined;
  }

  /** The runs of a space in the order of pages, to a function: no object per run. */
  eachRun(space: number, use: (first: number, count: number, block: number, slot: number) => void): void {
    const view = this.#view;
    const end = this.#runsAt + this.#spaceRuns[space + 1]! * RUN_BYTES;
    for (let at = this.#runsAt + this.#spaceRuns[space]! * RUN_BYTES; at < end; at += RUN_BYTES) {
      use(view.getUint32(at, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true), view.getUint8(at + 12));
    }
  }

  /** The runs of a space in the order of pages. */
  *runs(space: number): Generator<PageRun> {
    const end = this.#spaceRuns[space + 1]!;
    for (let run = this.#spaceRuns[space]!; run < end; run += 1) yield this.run(run);
  }
}

/** Collects the index of a file that is being written. Pages come in any order. */
export class PageIndexBuilder {
  readonly #spaces: readonly Space[];
  readonly #blocks: BlockEntry[] = [];
  readonly #runs: PageRun[] = [];

  constructor(spaces: readonly Space[]) {
    this.#spaces = spaces;
  }

  /** Pages with content, pages of zeroes, and blocks so far. */
  get counts(): { readonly pages: number; readonly zeroPages: number; readonly blocks: number } {
    let pages = 0;
    let zeroPages = 0;
    for (const run of this.#runs) {
      if (run.block === ZERO_BLOCK) zeroPages += run.count;
      else pages += run.count;
    }
    return { pages, zeroPages, blocks: this.#blocks.length };
  }

  /** The block's number. Offsets must ascend. */
  addBlock(block: BlockEntry): number {
    this.#blocks.push(block);
    return this.#blocks.length - 1;
  }

  addRun(run: PageRun): void {
    const last = this.#runs.at(-1);
    const follows =
      last !== undefined &&
      last.space === run.space &&
      last.block === run.block &&
      last.first + last.count === run.first &&
      (run.block === ZERO_BLOCK || last.slot + last.count === run.slot);
    if (follows) this.#runs[this.#runs.length - 1] = { ...last, count: last.count + run.count };
    else this.#runs.push(run);
  }

  /**
   * The section's bytes.
   * @param complete there is no parent, so every page must be here
   * @throws AfterimageError `internal` when a page was given twice, or is missing from a complete checkpoint;
   * `too-large` when the index would pass its bound
   */
  encode(complete: boolean): Uint8Array {
    this.#runs.sort((a, b) => a.space - b.space || a.first - b.first);
    this.#check(complete);
    const size = 8 + this.#blocks.length * BLOCK_ENTRY_BYTES + this.#runs.length * RUN_BYTES;
    if (size > MOST_INDEX_BYTES) throw new AfterimageError('too-large', 'The checkpoint has too many pages', { size });
    const bytes = new Uint8Array(size);
    const view = viewOf(bytes);
    view.setUint32(0, this.#blocks.length, true);
    view.setUint32(4, this.#runs.length, true);
    let at = 8;
    for (const block of this.#blocks) {
      writeU64(view, at, block.offset);
      view.setUint32(at + 8, block.length, true);
      view.setUint32(at + 12, block.checksum, true);
      view.setUint8(at + 16, block.pages);
      view.setUint8(at + 17, CODECS.indexOf(block.codec));
      at += BLOCK_ENTRY_BYTES;
    }
    for (const run of this.#runs) {
      view.setUint32(at, run.first, true);
      view.setUint32(at + 4, run.count, true);
      view.setUint32(at + 8, run.block, true);
      view.setUint8(at + 12, run.slot);
      view.setUint8(at + 13, run.space);
      at += RUN_BYTES;
    }
    return bytes;
  }

  #check(complete: boolean): void {
    const next = this.#spaces.map(() => 0);
    const wrong = (what: string, space: number, page: number): never => {
      throw new AfterimageError('internal', `The checkpoint's pages are wrong: one ${what}`, { space, page });
    };
    for (const run of this.#runs) {
      const reached = next[run.space]!;
      if (run.first < reached) wrong('was written twice', run.space, run.first);
      if (complete && run.first > reached) wrong('was not written', run.space, reached);
      next[run.space] = run.first + run.count;
    }
    if (!complete) return;
    for (const [space, reached] of next.entries()) {
      if (reached !== pagesOf(this.#spaces[space]!.bytes)) wrong('was not written', space, reached);
    }
  }
}
