import { AfterimageError } from '../base/errors.ts';
import { gather, scatter, sliceBuffers, totalLength } from './buffers.ts';
import type { Disk } from './disk.ts';
import { RangeLock } from './range-lock.ts';
import { checkRequest } from './request.ts';

// A page, and the block of every common file system: a write of one needs no fill from the base.
const BLOCK_BYTES = 4096;
// 1 MiB of disk: its table costs 0.2 % of what it can hold.
const BLOCKS_A_CHUNK = 256;

/** What the temporary layer knows of a block; `undefined` means that the base has it. */
type Block = Uint8Array | 'zero' | undefined;
type Chunk = Block[];

/** Shared by all chunks that were zeroed as a whole; copied before it is changed. */
const ALL_ZERO: Chunk = Array.from<Block>({ length: BLOCKS_A_CHUNK }).fill('zero');

export interface TemporaryOptions {
  /** Most bytes of writes to keep; what does not fit fails with `no-space`. No bound unless said. */
  readonly limit?: number;
}

/**
 * A disk whose writes stay in memory, over a base that is only read: what was written is gone when it is closed (B6).
 */
export class TemporaryDisk implements Disk {
  readonly size: number;
  readonly readonly = false;
  readonly #base: Disk;
  readonly #limit: number;
  readonly #lock = new RangeLock();
  readonly #chunks = new Map<number, Chunk>();
  #stored = 0;

  /** Takes over the base: `close` closes it. */
  constructor(base: Disk, options: TemporaryOptions = {}) {
    this.#base = base;
    this.size = base.size;
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY;
  }

  /** Bytes kept in memory. */
  get storedBytes(): number {
    return this.#stored * BLOCK_BYTES;
  }

