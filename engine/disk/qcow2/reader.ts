import { scatter, sliceBuffers, totalLength } from '../buffers.ts';
import type { Disk } from '../disk.ts';
import { readBacking } from './backing.ts';
import { Steps } from './bytes.ts';
import type { Decompressor } from './compressed.ts';
import { type ClusterEntry, type EntryShape, UNALLOCATED } from './entries.ts';
import { MOST_RUNS } from './limits.ts';
import type { Mapping } from './mapping.ts';
import type { Storage } from './storage.ts';

/** Where the bytes of a range of the disk are. */
export type RunKind = 'zero' | 'allocated' | 'compressed' | 'backing';

export interface Run {
  readonly kind: RunKind;
  /** Of the disk, not of the file. */
  readonly offset: number;
  readonly length: number;
  /** Where an allocated run lies in the file. */
  readonly at?: number;
}

/** A run with what is needed to read it. */
interface ReadRun {
  kind: RunKind;
  offset: number;
  length: number;
  at: number;
  entry: ClusterEntry;
}

export interface ReaderParts {
  readonly storage: Storage;
  readonly mapping: Mapping;
  readonly decompressor: Decompressor;
  readonly size: number;
  /** The image names a backing file, whether or not it is open. */
  readonly hasBacking: boolean;
  readonly backing: Disk | undefined;
}

/** Reads the disk through the mapping. Never waits for writes elsewhere. */
export class Reader {
  readonly #parts: ReaderParts;
  readonly #shape: EntryShape;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#shape = parts.mapping.shape;
  }

  async read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(into);
    const single = this.#singleRun(offset, length);
    if (single !== undefined) {
      await this.#readRun(single, into);
      return;
    }
    const steps = new Steps();
    await steps.finish(() =>
      this.#walk(offset, length, run => {
        steps.add(this.#readRun(run, sliceBuffers(into, run.offset - offset, run.length)));
        return true;
      }),
    );
  }

  /** The runs of a range from its start, in order; at most `MOST_RUNS`, so the last may end before the range. */
  async allocation(offset: number, length: number): Promise<Run[]> {
    const runs: Run[] = [];
    await this.#walk(offset, length, ({ kind, offset: start, length: bytes, at }) => {
      runs.push(
        kind === 'allocated' ? { kind, offset: start, length: bytes, at } : { kind, offset: start, length: bytes },
      );
      return runs.length < MOST_RUNS;
    });
    return runs;
  }

  /** The kind of a whole range, if it has one kind and its mapping is in memory. Never waits. */
  peek(offset: number, length: number): RunKind | undefined {
    const { clusterSize } = this.#shape;
    const end = offset + length;
    let kind: RunKind | undefined;
    for (let at = offset; at < end; ) {
      const entry = this.#parts.mapping.peek(Math.floor(at / clusterSize));
      if (entry === undefined) return undefined;
      const clusterEnd = Math.min(end, (Math.floor(at / clusterSize) + 1) * clusterSize);
      if (entry === UNALLOCATED) {
        const nothing = this.#parts.hasBacking ? 'backing' : 'zero';
        if (kind !== undefined && nothing !== kind) return undefined;
        kind = nothing;
        at = clusterEnd;
        continue;
      }
      while (at < clusterEnd) {
        const run = this.#runAt(entry, at, clusterEnd);
        if (kind !== undefined && run.kind !== kind) return undefined;
        kind = run.kind;
        at += run.length;
      }
    }
    return kind;
  }

  /** How many bytes from a place on are the backing file's, as far as that is known without waiting. */
  peekBacking(offset: number, most: number): number {
    if (!this.#parts.hasBacking) return 0;
    const { clusterSize } = this.#shape;
    const first = Math.floor(offset / clusterSize);
    const count = this.#parts.mapping.countEmpty(first, Math.ceil((offset + most) / clusterSize) - first);
    return Math.min(most, Math.max(0, (first + count) * clusterSize - offset));
  }

  /** The run that is the whole range, if it is one and its mapping is in memory. */
  #singleRun(offset: number, length: number): ReadRun | undefined {
    const { clusterSize } = this.#shape;
    const end = offset + length;
    let last: ReadRun | undefined;
    for (let at = offset; at < end; ) {
      const cluster = Math.floor(at / clusterSize);
      const entry = this.#parts.mapping.peek(cluster);
      if (entry === undefined) return undefined;
      const clusterEnd = Math.min(end, (cluster + 1) * clusterSize);
      const run = this.#runAt(entry, at, clusterEnd);
      at += run.length;
      if (at < clusterEnd || (last !== undefined && !follows(last, run))) return undefined;
      if (last === undefined) last = run;
      else last.length += run.length;
    }
    return last;
  }

  async #readRun(run: ReadRun, into: readonly Uint8Array[]): Promise<void> {
    const { storage, decompressor, hasBacking, backing } = this.#parts;
    switch (run.kind) {
      case 'zero':
        for (const buffer of into) buffer.fill(0);
        return;
      case 'allocated':
        await storage.read(run.at, into);
        return;
      case 'backing':
        if (hasBacking) await readBacking(backing, run.offset, into, storage.file.name);
        else for (const buffer of into) buffer.fill(0);
        return;
      case 'compressed': {
        const cluster = await decompressor.cluster(run.entry);
        const from = run.offset % this.#shape.clusterSize;
        scatter(into, 0, cluster.subarray(from, from + run.length));
      }
    }
  }

  /** Visits the range in runs as long as possible, until `visit` says no. */
  async #walk(offset: number, length: number, visit: (run: ReadRun) => boolean): Promise<void> {
    const { clusterSize } = this.#shape;
    const { mapping } = this.#parts;
    const end = offset + length;
    let last: ReadRun | undefined;
    for (let at = offset; at < end; ) {
      const cluster = Math.floor(at / clusterSize);
      const entry = mapping.peek(cluster) ?? (await mapping.get(cluster));
      const clusterEnd = Math.min(end, (cluster + 1) * clusterSize);
      while (at < clusterEnd) {
        const run = this.#runAt(entry, at, clusterEnd);
        at += run.length;
        if (last !== undefined && follows(last, run)) {
          last.length += run.length;
          continue;
        }
        if (last !== undefined && !visit(last)) return;
        last = run;
      }
    }
    if (last !== undefined) visit(last);
  }

  /** The run that begins at `at` and lies within one cluster. */
  #runAt(entry: ClusterEntry, at: number, end: number): ReadRun {
    const { clusterSize, unit, units } = this.#shape;
    const inCluster = at % clusterSize;
    if (entry.compressedLength > 0) return { kind: 'compressed', offset: at, length: end - at, at: 0, entry };
    let index = Math.floor(inCluster / unit);
    const kind = this.#kindOf(entry, index);
    while (index + 1 < units && this.#kindOf(entry, index + 1) === kind) index += 1;
    const to = Math.min(end, at - inCluster + (index + 1) * unit);
    return { kind, offset: at, length: to - at, at: entry.host + inCluster, entry };
  }

  #kindOf(entry: ClusterEntry, unit: number): RunKind {
    const bit = 1 << unit;
    if ((entry.allocated & bit) !== 0) return 'allocated';
    if ((entry.zero & bit) !== 0) return 'zero';
    return this.#parts.hasBacking ? 'backing' : 'zero';
  }
}

function follows(last: ReadRun, next: ReadRun): boolean {
  if (last.kind !== next.kind || last.kind === 'compressed') return false;
  return last.kind !== 'allocated' || last.at + last.length === next.at;
}
