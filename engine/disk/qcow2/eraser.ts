import { type ClusterEntry, type EntryShape, UNALLOCATED, unitBits } from './entries.ts';
import { ZERO_BUFFER_BYTES } from './limits.ts';
import type { Writer, WriterParts } from './writer.ts';

/** `discard` may leave what it cannot free; `zero` must make the whole range read as zeroes. */
export type EraseKind = 'discard' | 'zero';

interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Makes ranges read as zeroes and frees their clusters. Whole clusters and subclusters only change their entries; the
 * rest of a `zero` is written as data. Discarded clusters never show the backing file again: what it holds there may be
 * older than what the guest has discarded.
 */
export class Eraser {
  readonly #parts: WriterParts;
  readonly #writer: Writer;
  readonly #shape: EntryShape;

  constructor(parts: WriterParts, writer: Writer) {
    this.#parts = parts;
    this.#writer = writer;
    this.#shape = parts.mapping.shape;
  }

  async erase(offset: number, length: number, kind: EraseKind): Promise<void> {
    const { clusterSize } = this.#shape;
    const { mapping } = this.#parts;
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const first = Math.floor(at / clusterSize);
      const absent = mapping.lastWithoutTable(first);
      if (absent !== undefined && (kind === 'discard' || at >= this.#parts.backingSize)) {
        at = (absent + 1) * clusterSize;
        continue;
      }
      const last = Math.min(Math.floor((end - 1) / clusterSize), mapping.lastInSlice(first));
      const stop = Math.min(end, (last + 1) * clusterSize);
      const rest: Range[] = [];
      await this.#writer.locked(first, last, async () => {
        for (let from = at; from < stop; ) {
          const to = Math.min(stop, (Math.floor(from / clusterSize) + 1) * clusterSize);
          rest.push(...(await this.#eraseCluster(from, to, kind)));
          from = to;
        }
      });
      if (kind === 'zero') for (const range of rest) await this.#writeZeroes(range);
      at = stop;
    }
  }

  /** Erases a range within one cluster, as far as its entry can say so, and returns what remains. */
  async #eraseCluster(from: number, to: number, kind: EraseKind): Promise<Range[]> {
    const { clusterSize, unit, all, version } = this.#shape;
    const { mapping, size } = this.#parts;
    const cluster = Math.floor(from / clusterSize);
    const start = cluster * clusterSize;
    const entry = mapping.peek(cluster) ?? (await mapping.get(cluster));
    if (this.#writer.readsZero(entry, from, to) && (kind === 'zero' || entry.host === 0)) return [];
    if (kind === 'discard' && entry.host === 0) return [];
    // Nobody sees what is past the end of the disk in its last cluster.
    const first = Math.ceil((from - start) / unit);
    const last = to === size ? this.#shape.units - 1 : Math.floor((to - start) / unit) - 1;
    if (last < first) return [{ from, to }];
    const bits = unitBits(first, last);
    const whole = bits === all;
    // A cluster without a zero flag can only show zeroes where nothing lies below it.
    const unflagged = start >= this.#parts.backingSize;
    if (!whole && entry.compressedLength > 0) return [{ from, to }];
    if (version < 3 && !unflagged) return [{ from, to }];
    await this.#change(cluster, old => erased(old, bits, all, unflagged));
    const rest: Range[] = [];
    if (from < start + first * unit) rest.push({ from, to: start + first * unit });
    if (start + (last + 1) * unit < to) rest.push({ from: start + (last + 1) * unit, to });
    return rest;
  }

  async #change(cluster: number, become: (old: ClusterEntry) => ClusterEntry): Promise<void> {
    const { mapping, refcounts, layout, committer } = this.#parts;
    if (!committer.hasRoom) await committer.room();
    if (!mapping.writable(cluster)) await mapping.makeWritable(cluster, refcounts, layout, committer.room);
    for (;;) {
      const old = mapping.peek(cluster);
      if (old === undefined) {
        await mapping.load(cluster);
        continue;
      }
      const next = become(old);
      mapping.set(cluster, next);
      if (next.host === 0) this.#writer.releaseContent(old);
      return;
    }
  }

  async #writeZeroes({ from, to }: Range): Promise<void> {
    const zeroes = new Uint8Array(Math.min(to - from, ZERO_BUFFER_BYTES));
    for (let at = from; at < to; at += zeroes.length) {
      await this.#writer.write(at, [zeroes.subarray(0, Math.min(zeroes.length, to - at))]);
    }
  }
}

/** The entry with some units zero, and without its host cluster when no unit needs it any more. */
function erased(old: ClusterEntry, bits: number, all: number, unflagged: boolean): ClusterEntry {
  const whole = bits === all;
  if (whole && unflagged) return UNALLOCATED;
  const allocated = whole ? 0 : (old.allocated & ~bits) >>> 0;
  const zero = (old.zero | bits) >>> 0;
  if (allocated === 0) return { host: 0, copied: false, allocated: 0, zero, compressedLength: 0 };
  return { host: old.host, copied: old.copied, allocated, zero, compressedLength: 0 };
}
