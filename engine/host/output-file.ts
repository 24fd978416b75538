import { closeSync, existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { hostError } from './host-errors.ts';

/** Bytes that are collected before the host is called: a commit log comes in lines of 50 bytes. */
const BUFFER = 1024 * 1024;

/** A file that is written from its beginning, in order, from whichever thread owns the object. */
export class OutputFile {
  readonly path: string;
  readonly descriptor: number;
  readonly #buffer = new Uint8Array(BUFFER);
  #filled = 0;

  /** Creates or empties the file, at once, so that an impossible path is known before the machine runs. */
  static create(path: string): OutputFile {
    try {
      return new OutputFile(path, openSync(path, 'w'));
    } catch (thrown) {
      throw hostError(thrown, path, 'create');
    }
  }

  /** Finds out whether the file can be written later, and leaves what is there, or is not there, as it is. */
  static probe(path: string): void {
    const present = existsSync(path);
    try {
      closeSync(openSync(path, 'a'));
      if (!present) unlinkSync(path);
    } catch (thrown) {
      throw hostError(thrown, path, 'create');
    }
  }

  /** The same open file in another thread of the process: descriptors belong to the process. */
  static over(path: string, descriptor: number): OutputFile {
    return new OutputFile(path, descriptor);
  }

  private constructor(path: string, descriptor: number) {
    this.path = path;
    this.descriptor = descriptor;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > BUFFER - this.#filled) this.flush();
    if (bytes.length > BUFFER) {
      this.#writeAll(bytes);
    } else {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
  }

  /** Hands everything to the host. */
  flush(): void {
    const filled = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    this.#writeAll(filled);
  }

  close(): void {
    closeSync(this.descriptor);
  }

  #writeAll(bytes: Uint8Array): void {
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(this.descriptor, bytes, written);
    } catch (thrown) {
      throw hostError(thrown, this.path, 'write');
    }
  }
}
