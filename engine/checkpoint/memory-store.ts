import { AfterimageError } from '../base/errors.ts';
import { totalLength } from '../disk/buffers.ts';
import type { HostFile } from '../disk/disk.ts';
import type { Hex } from './format.ts';
import type { CheckpointStore, StoreDraft, StoredCheckpoint } from './store.ts';

// Memory is asked for in pieces of this size: growing never copies, and little is left over.
const CHUNK_BYTES = 2 ** 20;

/** Checkpoints in memory (C15): quick, listed like others, gone with the process unless they are persisted. */
export class MemoryStore implements CheckpointStore {
  readonly durable = false;
  readonly #limit: number;
  readonly #stored = new Map<Hex, Chunks>();
  #used = 0;

  /** @param limit most bytes to keep; what does not fit fails with `no-space` */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  /** Bytes of memory held, drafts included. */
  get usedBytes(): number {
    return this.#used;
  }

  async begin(id: Hex): Promise<StoreDraft> {
    const chunks = new Chunks(id, bytes => this.#reserve(bytes));
    let open = true;
    return {
      file: new ChunkFile(chunks, false),
      complete: async () => {
        open = false;
        this.#stored.get(id)?.release();
        this.#stored.set(id, chunks);
      },
      abort: async () => {
        if (open) chunks.release();
        open = false;
      },
    };
  }

  async open(id: Hex): Promise<HostFile> {
    const chunks = this.#stored.get(id);
    if (chunks === undefined) throw new AfterimageError('missing', 'No such checkpoint is in memory', { id });
    return new ChunkFile(chunks, true);
  }

  async list(): Promise<StoredCheckpoint[]> {
    return [...this.#stored].map(([id, chunks]) => ({ id, bytes: chunks.size }));
  }

  /** Those who have it open can read on; its memory counts as free at once. */
  async remove(id: Hex): Promise<void> {
    this.#stored.get(id)?.release();
    this.#stored.delete(id);
  }

  async sweep(): Promise<number> {
    return 0;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes > this.#limit) {
      throw new AfterimageError('no-space', 'No memory is left for checkpoints', { limit: this.#limit });
    }
    this.#used += bytes;
  }
}

class Chunks {
  readonly name: string;
  size = 0;
  readonly #reserve: (bytes: number) => void;
  readonly #chunks: Uint8Array[] = [];

  constructor(id: Hex, reserve: (bytes: number) => void) {
    this.name = `${id} in memory`;
    this.#reserve = reserve;
  }

  /** Calls `use` with each piece of the range and its position in the range; undefined for what was never written. */
  each(at: number, length: number, use: (piece: Uint8Array | undefined, position: number, length: number) => void) {
    for (let done = 0; done < length; ) {
      const within = (at + done) % CHUNK_BYTES;
      const count = Math.min(CHUNK_BYTES - within, length - done);
      const chunk = this.#chunks[Math.floor((at + done) / CHUNK_BYTES)];
      use(chunk?.subarray(within, within + count), done, count);
      done += count;
    }
  }

  grow(size: number): void {
    while (this.#chunks.length * CHUNK_BYTES < size) {
      this.#reserve(CHUNK_BYTES);
      this.#chunks.push(new Uint8Array(CHUNK_BYTES));
    }
    this.size = Math.max(this.size, size);
  }

  /** Its memory no longer counts; the content stays for those who read it. */
  release(): void {
    this.#reserve(-this.#chunks.length * CHUNK_BYTES);
  }
}

class ChunkFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  readonly #chunks: Chunks;

  constructor(chunks: Chunks, readonly: boolean) {
    this.name = chunks.name;
    this.readonly = readonly;
    this.#chunks = chunks;
  }

  async size(): Promise<number> {
    return this.#chunks.size;
  }

  async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    for (const buffer of into) {
      this.#chunks.each(at, buffer.length, (piece, position, length) => {
        if (piece === undefined) buffer.fill(0, position, position + length);
        else buffer.set(piece, position);
      });
      at += buffer.length;
    }
  }

  async write(at: number, from: readonly Uint8Array[]): Promise<void> {
    if (this.readonly)
      throw new AfterimageError('denied', 'A completed checkpoint is not changed', { file: this.name });
    this.#chunks.grow(at + totalLength(from));
    for (const buffer of from) {
      this.#chunks.each(at, buffer.length, (piece, position, length) => {
        piece!.set(buffer.subarray(position, position + length));
      });
      at += buffer.length;
    }
  }

  async flush(): Promise<void> {}

  async truncate(): Promise<void> {
    throw new AfterimageError('unsupported', 'A checkpoint in memory is not truncated', { file: this.name });
  }

  async close(): Promise<void> {}
}
