import { AfterimageError } from '../base/errors.ts';
import { totalLength } from './buffers.ts';
import { blocksWithin, type Disk, type HostFile } from './disk.ts';
import { type Preallocation, reserveSpace } from './preallocate.ts';
import { RangeLock } from './range-lock.ts';
import { checkRequest, refusal } from './request.ts';

const SECTOR_BYTES = 512;
// Zeroes go out in pieces of this size, so that a large range neither takes much memory nor one endless write.
const ZERO_BYTES = 2 ** 18;
const ZEROES_A_WRITE = 16;
/** Fewer zeroes are written faster than their space is given back. */
const LEAST_PUNCHED_BYTES = 2 ** 20;
const zeroes = new Uint8Array(ZERO_BYTES);

/**
 * Gives an empty file the size of a disk. Returns the preallocation that it has: `off` where the host cannot reserve space.
 * Errors: `usage` for `metadata`, of which a raw disk has none; `no-space`.
 */
export async function createRaw(file: HostFile, size: number, preallocation: Preallocation): Promise<Preallocation> {
  if (preallocation === 'metadata') {
    throw new AfterimageError('usage', 'A raw disk has no metadata to preallocate', { file: file.name });
  }
  await file.truncate(size);
  return (await reserveSpace(file, 0, size, preallocation)) ? preallocation : 'off';
}

export interface RawOptions {
  /** Refuse writes even where the file would take them. */
  readonly readonly?: boolean;
}

/**
 * A disk whose bytes are those of a file. A file that ends within a sector counts as filled up with zeroes, so no byte
 * of it is out of reach: it grows only when that last sector is written.
 */
export class RawDisk implements Disk {
  readonly size: number;
  readonly readonly: boolean;
  readonly #file: HostFile;
  readonly #lock = new RangeLock();

  private constructor(file: HostFile, size: number, readonly: boolean) {
    this.#file = file;
    this.size = size;
    this.readonly = readonly;
  }

  /** Takes over the file: `close` closes it. */
  static async open(file: HostFile, options: RawOptions = {}): Promise<RawDisk> {
    const bytes = await file.size();
    const size = Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
    return new RawDisk(file, size, file.readonly || options.readonly === true);
  }

  read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(into);
    const refused = refusal(this, 'read', offset, length);
    if (refused !== undefined) return Promise.reject(refused);
    if (length === 0) return Promise.resolve();
    return this.#lock.run(offset, length, 'shared', () => this.#file.read(offset, into));
  }

  write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(from);
    const refused = refusal(this, 'write', offset, length);
    if (refused !== undefined) return Promise.reject(refused);
    if (length === 0) return Promise.resolve();
    return this.#lock.run(offset, length, 'exclusive', () => this.#file.write(offset, from));
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  /** Gives back what the host takes; where it takes nothing, nothing changes. */
  async discard(offset: number, length: number): Promise<void> {
    checkRequest(this, 'discard', offset, length);
    const blocks = blocksWithin(offset, length);
    if (blocks === undefined) return;
    await this.#lock.run(offset, length, 'exclusive', async () => {
      await this.#file.punch?.(blocks.at, blocks.length);
    });
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    checkRequest(this, 'write zeroes', offset, length);
    if (length > 0) await this.#lock.run(offset, length, 'exclusive', () => this.#zero(offset, length));
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #zero(offset: number, length: number): Promise<void> {
    const blocks = length < LEAST_PUNCHED_BYTES ? undefined : blocksWithin(offset, length);
    if (blocks === undefined || (await this.#file.punch?.(blocks.at, blocks.length)) !== true) {
      await this.#fill(offset, length);
      return;
    }
    const end = blocks.at + blocks.length;
    await this.#fill(offset, blocks.at - offset);
    await this.#fill(end, offset + length - end);
  }

  async #fill(offset: number, length: number): Promise<void> {
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const pieces: Uint8Array[] = [];
      const start = at;
      while (at < end && pieces.length < ZEROES_A_WRITE) {
        const piece = zeroes.subarray(0, Math.min(ZERO_BYTES, end - at));
        pieces.push(piece);
        at += piece.length;
      }
      await this.#file.write(start, pieces);
    }
  }
}
