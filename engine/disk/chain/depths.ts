// Which layer of a chain a block of the disk is to be read from: what a long chain would otherwise look up layer by layer
// at every read.
import { type MemoryUser, sharedMemory } from '../qcow2/metadata-memory.ts';

/** The unit of what is remembered: a cluster of the usual size. */
export const DEPTH_BLOCK_BYTES = 64 * 1024;
const BLOCKS_A_CHUNK = 16_384;
/** Chunks in memory: one GiB of disk each, 16 KiB. */
const MOST_CHUNKS = 256;

const CHUNK_BYTES = BLOCKS_A_CHUNK;

/** For blocks of the disk, how many layers further down their content is. Valid until the chain changes its shape. */
export class Depths implements MemoryUser {
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
      if (this.#chunks.size === MOST_CHUNKS) this.clear();
      chunk = new Uint8Array(BLOCKS_A_CHUNK);
      this.#chunks.set(index, chunk);
      sharedMemory.took(this, CHUNK_BYTES);
    }
    chunk[block % BLOCKS_A_CHUNK] = depth + 1;
  }

  clear(): void {
    if (this.#chunks.size > 0) sharedMemory.gave(this, this.#chunks.size * CHUNK_BYTES);
    this.#chunks.clear();
  }

  relinquish(): boolean {
    const [oldest] = this.#chunks.keys();
    if (oldest === undefined || !this.#chunks.delete(oldest)) return false;
    sharedMemory.gave(this, CHUNK_BYTES);
    return true;
  }
}
