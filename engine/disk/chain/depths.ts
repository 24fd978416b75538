// Which layer of a chain a block of the disk is to be read from: what a long chain would otherwise look up layer by layer
// at every read.

/** The unit of what is remembered: a cluster of the usual size. */
export const DEPTH_BLOCK_BYTES = 64 * 1024;
const BLOCKS_A_CHUNK = 16_384;
/** Chunks in memory: one GiB of disk each, 16 KiB. */
const MOST_CHUNKS = 256;

/** For blocks of the disk, how many layers further down their content is. Valid until the chain changes its shape. */
export class Depths {
  readonly #chunks = new Map<number, Uint8Array>();

  /** Undefined when nothing is remembered of the block. */
  get(block: number): number | undefined {
    const known = this.#chunks.get(Math.floor(block / BLOCKS_A_CHUNK))?.[block % BLOCKS_A_CHUNK];
    return known === undefined || known === 0 ? undefined : known - 1;
  }

  set(block: number, depth: number): void {
    if (depth > 254) return;
    const index = Math.floor(block / BLOCKS_A_CHUNK);
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      if (this.#chunks.size === MOST_CHUNKS) this.#chunks.clear();
      chunk = new Uint8Array(BLOCKS_A_CHUNK);
      this.#chunks.set(index, chunk);
    }
    chunk[block % BLOCKS_A_CHUNK] = depth + 1;
  }
}
