import { AfterimageError } from '../../base/errors.ts';
import { blocksWithin, type HostFile, PUNCH_BYTES } from '../disk.ts';
import { roundUp } from './bytes.ts';

/** The image's file, with what the image must know of it: where it ends, and whether all that was written is durable. */
export class Storage {
  readonly file: HostFile;
  readonly clusterSize: number;
  #end: number;
  #reach: number;
  #written = 0;
  #durable = 0;
  #punching = true;

  constructor(file: HostFile, clusterSize: number, end: number) {
    this.file = file;
    this.clusterSize = clusterSize;
    this.#end = end;
    this.#reach = end;
  }

  /** Nothing was ever written from here on: it reads as zeroes. */
  get end(): number {
    return this.#end;
  }

  /** Where the file will end when all is written that has been allocated: nothing valid points past it. */
  get reach(): number {
    return this.#reach;
  }

  /** Says that the file may be used up to `end`. */
  extend(end: number): void {
    if (end > this.#reach) this.#reach = end;
  }

  /** Whether a flush would have nothing to do. */
  get durable(): boolean {
    return this.#durable === this.#written;
  }

  read(at: number, into: readonly Uint8Array[]): Promise<void> {
    return this.file.read(at, into);
  }

  async readBytes(at: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.file.read(at, [bytes]);
    return bytes;
  }

  async write(at: number, from: readonly Uint8Array[]): Promise<void> {
    let end = at;
    for (const buffer of from) end += buffer.length;
    // Before the write: even one that fails may have left bytes there.
    if (end > this.#end) this.#end = end;
    this.extend(end);
    try {
      await this.file.write(at, from);
    } finally {
      this.#written += 1;
    }
  }

  /** Makes durable what was written by completed writes. */
  async flush(): Promise<void> {
    const mark = this.#written;
    await this.file.flush();
    if (mark > this.#durable) this.#durable = mark;
  }

  /** Gives the space of whole clusters back to the host, as far as it takes it. Nobody may use them meanwhile. */
  async punch(at: number, length: number): Promise<void> {
    const blocks = blocksWithin(at, length);
    if (blocks === undefined || this.#punching === false) return;
    try {
      // What lies past the end of the file takes no space.
      if (at < this.#end)
        await this.file.punch?.(blocks.at, Math.min(blocks.length, roundUp(this.#end, PUNCH_BYTES) - blocks.at));
    } catch {
      // Only the space is not given back, and will be used again.
      this.#punching = false;
    }
  }

  /** Whether the host may take space back. */
  get punches(): boolean {
    return this.#punching && this.file.punch !== undefined;
  }

  /** Refuses a table or cluster that does not lie where the format wants it. */
  checkRange(offset: number, length: number, during: string, what: string): void {
    const { clusterSize } = this;
    if (offset === 0 || offset % clusterSize !== 0) throw this.corrupt(`${what} is not on a cluster`, offset, during);
    // The last cluster of a file need not be whole.
    if (!(offset < this.#reach) || offset + length > Math.ceil(this.#reach / clusterSize) * clusterSize) {
      throw this.corrupt(`${what} points past the end of the file`, offset, during);
    }
  }

  corrupt(message: string, offset: number, during: string): AfterimageError {
    return new AfterimageError('corrupt', message, { file: this.file.name, offset, during });
  }
}
