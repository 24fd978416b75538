import type { HostFile } from '../disk.ts';

/** A file lent to a disk: closing the disk leaves it open for the next one. */
export class SharedFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  readonly #file: HostFile;

  constructor(file: HostFile) {
    this.#file = file;
    this.name = file.name;
    this.readonly = file.readonly;
  }

  size(): Promise<number> {
    return this.#file.size();
  }

  read(at: number, into: readonly Uint8Array[]): Promise<void> {
    return this.#file.read(at, into);
  }

  write(at: number, from: readonly Uint8Array[]): Promise<void> {
    return this.#file.write(at, from);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  truncate(size: number): Promise<void> {
    return this.#file.truncate(size);
  }

  punch(at: number, length: number): Promise<boolean> {
    return this.#file.punch?.(at, length) ?? Promise.resolve(false);
  }

  allocate(at: number, length: number): Promise<boolean> {
    return this.#file.allocate?.(at, length) ?? Promise.resolve(false);
  }

  async close(): Promise<void> {}
}
