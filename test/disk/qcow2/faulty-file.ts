import { AfterimageError } from '../../../engine/base/errors.ts';
import type { HostFile } from '../../../engine/disk/disk.ts';
import type { MemoryFile } from '../../../engine/disk/memory-file.ts';
import type { Random } from './images.ts';

export type FileOperation = 'read' | 'write' | 'flush';

/** What happened to a file, in the order in which it took effect. */
export type FileEvent =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array; done: boolean }
  | { readonly kind: 'truncate'; readonly size: number }
  | { readonly kind: 'flush-start'; readonly id: number }
  | { readonly kind: 'flush-end'; readonly id: number };

/** A file in memory that answers late and in any order, records what is done to it, and fails on demand. */
export class FaultyFile implements HostFile {
  readonly name: string;
  readonly readonly = false;
  readonly memory: MemoryFile;
  readonly events: FileEvent[] = [];
  /** Called before each operation; throw to make it fail. */
  fault: (operation: FileOperation, at: number, length: number) => void = () => undefined;
  readonly #random: Random;
  readonly #record: boolean;
  #flushes = 0;
  /** Operations under way, so that a test can see none is left behind. */
  running = 0;

  constructor(random: Random, memory: MemoryFile, record = false) {
    this.name = memory.name;
    this.memory = memory;
    this.#random = random;
    this.#record = record;
  }

  async #step<Result>(
    operation: FileOperation,
    at: number,
    length: number,
    step: () => Promise<Result>,
  ): Promise<Result> {
    this.running += 1;
    try {
      await this.#dawdle();
      this.fault(operation, at, length);
      const result = await step();
      await this.#dawdle();
      return result;
    } finally {
      this.running -= 1;
    }
  }

  /** Lets others overtake, now and then a whole turn of the event loop long. */
  async #dawdle(): Promise<void> {
    const turns = this.#random.below(4);
    if (turns === 3) await new Promise(resolve => setImmediate(resolve));
    else for (let turn = 0; turn < turns; turn += 1) await undefined;
  }

  async size(): Promise<number> {
    return await this.memory.size();
  }

  async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    await this.#step('read', at, total(into), () => this.memory.read(at, into));
  }

  async write(at: number, from: readonly Uint8Array[]): Promise<void> {
    const event = { kind: 'write', at, bytes: Buffer.concat(from), done: false } as const;
    const recorded: FileEvent = { ...event };
    await this.#step('write', at, event.bytes.length, async () => {
      if (this.#record) this.events.push(recorded);
      await this.memory.write(at, [event.bytes]);
    });
    recorded.done = true;
    if (this.#record) this.events.push({ kind: 'write', at, bytes: new Uint8Array(0), done: true });
  }

  async flush(): Promise<void> {
    const id = this.#flushes;
    this.#flushes += 1;
    if (this.#record) this.events.push({ kind: 'flush-start', id });
    await this.#step('flush', 0, 0, () => this.memory.flush());
    if (this.#record) this.events.push({ kind: 'flush-end', id });
  }

  async truncate(size: number): Promise<void> {
    if (this.#record) this.events.push({ kind: 'truncate', size });
    await this.memory.truncate(size);
  }

  async close(): Promise<void> {
    await this.memory.close();
  }
}

function total(buffers: readonly Uint8Array[]): number {
  return buffers.reduce((sum, buffer) => sum + buffer.length, 0);
}

/** The error of a host that cannot read or write. */
export function hostFault(during: FileOperation, kind: 'io' | 'no-space' = 'io'): AfterimageError {
  return new AfterimageError(kind, 'The host failed on purpose', { during });
}
