import { AfterimageError } from '../../engine/base/errors.ts';
import type { BlockBackend, BlockRequest, BlockStatus } from '../../engine/devices/virtio/block/backend.ts';
import type { Disk } from '../../engine/disk/disk.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';

/** A disk behind a block device on one thread: what the real machine spreads over two. */
export class DiskBackend implements BlockBackend {
  readonly #disk: Disk;
  readonly #memory: GuestMemory;
  readonly #pending = new Set<Promise<void>>();

  constructor(disk: Disk, memory: GuestMemory) {
    this.#disk = disk;
    this.#memory = memory;
  }

  get size(): number {
    return this.#disk.size;
  }

  get readonly(): boolean {
    return this.#disk.readonly;
  }

  submit(request: BlockRequest, done: (status: BlockStatus) => void): void {
    const work = this.#perform(request).then(
      () => done('ok'),
      error => done(error instanceof AfterimageError && error.kind === 'unsupported' ? 'unsupported' : 'io-error'),
    );
    this.#pending.add(work);
    work.finally(() => this.#pending.delete(work));
  }

  /** Resolves when one of the requests has completed, or when there is none. */
  async next(): Promise<void> {
    if (this.#pending.size > 0) await Promise.race(this.#pending);
  }

  #perform({ kind, offset, length, segments }: BlockRequest): Promise<void> {
    const bytes = segments.map(segment => this.#memory.bytes(segment));
    switch (kind) {
      case 'read':
        return this.#disk.read(offset, bytes);
      case 'write':
        return this.#disk.write(offset, bytes);
      case 'flush':
        return this.#disk.flush();
      case 'discard':
        return this.#disk.discard(offset, length);
      case 'write-zeroes':
        return this.#disk.writeZeroes(offset, length);
    }
  }
}
