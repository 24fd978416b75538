import { AfterimageError } from '../../../engine/base/errors.ts';
import type { HostFile } from '../../../engine/disk/disk.ts';
import type { MemoryFile } from '../../../engine/disk/memory-file.ts';
import type { Random } from './images.ts';

export type FileOperation = 'read' | 'write' | 'flush';

/** What happened to a file, in the order in which it took effect. */
export type FileEvent =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array; readonly index: number }
  /** The write of that index was answered: a flush that starts after it makes it durable. */
  | { readonly kind: 'written'; readonly index: number }
  | { readonly kind: 'flush'; readonly id: number }
  | { readonly kind: 'flushed'; readonly id: number }
  /** Something that the test notes among them. */
  | { readonly kind: 'note'; readonly note: unknown };

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
  #writes = 0;

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
    await this.#dawdle();
    this.fault(operation, at, length);
    const result = await step();
    await this.#dawdle();
    return result;
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
    const bytes = Buffer.concat(from);
    const index = this.#writes;
    this.#writes += 1;
    await this.#step('write', at, bytes.length, async () => {
      this.#note({ kind: 'write', at, bytes, index });
      await this.memory.write(at, [bytes]);
    });
    this.#note({ kind: 'written', index });
  }

  async flush(): Promise<void> {
    const id = this.#flushes;
    this.#flushes += 1;
    this.#note({ kind: 'flush', id });
    await this.#step('flush', 0, 0, () => this.memory.flush());
    this.#note({ kind: 'flushed', id });
  }

  #note(event: FileEvent): void {
    if (this.#record) this.events.push(event);
  }

  /** What nobody may rely on: nothing refers to the clusters of an image that are given back. */
  async punch(at: number, length: number): Promise<boolean> {
    const size = await this.memory.size();
    await this.write(at, [new Uint8Array(Math.max(0, Math.min(length, size - at))).fill(0xee)]);
    return true;
  }

  async truncate(size: number): Promise<void> {
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
