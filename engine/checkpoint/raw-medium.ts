import { AfterimageError } from '../base/errors.ts';
import { sliceBuffers, totalLength } from '../disk/buffers.ts';
import type { HostFile } from '../disk/disk.ts';
import { damaged, type Hex } from './format.ts';
import {
  type Directory,
  type DirectoryEntry,
  decodeDirectory,
  decodeSuperblock,
  type Extent,
  encodeDirectory,
  encodeSuperblock,
  type MediumShape,
  SUPERBLOCK_BYTES,
  unitCount,
  unitsStart,
} from './raw-directory.ts';
import type { CheckpointStore, StoreDraft, StoredCheckpoint } from './store.ts';

export interface MediumOptions {
  /** Bytes of the medium to use. */
  readonly bytes: number;
  /** Allocation unit in bytes. 1 MiB wastes half of that for each checkpoint and keeps the map small. */
  readonly unit?: number;
  /** Room for one copy of the directory; 256 KiB name a few thousand checkpoints. */
  readonly slotBytes?: number;
}

/** Units of one checkpoint, complete or being written. They are free again when nobody needs or reads them. */
interface Allocation {
  extents: Extent[];
  bytes: number;
  users: number;
}

/**
 * Several checkpoints in a preallocated file or on a block device (C15), with a directory of its own. Every change of
 * the directory is there as a whole or not at all.
 */
export class RawMedium implements CheckpointStore {
  readonly durable = true;
  readonly #file: HostFile;
  readonly #shape: MediumShape;
  readonly #used: Uint8Array;
  readonly #stored = new Map<Hex, Allocation>();
  /** Allocations that a directory names whose writing failed: it may be on the medium, so they stay as they are. */
  #doubtful: Allocation[] = [];
  #sequence: number;
  /** The slot with the present directory, which a change must not touch. */
  #slot: number;
  #free: number;
  #change: Promise<unknown> = Promise.resolve();

  private constructor(file: HostFile, shape: MediumShape, directory: Directory, slot: number) {
    this.#file = file;
    this.#shape = shape;
    this.#sequence = directory.sequence;
    this.#slot = slot;
    this.#free = unitCount(shape);
    this.#used = new Uint8Array(this.#free);
    for (const { id, bytes, extents } of directory.entries) {
      this.#stored.set(id, { bytes, extents: [...extents], users: 1 });
      for (const extent of extents) this.#mark(extent, 1);
    }
  }

  /** Makes the medium an empty one; everything on it is lost. */
  static async format(file: HostFile, options: MediumOptions): Promise<void> {
    const shape = { bytes: options.bytes, unit: options.unit ?? 2 ** 20, slotBytes: options.slotBytes ?? 2 ** 18 };
    const superblock = encodeSuperblock(shape);
    const empty = encodeDirectory({ sequence: 1, entries: [] }, shape.slotBytes)!;
    // The superblock last: until it is there, the medium is not one of ours.
    await file.write(0, [new Uint8Array(SUPERBLOCK_BYTES)]);
    await file.write(SUPERBLOCK_BYTES, [empty]);
    await file.write(SUPERBLOCK_BYTES + shape.slotBytes, [empty]);
    await file.flush();
    await file.write(0, [superblock]);
    await file.flush();
  }

  /** Takes over the file. @throws AfterimageError `corrupt` when it is no medium or both directories are damaged */
  static async open(file: HostFile): Promise<RawMedium> {
    const superblock = new Uint8Array(SUPERBLOCK_BYTES);
    await file.read(0, [superblock]);
    const shape = decodeSuperblock(superblock, await file.size(), file.name);
    let best: { directory: Directory; slot: number } | undefined;
    const problems: string[] = [];
    for (const slot of [0, 1]) {
      const bytes = new Uint8Array(shape.slotBytes);
      await file.read(SUPERBLOCK_BYTES + slot * shape.slotBytes, [bytes]);
      const directory = decodeDirectory(bytes, shape);
      if (typeof directory === 'string') problems.push(directory);
      else if (best === undefined || directory.sequence > best.directory.sequence) best = { directory, slot };
    }
    if (best !== undefined) return new RawMedium(file, shape, best.directory, best.slot);
    const place = { file: file.name, section: 'directory', offset: SUPERBLOCK_BYTES };
    throw damaged(`both directories of the medium are unusable: ${problems.join('; ')}`, place);
  }

  get freeBytes(): number {
    return this.#free * this.#shape.unit;
  }

  async begin(id: Hex): Promise<StoreDraft> {
    const allocation: Allocation = { extents: [], bytes: 0, users: 1 };
    const file = this.#open(id, allocation, false);
    let open = true;
    return {
      file,
      complete: async () => {
        await this.#file.flush();
        await this.#update(entries => entries.set(id, allocation));
        open = false;
      },
      abort: async () => {
        if (open) this.#release(allocation);
        open = false;
      },
    };
  }

