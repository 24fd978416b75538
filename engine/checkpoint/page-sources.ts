import { PAGE_SIZE } from '../base/addresses.ts';
import type { CheckpointFile } from './file-reader.ts';
import { damaged, pagesOf } from './format.ts';
import { ZERO_BLOCK } from './page-index.ts';
import type { CheckpointReader } from './reader.ts';

const UNKNOWN = -2;
const ZERO = -1;
const NONE = -1;

/** Where a block lies, for errors. */
export interface BlockPlace {
  readonly file: string;
  readonly offset: number;
}

/**
 * Which block each page of a space is in and which pages each block has, over a checkpoint and its parents: what a lazy
 * restore loads by. Blocks are numbered through all files, in each file in the order in which they lie. One pass over the
 * indexes, a few bytes per page and block: about 2 ms for 262,144 pages.
 */
export class PageSources {
  readonly pages: number;
  /** Blocks of all files; some may have no page that counts. */
  readonly blocks: number;
  readonly #files: readonly CheckpointFile[];
  /** First block of each file. */
  readonly #firstBlock: readonly number[];
  readonly #blockOf: Int32Array;
  readonly #slotOf: Uint8Array;
  /** First page of a block, and the next one of the same block. */
  readonly #head: Int32Array;
  readonly #next: Int32Array;

  /** @throws AfterimageError `corrupt` when a page is in none of the files */
  constructor(reader: CheckpointReader, space = 0) {
    this.#files = reader.files;
    this.pages = pagesOf(reader.spaces[space]!.bytes);
    const blockOf = new Int32Array(this.pages).fill(UNKNOWN);
    const slotOf = new Uint8Array(this.pages);
    const firstBlock: number[] = [];
    let blocks = 0;
    let known = 0;
    for (const { index } of this.#files) {
      const base = blocks;
      firstBlock.push(base);
      blocks += index.blockCount;
      // What lies below is hidden.
      if (known === this.pages) continue;
      index.eachRun(space, (first, count, block, slot) => {
        for (let i = 0; i < count; i += 1) {
          if (blockOf[first + i] !== UNKNOWN) continue;
          known += 1;
          blockOf[first + i] = block === ZERO_BLOCK ? ZERO : base + block;
          slotOf[first + i] = slot + i;
        }
      });
    }
    if (known !== this.pages) {
      const place = { file: this.#files.at(-1)!.name, section: 'pages' };
      throw damaged('a page is in none of its files', place, { space, page: blockOf.indexOf(UNKNOWN) });
    }
    const head = new Int32Array(blocks).fill(NONE);
    const next = new Int32Array(this.pages);
    for (let page = this.pages - 1; page >= 0; page -= 1) {
      const block = blockOf[page]!;
      if (block === ZERO) continue;
      next[page] = head[block]!;
      head[block] = page;
    }
    this.blocks = blocks;
    this.#firstBlock = firstBlock;
    this.#blockOf = blockOf;
    this.#slotOf = slotOf;
    this.#head = head;
    this.#next = next;
  }

  /** The block that has a page; undefined for a page of zeroes. */
  blockOf(page: number): number | undefined {
    const block = this.#blockOf[page]!;
    return block === ZERO ? undefined : block;
  }

  /** The pages that come from a block, in order. */
  *pagesIn(block: number): Generator<number> {
    for (let page = this.#head[block]!; page !== NONE; page = this.#next[page]!) yield page;
  }

  /** Blocks that have pages of this space, as they lie in the files. */
  *blocksInOrder(): Generator<number> {
    for (let block = 0; block < this.blocks; block += 1) if (this.#head[block] !== NONE) yield block;
  }

  /** Runs of pages with content, in order. */
  *stored(): Generator<{ first: number; count: number }> {
    const blockOf = this.#blockOf;
    for (let page = 0; page < this.pages; page += 1) {
      if (blockOf[page] === ZERO) continue;
      const first = page;
      while (page < this.pages && blockOf[page] !== ZERO) page += 1;
      yield { first, count: page - first };
    }
  }

  /** A block's content, checked. @throws AfterimageError naming file and offset */
  async load(block: number): Promise<Uint8Array> {
    const { file, number } = this.#find(block);
    return await file.content(number, await file.storedBlock(number));
  }

  /** A page's bytes in the content of its block. */
  within(content: Uint8Array, page: number): Uint8Array {
    const at = this.#slotOf[page]! * PAGE_SIZE;
    return content.subarray(at, at + PAGE_SIZE);
  }

  place(block: number): BlockPlace {
    const { file, number } = this.#find(block);
    return { file: file.name, offset: file.index.block(number).offset };
  }

  #find(block: number): { file: CheckpointFile; number: number } {
    let low = 0;
    let high = this.#firstBlock.length;
    // The last file whose first block is not behind this one.
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if (this.#firstBlock[middle]! <= block) low = middle;
      else high = middle;
    }
    return { file: this.#files[low]!, number: block - this.#firstBlock[low]! };
  }
}