  async read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(into);
    checkRequest(this, 'read', offset, length);
    if (length > 0) await this.#lock.run(offset, length, 'shared', () => this.#read(offset, length, into));
  }

  async write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(from);
    checkRequest(this, 'write', offset, length);
    await this.#alone(offset, length, () => this.#change(offset, length, from));
  }

  /** There is nothing to make durable. */
  async flush(): Promise<void> {}

  /** Frees the memory of whole blocks, which read as zeroes then. */
  async discard(offset: number, length: number): Promise<void> {
    checkRequest(this, 'discard', offset, length);
    await this.#alone(offset, length, async () => {
      const end = blockBelow(offset + length);
      for (let block = blockAbove(offset); block < end; block += 1) {
        const chunk = Math.floor(block / BLOCKS_A_CHUNK);
        if (!this.#chunks.has(chunk)) block = (chunk + 1) * BLOCKS_A_CHUNK - 1;
        else if (this.#isStored(block)) this.#put(block, 'zero');
      }
    });
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    checkRequest(this, 'write zeroes', offset, length);
    await this.#alone(offset, length, () => this.#change(offset, length, undefined));
  }

  close(): Promise<void> {
    this.#chunks.clear();
    this.#stored = 0;
    return this.#base.close();
  }

  /** Changes are made block by block, so that two in one block must not run together either. */
  async #alone(offset: number, length: number, task: () => Promise<void>): Promise<void> {
    if (length === 0) return;
    const start = Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES;
    const end = blockAbove(offset + length) * BLOCK_BYTES;
    await this.#lock.run(start, end - start, 'exclusive', task);
  }

  async #read(offset: number, length: number, into: readonly Uint8Array[]): Promise<void> {
    const fromBase: Promise<void>[] = [];
    let baseStart = offset;
    const endOfBase = (end: number) => {
      if (end > baseStart)
        fromBase.push(this.#base.read(baseStart, sliceBuffers(into, baseStart - offset, end - baseStart)));
    };
    for (let at = offset; at < offset + length; ) {
      const block = Math.floor(at / BLOCK_BYTES);
      const within = at - block * BLOCK_BYTES;
      const end = Math.min((block + 1) * BLOCK_BYTES, offset + length);
      const known = this.#block(block);
      if (known !== undefined) {
        endOfBase(at);
        baseStart = end;
        if (known === 'zero') for (const slice of sliceBuffers(into, at - offset, end - at)) slice.fill(0);
        else scatter(into, at - offset, known.subarray(within, within + end - at));
      }
      at = end;
    }
    endOfBase(offset + length);
    await Promise.all(fromBase);
  }

  /** Overwrites a range with `from`, or with zeroes: all of it or, on an error, nothing. */
  async #change(offset: number, length: number, from: readonly Uint8Array[] | undefined): Promise<void> {
    const first = Math.floor(offset / BLOCK_BYTES);
    const end = blockAbove(offset + length);
    // At most the first and the last block are covered in part.
    const partial = new Map<number, Uint8Array>();
    for (const block of new Set([first, end - 1])) {
      const whole = block * BLOCK_BYTES >= offset && (block + 1) * BLOCK_BYTES <= offset + length;
      if (!whole) partial.set(block, await this.#copyOf(block));
    }
    const fullFrom = blockAbove(offset);
    const fullTo = blockBelow(offset + length);
    this.#reserve(partial.keys(), fullFrom, from === undefined ? fullFrom : fullTo);
    for (const [block, bytes] of partial) {
      const start = Math.max(offset, block * BLOCK_BYTES);
      const covered = bytes.subarray(
        start - block * BLOCK_BYTES,
        Math.min(BLOCK_BYTES, offset + length - block * BLOCK_BYTES),
      );
      if (from === undefined) covered.fill(0);
      else gather(from, start - offset, covered);
      this.#put(block, bytes);
    }
    if (from === undefined) this.#putZeroes(fullFrom, fullTo);
    for (let block = fullFrom; from !== undefined && block < fullTo; block += 1) {
      const known = this.#block(block);
      const bytes = known instanceof Uint8Array ? known : new Uint8Array(BLOCK_BYTES);
      gather(from, block * BLOCK_BYTES - offset, bytes);
      this.#put(block, bytes);
    }
  }

  /** The block's content, in bytes of its own. The last block of the disk may be a short one. */
  async #copyOf(block: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(BLOCK_BYTES);
    const known = this.#block(block);
    if (known instanceof Uint8Array) {
      bytes.set(known);
    } else if (known === undefined) {
      const at = block * BLOCK_BYTES;
      await this.#base.read(at, [bytes.subarray(0, Math.min(BLOCK_BYTES, this.size - at))]);
    }
    return bytes;
  }

  /** Makes sure that the blocks in `partial` and those from `from` to `to` can be kept. */
  #reserve(partial: Iterable<number>, from: number, to: number): void {
    if (this.#limit === Number.POSITIVE_INFINITY) return;
    let more = 0;
    for (const block of partial) if (!this.#isStored(block)) more += 1;
    for (let block = from; block < to; block += 1) if (!this.#isStored(block)) more += 1;
    if ((this.#stored + more) * BLOCK_BYTES <= this.#limit) return;
    throw new AfterimageError('no-space', 'Temporary disk has no room for more writes', {
      stored: this.storedBytes,
      limit: this.#limit,
    });
  }

  #block(block: number): Block {
    return this.#chunks.get(Math.floor(block / BLOCKS_A_CHUNK))?.[block % BLOCKS_A_CHUNK];
  }

  #isStored(block: number): boolean {
    return this.#block(block) instanceof Uint8Array;
  }

  #put(block: number, content: Uint8Array | 'zero'): void {
    const index = Math.floor(block / BLOCKS_A_CHUNK);
    let chunk = this.#chunks.get(index);
    if (chunk === undefined || chunk === ALL_ZERO) {
      chunk = chunk?.slice() ?? Array.from<Block>({ length: BLOCKS_A_CHUNK });
      this.#chunks.set(index, chunk);
    }
    if (chunk[block % BLOCKS_A_CHUNK] instanceof Uint8Array) this.#stored -= 1;
    if (content !== 'zero') this.#stored += 1;
    chunk[block % BLOCKS_A_CHUNK] = content;
  }

  /** Zeroing a whole disk costs one shared table, not one a chunk. */
  #putZeroes(from: number, to: number): void {
    for (let block = from; block < to; ) {
      const index = Math.floor(block / BLOCKS_A_CHUNK);
      const next = (index + 1) * BLOCKS_A_CHUNK;
      if (block % BLOCKS_A_CHUNK === 0 && next <= to) {
        for (const known of this.#chunks.get(index) ?? []) if (known instanceof Uint8Array) this.#stored -= 1;
        this.#chunks.set(index, ALL_ZERO);
        block = next;
      } else {
        this.#put(block, 'zero');
        block += 1;
      }
    }
  }
}

/** Index of the first block that starts at `offset` or after it. */
function blockAbove(offset: number): number {
  return Math.ceil(offset / BLOCK_BYTES);
}

/** Index of the block that `offset` falls into: all before it end at or before `offset`. */
function blockBelow(offset: number): number {
  return Math.floor(offset / BLOCK_BYTES);
}