  async open(id: Hex): Promise<HostFile> {
    const allocation = this.#stored.get(id);
    if (allocation === undefined) {
      throw new AfterimageError('missing', 'No such checkpoint is on the medium', { id, file: this.#file.name });
    }
    allocation.users += 1;
    return this.#open(id, allocation, true);
  }

  async list(): Promise<StoredCheckpoint[]> {
    return [...this.#stored].map(([id, { bytes }]) => ({ id, bytes }));
  }

  async remove(id: Hex): Promise<void> {
    if (this.#stored.has(id)) await this.#update(entries => entries.delete(id));
  }

  /** What is not in the directory is free already. */
  async sweep(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Writes the changed directory into the older slot, then makes it the present one. One at a time. */
  async #update(change: (entries: Map<Hex, Allocation>) => void): Promise<void> {
    const step = this.#change.then(async () => {
      const next = new Map(this.#stored);
      change(next);
      const sequence = this.#sequence + 1;
      const entries = [...next].map(([id, { bytes, extents }]): DirectoryEntry => ({ id, bytes, extents }));
      const slot = encodeDirectory({ sequence, entries }, this.#shape.slotBytes);
      if (slot === undefined) throw this.#full('The directory of the medium is full');
      // A failed write may have reached the medium or not, so its number is not used again.
      this.#sequence = sequence;
      const target = 1 - this.#slot;
      try {
        await this.#file.write(SUPERBLOCK_BYTES + target * this.#shape.slotBytes, [slot]);
        await this.#file.flush();
      } catch (thrown) {
        for (const allocation of next.values()) {
          allocation.users += 1;
          this.#doubtful.push(allocation);
        }
        throw thrown;
      }
      this.#slot = target;
      for (const [id, allocation] of [...this.#stored]) {
        if (next.get(id) === allocation) continue;
        this.#stored.delete(id);
        this.#release(allocation);
      }
      for (const [id, allocation] of next) this.#stored.set(id, allocation);
      for (const allocation of this.#doubtful.splice(0)) this.#release(allocation);
    });
    this.#change = step.catch(() => undefined);
    await step;
  }

  #open(id: Hex, allocation: Allocation, readonly: boolean): HostFile {
    const name = `${id} on ${this.#file.name}`;
    const grow = (bytes: number) => this.#grow(allocation, bytes);
    const done = () => {
      if (readonly) this.#release(allocation);
    };
    return new ExtentFile({ name, readonly, medium: this.#file, shape: this.#shape, allocation, grow, done });
  }

  #grow(allocation: Allocation, bytes: number): void {
    const { unit } = this.#shape;
    const have = allocation.extents.reduce((sum, extent) => sum + extent.count, 0);
    let missing = Math.ceil(bytes / unit) - have;
    if (missing > this.#free) throw this.#full('No space is left on the medium');
    for (let at = 0; missing > 0; at += 1) {
      at = this.#used.indexOf(0, at);
      let count = 1;
      while (count < missing && this.#used[at + count] === 0) count += 1;
      this.#mark({ first: at, count }, 1);
      const last = allocation.extents.at(-1);
      if (last !== undefined && last.first + last.count === at) {
        allocation.extents[allocation.extents.length - 1] = { first: last.first, count: last.count + count };
      } else {
        allocation.extents.push({ first: at, count });
      }
      missing -= count;
    }
    allocation.bytes = Math.max(allocation.bytes, bytes);
  }

  #release(allocation: Allocation): void {
    allocation.users -= 1;
    if (allocation.users > 0) return;
    for (const extent of allocation.extents) this.#mark(extent, 0);
  }

  #mark({ first, count }: Extent, used: 0 | 1): void {
    this.#used.fill(used, first, first + count);
    this.#free += used === 1 ? -count : count;
  }

  #full(what: string): AfterimageError {
    return new AfterimageError('no-space', what, { file: this.#file.name, free: this.freeBytes });
  }
}

interface ExtentFileParts {
  readonly name: string;
  readonly readonly: boolean;
  readonly medium: HostFile;
  readonly shape: MediumShape;
  readonly allocation: Allocation;
  readonly grow: (bytes: number) => void;
  readonly done: () => void;
}

/** Units of the medium as one file. */
class ExtentFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  readonly #parts: ExtentFileParts;
  #open = true;

  constructor(parts: ExtentFileParts) {
    this.name = parts.name;
    this.readonly = parts.readonly;
    this.#parts = parts;
  }

  async size(): Promise<number> {
    return this.#parts.allocation.bytes;
  }

  async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(into);
    const present = Math.max(0, Math.min(length, this.#parts.allocation.bytes - at));
    for (const { where, buffers } of this.#pieces(at, sliceBuffers(into, 0, present))) {
      await this.#parts.medium.read(where, buffers);
    }
    for (const rest of sliceBuffers(into, present, length - present)) rest.fill(0);
  }

  async write(at: number, from: readonly Uint8Array[]): Promise<void> {
    if (this.readonly)
      throw new AfterimageError('denied', 'A completed checkpoint is not changed', { file: this.name });
    this.#parts.grow(at + totalLength(from));
    for (const { where, buffers } of this.#pieces(at, from)) await this.#parts.medium.write(where, buffers);
  }

  async flush(): Promise<void> {
    await this.#parts.medium.flush();
  }

  async truncate(): Promise<void> {
    throw new AfterimageError('unsupported', 'A checkpoint on a medium is not truncated', { file: this.name });
  }

  async close(): Promise<void> {
    if (this.#open) this.#parts.done();
    this.#open = false;
  }

  /** The range of the file as ranges of the medium. */
  #pieces(at: number, buffers: readonly Uint8Array[]): { where: number; buffers: Uint8Array[] }[] {
    const { shape, allocation } = this.#parts;
    const length = totalLength(buffers);
    const pieces: { where: number; buffers: Uint8Array[] }[] = [];
    let start = 0;
    for (const { first, count } of allocation.extents) {
      const end = start + count * shape.unit;
      const from = Math.max(at, start);
      const until = Math.min(at + length, end);
      if (from < until) {
        const where = unitsStart(shape) + first * shape.unit + from - start;
        pieces.push({ where, buffers: sliceBuffers(buffers, from - at, until - from) });
      }
      start = end;
    }
    return pieces;
  }
}
