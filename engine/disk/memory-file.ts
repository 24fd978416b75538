import { AfterimageError } from '../base/errors.ts';
import { gather, scatter, sliceBuffers, totalLength } from './buffers.ts';
import type { HostFile } from './disk.ts';

/** A host file that is only an array: for tests and for disks that need no file. */
export class MemoryFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  #bytes: Uint8Array<ArrayBuffer>;
  #size: number;
  #open = true;

  constructor(name: string, content: Uint8Array = new Uint8Array(0), readonly = false) {
    this.name = name;
    this.readonly = readonly;
    this.#bytes = new Uint8Array(content);
    this.#size = content.length;
  }

  /** A copy of what is in the file. */
  content(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  async size(): Promise<number> {
    this.#check('size');
    return this.#size;
  }

  async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    this.#check('read');
    const length = totalLength(into);
    const present = Math.max(0, Math.min(length, this.#size - at));
    if (present > 0) scatter(into, 0, this.#bytes.subarray(at, at + present));
    for (const rest of sliceBuffers(into, present, length - present)) rest.fill(0);
  }

  async write(at: number, from: readonly Uint8Array[]): Promise<void> {
    this.#check('write');
    const length = totalLength(from);
    if (length === 0) return;
    this.#grow(at + length);
    gather(from, 0, this.#bytes.subarray(at, at + length));
  }

  async flush(): Promise<void> {
    this.#check('flush');
  }

  async truncate(size: number): Promise<void> {
    this.#check('truncate');
    // What a later growth uncovers must be zeroes.
    this.#bytes.fill(0, Math.min(size, this.#size), this.#size);
    this.#grow(size);
    this.#size = size;
  }

  async punch(at: number, length: number): Promise<boolean> {
    this.#check('write');
    this.#bytes.fill(0, Math.min(at, this.#size), Math.min(at + length, this.#size));
    return true;
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #grow(size: number): void {
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(size, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#size = Math.max(this.#size, size);
  }

  #check(during: string): void {
    const context = { file: this.name, during };
    if (!this.#open) throw new AfterimageError('state', 'File is closed', context);
    if (this.readonly && (during === 'write' || during === 'truncate')) {
      throw new AfterimageError('denied', 'File is read-only', context);
    }
  }
}
