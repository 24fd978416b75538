import { sliceBuffers, totalLength } from '../buffers.ts';
import type { RangeLock } from '../range-lock.ts';
import { roundUp, Steps } from './bytes.ts';
import type { Committer } from './commit.ts';
import { type ClusterEntry, type EntryShape, unitBits } from './entries.ts';
import type { Layout } from './layout.ts';
import type { Mapping } from './mapping.ts';
import type { Reader } from './reader.ts';
import type { Refcounts } from './refcounts.ts';
import type { Storage } from './storage.ts';

/** Larger fills are copied in pieces of this size, so that many writes into clusters of 2 MiB stay within memory. */
const FILL_BYTES = 128 * 1024;

export interface WriterParts {
  readonly storage: Storage;
  readonly mapping: Mapping;
  readonly refcounts: Refcounts;
  readonly layout: Layout;
  readonly committer: Committer;
  readonly reader: Reader;
  /** Bytes of the disk whose mapping is being changed. */
  readonly locks: RangeLock;
  readonly size: number;
  /** Bytes of the disk that unallocated clusters take from below: 0 without a backing file, infinity if not known. */
  readonly backingSize: number;
  /** A cluster is let go whose host clusters others may share. */
  readonly compressedGone: () => void;
}

/** A stretch of clusters in a row, in the guest and in the file, that one write gives new content. */
interface Target {
  readonly from: number;
  readonly to: number;
  readonly firstCluster: number;
  readonly lastCluster: number;
  readonly host: number;
  /** The host clusters are new to the guest clusters, and maybe to everyone. */
  readonly isNew: boolean;
  readonly fresh: boolean;
  readonly firstEntry: ClusterEntry;
  readonly lastEntry: ClusterEntry;
}

/** A write that has been started, and where it will end. */
interface Started {
  readonly end: number;
  readonly step: Promise<void>;
}

interface Place {
  readonly host: number;
  /** Nothing was ever there. */
  readonly fresh: boolean;
}

/** A host cluster that writes are filling and that its guest cluster's entry does not name yet. */
interface Reservation extends Place {
  /** Writes into it that run. */
  users: number;
  /** The entry names it now. */
  named: boolean;
}

