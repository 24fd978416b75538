// A small file of our own that is replaced as a whole. What it holds is checked by whoever reads it.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** More is no file of ours. */
const LONGEST = 4 * 1024 * 1024;

export class JsonFile {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.#path = file;
  }

  /** Undefined when there is none, or nothing that could be ours. */
  async read(): Promise<unknown> {
    try {
      const text = await readFile(this.#path, 'utf8');
      return text.length > LONGEST ? undefined : JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  /** One after another, so that the last call is what stays. */
  write(value: unknown): Promise<void> {
    const done = this.#writing.then(() => this.#replace(JSON.stringify(value, undefined, 2)));
    this.#writing = done.catch(() => {});
    return done;
  }

  async #replace(text: string): Promise<void> {
    await mkdir(path.dirname(this.#path), { recursive: true });
    const fresh = `${this.#path}.${randomBytes(6).toString('hex')}.new`;
    try {
      const file = await open(fresh, 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, this.#path);
    } catch (thrown) {
      await rm(fresh, { force: true });
      throw thrown;
    }
  }
}
