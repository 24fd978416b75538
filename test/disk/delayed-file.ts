import type { HostFile } from '../../engine/disk/disk.ts';
import type { Random } from '../contract/random.ts';

/**
 * A file whose operations take effect after a random while, so that those in flight together take effect in any
 * order. A while is a number of turns of the microtask queue: no clock is involved and a seed replays it.
 */
export class DelayedFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  /** Operations that are waiting to take effect. */
  pending = 0;
  mostPending = 0;
  readonly #file: HostFile;
  readonly #random: Random;

  constructor(file: HostFile, random: Random) {
    this.name = file.name;
    this.readonly = file.readonly;
    this.#file = file;
    this.#random = random;
  }

  size(): Promise<number> {
    return this.#file.size();
  }

  read(at: number, into: readonly Uint8Array[]): Promise<void> {
    return this.#later(() => this.#file.read(at, into));
  }

  write(at: number, from: readonly Uint8Array[]): Promise<void> {
    return this.#later(() => this.#file.write(at, from));
  }

  flush(): Promise<void> {
    return this.#later(() => this.#file.flush());
  }

  truncate(size: number): Promise<void> {
    return this.#later(() => this.#file.truncate(size));
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #later(task: () => Promise<void>): Promise<void> {
    this.pending += 1;
    this.mostPending = Math.max(this.mostPending, this.pending);
    for (let turns = this.#random.below(40); turns > 0; turns -= 1) await undefined;
    await task();
    this.pending -= 1;
  }
}