/** Writes data: in place where it may, into new clusters elsewhere. */
export class Writer {
  readonly #parts: WriterParts;
  readonly #shape: EntryShape;
  /** By guest cluster. */
  readonly #reservations = new Map<number, Reservation>();

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#shape = parts.mapping.shape;
  }

  async write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    const end = offset + totalLength(from);
    const begin = this.#begin(offset, end, from, offset);
    if (begin !== undefined && begin.end === end) {
      await begin.step;
      return;
    }
    const steps = new Steps();
    if (begin !== undefined) steps.add(begin.step);
    await steps.finish(async () => {
      for (let at = begin?.end ?? offset; at < end; ) {
        await this.#entry(this.#clusterOf(at));
        const next = this.#begin(at, end, from, offset);
        if (next !== undefined) {
          steps.add(next.step);
          at = next.end;
          continue;
        }
        const first = this.#clusterOf(at);
        const last = Math.min(this.#clusterOf(end - 1), this.#parts.mapping.lastInSlice(first));
        const stop = Math.min(end, (last + 1) * this.#shape.clusterSize);
        await this.locked(first, last, async () => {
          while (at < stop) at = await this.#step(at, stop, from, offset);
        });
      }
    });
  }

  /** Starts to write from `at`, as far as that goes without a wait; undefined when it must wait first. */
  #begin(at: number, end: number, from: readonly Uint8Array[], offset: number): Started | undefined {
    const data = (to: number) => (at === offset && to === end ? from : sliceBuffers(from, at - offset, to - at));
    const run = this.#inPlace(at, end);
    if (run.length > 0) {
      const to = at + run.length;
      return { end: to, step: this.#writeData(run.host, data(to)) };
    }
    const target = this.#reserve(at, end);
    return target && { end: target.to, step: this.#writeReserved(target, data(target.to)) };
  }

  /**
   * Makes room for subclusters in host clusters of their own, new ones where there are none, and so lets many writes
   * into one cluster run at the same time: each only holds its subclusters. Elsewhere a write may have to fill the
   * whole cluster, and takes it for itself.
   */
  #reserve(at: number, end: number): Target | undefined {
    const { clusterSize, unit, extended } = this.#shape;
    const { mapping, committer, locks } = this.#parts;
    if (!extended || !committer.hasRoom) return undefined;
    const firstCluster = this.#clusterOf(at);
    const most = Math.min(this.#clusterOf(end - 1), mapping.lastInSlice(firstCluster));
    const limit = Math.min(end, (most + 1) * clusterSize);
    const from = at - (at % unit);
    if (!mapping.writable(firstCluster) || !locks.isFree(from, roundUp(limit, unit) - from)) return undefined;
    let host = 0;
    let fresh = true;
    let firstEntry: ClusterEntry | undefined;
    let lastEntry: ClusterEntry | undefined;
    let cluster = firstCluster;
    for (; cluster <= most; cluster += 1) {
      const entry = mapping.peek(cluster);
      const place = entry && (this.#placeOf(cluster, entry) ?? this.#newPlace(cluster, entry, firstCluster, most));
      if (place === undefined) break;
      if (cluster === firstCluster) host = place.host;
      else if (place.host !== host + (cluster - firstCluster) * clusterSize) break;
      fresh &&= place.fresh;
      firstEntry ??= entry;
      lastEntry = entry;
    }
    if (firstEntry === undefined || lastEntry === undefined) return undefined;
    const to = Math.min(end, cluster * clusterSize);
    const lastCluster = cluster - 1;
    return { from: at, to, firstCluster, lastCluster, host, isNew: false, fresh, firstEntry, lastEntry };
  }

  /** Where a cluster's subclusters can be written as it is. */
  #placeOf(cluster: number, entry: ClusterEntry): Place | undefined {
    return hasOwnCluster(entry) ? { host: entry.host, fresh: false } : this.#reservations.get(cluster);
  }

  /** New places for the first cluster of a write and those after it that need one; undefined when that takes a wait. */
  #newPlace(cluster: number, entry: ClusterEntry, first: number, most: number): Place | undefined {
    // Only at the beginning, so that none is left without a user. What has a host cluster has content to move.
    if (cluster !== first || entry.host !== 0) return undefined;
    let last = cluster;
    while (last < most && this.#parts.mapping.peek(last + 1)?.host === 0 && !this.#reservations.has(last + 1))
      last += 1;
    const found = this.#parts.refcounts.allocateNow(last - cluster + 1);
    if (found === undefined) return undefined;
    for (let index = 0; index < found.count; index += 1) {
      const host = (found.first + index) * this.#shape.clusterSize;
      this.#reservations.set(cluster + index, { host, fresh: found.fresh, users: 0, named: false });
    }
    return this.#reservations.get(cluster);
  }

  /** Started without a wait since `#reserve`: what that found is still so. */
  async #writeReserved(target: Target, data: readonly Uint8Array[]): Promise<void> {
    const { unit } = this.#shape;
    const { locks } = this.#parts;
    const { firstCluster, lastCluster } = target;
    const from = target.from - (target.from % unit);
    const held = locks.take(from, roundUp(target.to, unit) - from)!;
    for (let cluster = firstCluster; cluster <= lastCluster; cluster += 1) {
      const reservation = this.#reservations.get(cluster);
      if (reservation !== undefined) reservation.users += 1;
    }
    try {
      await this.#writeTarget(target, data);
      if (!this.#pointNow(target)) await this.#point(target);
      // Their users are counted, so they are the same as before.
      for (let cluster = firstCluster; cluster <= lastCluster; cluster += 1) {
        const reservation = this.#reservations.get(cluster);
        if (reservation !== undefined) reservation.named = true;
      }
    } finally {
      locks.giveBack(held);
      for (let cluster = firstCluster; cluster <= lastCluster; cluster += 1) this.#leave(cluster);
    }
  }

  #leave(cluster: number): void {
    const reservation = this.#reservations.get(cluster);
    if (reservation === undefined) return;
    reservation.users -= 1;
    if (reservation.users > 0) return;
    this.#reservations.delete(cluster);
    if (reservation.named) return;
    this.#parts.refcounts.release({ first: reservation.host / this.#shape.clusterSize, count: 1 });
  }

  /** Runs a step that changes the mapping of clusters `first..last`, which share a slice. Not to be nested. */
  async locked(first: number, last: number, step: () => Promise<void>): Promise<void> {
    const { clusterSize } = this.#shape;
    await this.#parts.locks.run(first * clusterSize, (last - first + 1) * clusterSize, 'exclusive', async () => {
      if (!this.#parts.committer.hasRoom) await this.#parts.committer.room();
      await step();
    });
  }

  #clusterOf(at: number): number {
    return Math.floor(at / this.#shape.clusterSize);
  }

  async #entry(cluster: number): Promise<ClusterEntry> {
    return this.#parts.mapping.peek(cluster) ?? (await this.#parts.mapping.get(cluster));
  }

  /** How much from `at` on can be written where it is, without a change to the mapping, as far as it is in memory. */
  #inPlace(at: number, end: number): { host: number; length: number } {
    const { clusterSize, unit } = this.#shape;
    const { mapping } = this.#parts;
    let host = 0;
    let to = at;
    while (to < end) {
      const cluster = this.#clusterOf(to);
      const entry = mapping.peek(cluster);
      if (entry === undefined || !entry.copied || !mapping.writable(cluster)) break;
      const inCluster = to % clusterSize;
      if ((entry.allocated & (1 << Math.floor(inCluster / unit))) === 0) break;
      if (to === at) host = entry.host + inCluster;
      else if (host + (to - at) !== entry.host + inCluster) break;
      to += unit - (inCluster % unit);
    }
    return { host, length: Math.min(to, end) - at };
  }

  /** Throws `corrupt` at once when there is something else than data. */
  #writeData(host: number, from: readonly Uint8Array[]): Promise<void> {
    this.#parts.layout.expectData(host, totalLength(from));
    return this.#parts.storage.write(host, from);
  }

  /** Writes from `at`, as far as one write reaches, and returns where it ended. The clusters up to `stop` are locked. */
  async #step(at: number, stop: number, from: readonly Uint8Array[], offset: number): Promise<number> {
    const { clusterSize } = this.#shape;
    const { mapping, refcounts, layout, committer } = this.#parts;
    const cluster = this.#clusterOf(at);
    if (!mapping.writable(cluster)) await mapping.makeWritable(cluster, refcounts, layout, committer.room);
    const entry = await this.#entry(cluster);
    const run = this.#inPlace(at, stop);
    if (run.length > 0) {
      await this.#writeData(run.host, sliceBuffers(from, at - offset, run.length));
      return at + run.length;
    }
    if (hasOwnCluster(entry)) {
      const to = Math.min(stop, (cluster + 1) * clusterSize);
      const place = { host: entry.host, isNew: false, fresh: false, firstEntry: entry, lastEntry: entry };
      const target = { from: at, to, firstCluster: cluster, lastCluster: cluster, ...place };
      await this.#writeTarget(target, sliceBuffers(from, at - offset, to - at));
      await this.#point(target);
      return to;
    }
    return await this.#writeNew(at, stop, entry, from, offset);
  }

  /** Allocates clusters for as many guest clusters in a row as need one, and writes into them. */
  async #writeNew(at: number, stop: number, entry: ClusterEntry, from: readonly Uint8Array[], offset: number) {
    const { clusterSize } = this.#shape;
    const { mapping, refcounts } = this.#parts;
    const cluster = this.#clusterOf(at);
    const entries = [entry];
    let last = cluster;
    let lastEntry = entry;
    while ((last + 1) * clusterSize < stop) {
      const next = mapping.peek(last + 1);
      if (next === undefined || hasOwnCluster(next)) break;
      last += 1;
      lastEntry = next;
      entries.push(next);
    }
    const found = await refcounts.allocate(last - cluster + 1);
    if (cluster + found.count - 1 < last) {
      last = cluster + found.count - 1;
      lastEntry = entries[found.count - 1]!;
    }
    const to = Math.min(stop, (last + 1) * clusterSize);
    const place = { host: found.first * clusterSize, isNew: true, fresh: found.fresh, firstEntry: entry, lastEntry };
    const target = { from: at, to, firstCluster: cluster, lastCluster: last, ...place };
    try {
      await this.#writeTarget(target, sliceBuffers(from, at - offset, to - at));
      await this.#point(target);
    } catch (thrown) {
      refcounts.release(found);
      throw thrown;
    }
    return to;
  }

  /** Where the content of the target's host clusters must begin and end to be whole: the fills before and after. */
  #bounds(target: Target): { start: number; end: number } {
    const { unit, clusterSize } = this.#shape;
    const { from, to, firstCluster, lastCluster, isNew, firstEntry, lastEntry } = target;
    let start = from - (from % unit);
    let end = to + ((unit - (to % unit)) % unit);
    if (isNew && hasData(firstEntry)) start = firstCluster * clusterSize;
    else if (!isNew && isAllocated(firstEntry, (from % clusterSize) / unit)) start = from;
    if (isNew && hasData(lastEntry)) end = (lastCluster + 1) * clusterSize;
    else if (!isNew && isAllocated(lastEntry, ((to - 1) % clusterSize) / unit)) end = to;
    return { start, end };
  }

  /** Writes the data with what is missing around it, taken from what the guest reads there now (C5). */
  #writeTarget(target: Target, data: readonly Uint8Array[]): Promise<void> {
    const { from, to, firstCluster, host } = target;
    const { start, end } = this.#bounds(target);
    if (start !== from || end !== to) return this.#writeFilled(target, data, start, end);
    return this.#writeData(host + from - firstCluster * this.#shape.clusterSize, data);
  }

  async #writeFilled(target: Target, data: readonly Uint8Array[], start: number, end: number): Promise<void> {
    const { from, to, firstCluster, host, firstEntry, lastEntry } = target;
    const hostOf = (at: number) => host + at - firstCluster * this.#shape.clusterSize;
    const skipHead = target.fresh && this.readsZero(firstEntry, start, from);
    const skipTail = target.fresh && this.readsZero(lastEntry, to, end);
    const head = skipHead ? from : await this.#copy(start, from, hostOf, 'last');
    const tail = skipTail ? to : await this.#copy(to, end, hostOf, 'first');
    const before = head < from ? [await this.#content(head, from)] : [];
    const after = tail > to ? [await this.#content(to, tail)] : [];
    await this.#writeData(hostOf(head), [...before, ...data, ...after]);
  }

  /** Copies all but the last or first piece of a fill and returns where that piece begins, or ends. */
  async #copy(from: number, to: number, hostOf: (at: number) => number, leave: 'last' | 'first'): Promise<number> {
    let start = leave === 'first' ? Math.min(to, from + FILL_BYTES) : from;
    const kept = start;
    const end = leave === 'last' ? Math.max(from, to - FILL_BYTES) : to;
    while (start < end) {
      const next = Math.min(end, start + FILL_BYTES);
      await this.#writeData(hostOf(start), [await this.#content(start, next)]);
      start = next;
    }
    return leave === 'last' ? end : kept;
  }

  /** What the guest reads in a range; zeroes past the end of the disk. */
  async #content(from: number, to: number): Promise<Uint8Array> {
    const content = new Uint8Array(to - from);
    const length = Math.min(to, this.#parts.size) - from;
    if (length > 0) await this.#parts.reader.read(from, [content.subarray(0, length)]);
    return content;
  }

  /** Whether a range within the entry's cluster reads as zeroes for certain. */
  readsZero(entry: ClusterEntry, from: number, to: number): boolean {
    if (from >= to) return true;
    if (entry.compressedLength > 0) return false;
    const { unit, clusterSize } = this.#shape;
    const first = Math.floor((from % clusterSize) / unit);
    const bits = unitBits(first, first + Math.ceil((to - (from - (from % unit))) / unit) - 1);
    if ((entry.allocated & bits) !== 0) return false;
    return (entry.zero & bits) >>> 0 === bits || from >= this.#parts.backingSize;
  }

  /** Points the entries of the target's clusters to their content: all of them or, on a failure, none. */
  async #point(target: Target): Promise<void> {
    while (!this.#pointNow(target)) await this.#parts.mapping.load(target.firstCluster);
  }

  /** As `#point`; false when the entries must be loaded first. */
  #pointNow(target: Target): boolean {
    const { unit, clusterSize } = this.#shape;
    const { mapping } = this.#parts;
    const { firstCluster, lastCluster } = target;
    const { start, end } = this.#bounds(target);
    // They share one slice: with the first in memory all are.
    if (mapping.peek(firstCluster) === undefined) return false;
    let host = target.host;
    for (let cluster = firstCluster; cluster <= lastCluster; cluster += 1) {
      const old = mapping.peek(cluster)!;
      const from = Math.max(start - cluster * clusterSize, 0);
      const to = Math.min(end - cluster * clusterSize, clusterSize);
      const bits = unitBits(Math.floor(from / unit), Math.ceil(to / unit) - 1);
      const allocated = (old.compressedLength > 0 ? bits : old.allocated | bits) >>> 0;
      const zero = (old.zero & ~bits) >>> 0;
      mapping.set(cluster, { host, copied: true, allocated, zero, compressedLength: 0 });
      if (target.isNew) this.releaseContent(old);
      host += clusterSize;
    }
    return true;
  }

  /** Gives back what a replaced entry referred to. */
  releaseContent(entry: ClusterEntry): void {
    const { clusterSize } = this.#shape;
    if (entry.host === 0) return;
    const first = Math.floor(entry.host / clusterSize);
    if (entry.compressedLength === 0) {
      this.#parts.refcounts.release({ first, count: 1 });
      return;
    }
    const last = Math.floor((entry.host + entry.compressedLength - 1) / clusterSize);
    this.#parts.refcounts.release({ first, count: last - first + 1 });
    this.#parts.compressedGone();
  }
}

/** Whether the entry has a host cluster that is its alone, with data or without. */
export function hasOwnCluster(entry: ClusterEntry): boolean {
  return entry.host !== 0 && entry.copied && entry.compressedLength === 0;
}

/** Whether a cluster's content must move along when it gets another host cluster. */
function hasData(entry: ClusterEntry): boolean {
  return entry.allocated !== 0 || entry.compressedLength > 0;
}

function isAllocated(entry: ClusterEntry, unit: number): boolean {
  return (entry.allocated & (1 << Math.floor(unit))) !== 0;
}
