import { AfterimageError } from '../base/errors.ts';
import { auditFrames } from './audit.ts';
import { CopyOnWrite, type CopyOnWriteCounts } from './copy-on-write.ts';
import { Devirtualization, type DevirtualizationCounts, type JobStep } from './devirtualization.ts';
import { FrameAllocator } from './frame-allocator.ts';
import { type BarrierCore, FrameMover, type FramePins, type MapParts } from './frame-mover.ts';
import { PageMap } from './page-map.ts';
import { type PageRange, PageRanges } from './page-ranges.ts';
import type { ReverseStrategy } from './reverse-map.ts';
import { waitUntilSaved } from './save-states.ts';
import { scatterPages } from './scattering.ts';
import { sharePages } from './sharing.ts';
import { type MemorySummary, summarize } from './summary.ts';
import type { MemoryLayout } from './tables.ts';
import { MemoryTables } from './tables.ts';
import { TouchLog } from './touch-log.ts';

export interface MemoryManagerParts {
  readonly core: BarrierCore & { readonly bytes: Uint8Array; readonly layout: MemoryLayout };
  readonly pins: FramePins;
  /** Milliseconds with fractions, for the budget of `work`. */
  readonly now: () => number;
  /** Has the saver save a page and returns when it has, or has given up; by default it is told through machine memory. */
  readonly saveNow?: (page: number) => void;
}

/** Whether a job takes slices of the run loop or all the time that it needs at once (V9). */
export type JobMode = 'concurrent' | 'paused';

export interface DevirtualizeOptions {
  readonly mode?: JobMode;
  readonly reverse?: ReverseStrategy;
}

export interface MemoryCounts extends CopyOnWriteCounts, DevirtualizationCounts {
  /** Pages that began to share a frame. */
  shared: number;
}

/** The fastest over a scattered GiB, and nothing to build when all moves are direct, as after a checkpoint (bench: memory). */
const DEFAULT_REVERSE: ReverseStrategy = 'search';
/** Steps of a job between two looks at the clock; a step is up to four pages copied, a few microseconds. */
const STEPS_PER_LOOK = 8;
/** Originals looked at per call of `work`: a few microseconds. */
const REAP_PER_SLICE = 64;

/**
 * The P→M map of a machine and all that is done with it: virtualizing and devirtualizing at run time, copy-on-write for
 * checkpoints, sharing, scattering (REQUIREMENTS C and V, docs/MEMORY.md). On the hart thread, between slices; the run
 * loop calls `work` while it says that there is some, and the core's `cowFault` goes to `fault`.
 */
export class MemoryManager {
  readonly tables: MemoryTables;
  readonly counts: MemoryCounts = {
    faults: 0,
    copies: 0,
    saved: 0,
    clean: 0,
    waits: 0,
    abandoned: 0,
    direct: 0,
    indirect: 0,
    splits: 0,
    shared: 0,
  };
  readonly #parts: MapParts;
  readonly #mover: FrameMover;
  readonly #copyOnWrite: CopyOnWrite;
  readonly #touches: TouchLog;
  readonly #now: () => number;
  /** What was asked to be virtualized; checkpoints extend it for a time. */
  #wanted = new PageRanges();
  /** Left over of the last checkpoint. */
  #cleanup: Generator<JobStep, void> | undefined;
  #devirtualization: Generator<JobStep, void> | undefined;
  /** Sharing and scattering, in order. */
  readonly #jobs: Generator<JobStep, void>[] = [];

  constructor({ core, pins, now, saveNow }: MemoryManagerParts) {
    const tables = new MemoryTables(core.bytes, core.layout);
    const frames = new FrameAllocator(tables, pins);
    this.#parts = { core, tables, frames, map: new PageMap(tables, frames), pins };
    this.#mover = new FrameMover(this.#parts);
    this.tables = tables;
    this.#touches = new TouchLog(tables);
    this.#now = now;
    this.#copyOnWrite = new CopyOnWrite({
      ...this.#parts,
      counts: this.counts,
      saveNow: saveNow ?? (page => waitUntilSaved(tables, page)),
    });
  }

  /** Free frames now. */
  get freeFrames(): number {
    return this.#parts.frames.free;
  }

  /** Pages that are not in their own frame. */
  get remappedPages(): number {
    return this.#parts.map.remapped;
  }

  /** Pages of a lazy restore that are still in the checkpoint's file only. */
  get absentPages(): number {
    return this.tables.word(this.tables.layout.ABSENT_COUNT);
  }

  /** Frames that hold the map. */
  get mapFrames(): number {
    return this.#parts.map.storage;
  }

  /** The ranges whose P→M map is consulted; none: the machine is unvirtualized. */
  get virtualized(): readonly PageRange[] {
    return this.#parts.map.inForce.list;
  }

  get holding(): boolean {
    return this.#copyOnWrite.open;
  }

  /** From now on the map counts for these pages (V2, V5). Costs the same for any number. */
  virtualize(range: PageRange = this.#all): void {
    this.#check(range);
    // Both: while a checkpoint is open, what is in force says nothing of what will be.
    const wanted = this.#wanted.copy();
    wanted.add(range);
    this.#parts.map.refuseTooMany(wanted);
    const inForce = this.#parts.map.inForce.copy();
    inForce.add(range);
    this.#parts.map.setInForce(inForce);
    this.#wanted = wanted;
  }

  /**
   * Brings the pages of a range back to their own frames; then the map no longer counts for them and its storage is free
   * (V7-V9). `concurrent`: done by `work`. `paused`: done on return, but for frames that devices use and for an open
   * checkpoint; what they hold back is done by `work` later.
   */
  devirtualize(
    range: PageRange = this.#all,
    { mode = 'concurrent', reverse = DEFAULT_REVERSE }: DevirtualizeOptions = {},
  ): void {
    this.#check(range);
    const wanted = this.#wanted.copy();
    wanted.remove(range);
    this.#parts.map.refuseTooMany(wanted);
    this.#wanted = wanted;
    this.#devirtualization = this.#devirtualizing(reverse);
    if (mode === 'paused') this.finish();
  }

  /**
   * Maps pages of the same content to one frame, among those that are virtualized for good (V3). Like `scatter`, it waits
   * until no page is absent, also when `paused`.
   */
  share(mode: JobMode = 'concurrent'): void {
    this.#start(sharePages({ ...this.#moving, counts: this.counts }, this.#wanted.copy().list), mode);
  }

  /** Gives the virtualized pages of a range random frames (V3). */
  scatter(seed: number, range: PageRange = this.#all, mode: JobMode = 'paused'): void {
    this.#check(range);
    this.#start(scatterPages(this.#moving, range, seed), mode);
  }

  /** Whether `work` has something to do. It may have to wait for a checkpoint or a device all the same. */
  get busy(): boolean {
    return this.holding || this.#cleanup !== undefined || this.#devirtualization !== undefined || this.#jobs.length > 0;
  }

  /** Goes on with what is under way for about so long. True when it should be called again soon. */
  work(budgetMicroseconds: number): boolean {
    const end = this.#now() + budgetMicroseconds / 1000;
    return this.#run(() => this.#now() >= end);
  }

  /** Goes on until nothing is left, or only what must wait. True when something is left. */
  finish(): boolean {
    return this.#run(() => false);
  }

  /** The machine goes on from a checkpoint: the pages that it uses first are recorded (C17). */
  beginRestored(): void {
    this.#touches.begin(this.#parts.core);
  }

  /** To be called before the pause of a checkpoint: does what the last one has left, so that `hold` need not. */
  prepareHold(): void {
    while (this.#cleanup?.next().done === false);
    this.#cleanup = undefined;
  }

  /**
   * The moment of a checkpoint: all pages are copy-on-write from now on (C2, C4). Costs the same for any size of RAM.
   *
   * @param since pages last written in this epoch or before need not be saved (C17); 0: all are, but those never written
   * @returns the moment's epoch, which a later checkpoint names as `since` once this one is complete. Failing loses
   *   nothing: marks are never taken away, so the next checkpoint names the epoch of the last complete one.
   */
  hold(since = 0): number {
    if (this.holding) throw new AfterimageError('state', 'A checkpoint is being saved already');
    this.prepareHold();
    const all = new PageRanges();
    all.add(this.#all);
    this.#parts.map.setInForce(all);
    this.#touches.begin(this.#parts.core);
    return this.#copyOnWrite.begin(since);
  }

  /**
   * The checkpoint is saved or given up, and its saver reads no more. The machine goes back to what was virtualized
   * before, as far as `work` is called.
   */
  release(options: DevirtualizeOptions = {}): void {
    if (!this.holding) throw new AfterimageError('state', 'No checkpoint is being saved');
    this.#cleanup = this.#copyOnWrite.end();
    // Ends the hold at once; the rest is for `work`.
    this.#cleanup.next();
    this.#devirtualization ??= this.#devirtualizing(options.reverse ?? DEFAULT_REVERSE);
    if (options.mode === 'paused') this.finish();
  }

  /** The core's `cowFault`: the page gets a frame that it alone may write. */
  fault(page: number): void {
    this.#copyOnWrite.fault(page);
  }

  /** A frame for bytes that are on their way elsewhere; undefined when none is free. To be given back. */
  takeSpare(): number | undefined {
    return this.#parts.frames.take();
  }

  giveSpare(frame: number): void {
    this.#parts.frames.dropOwner(frame);
  }

  /** Takes the COW faults of pages now, before a device fills them (C9). `MachineMemory.pin` does it by itself. */
  forceCow(pages: Iterable<number>): void {
    for (const page of pages) this.#parts.core.frameForStore(page);
  }

  /** Pages written after an epoch. */
  dirtySince(epoch: number, range: PageRange = this.#all): Uint32Array {
    this.#check(range);
    const pages = new Uint32Array(range.count);
    let count = 0;
    for (let page = range.first; page < range.first + range.count; page += 1) {
      if (this.tables.epochOf(page) > epoch) pages[count++] = page;
    }
    return pages.slice(0, count);
  }

  /** See summary.ts; other threads call `summarize` themselves. */
  summary(range: PageRange = this.#all, since = 0): MemorySummary {
    this.#check(range);
    return summarize(this.tables, range, since);
  }

  /** Checks that every frame has the owners that the map and the checkpoint say, for tests. Returns what is wrong. */
  audit(): string[] {
    return auditFrames(this.#parts, this.#copyOnWrite);
  }

  get #all(): PageRange {
    return { first: 0, count: this.tables.ramPages };
  }

  get #moving() {
    return { ...this.#parts, mover: this.#mover, mayMove: (page: number) => this.#wanted.has(page) };
  }

  *#devirtualizing(strategy: ReverseStrategy): Generator<JobStep, void> {
    const stays = (page: number) => this.#wanted.has(page);
    const parts = { ...this.#parts, mover: this.#mover, stays, counts: this.counts };
    yield* new Devirtualization(parts, strategy).run();
    this.#parts.map.setInForce(this.#wanted);
    this.#parts.map.releaseStorage();
  }

  #start(job: Generator<JobStep, void>, mode: JobMode): void {
    this.#jobs.push(job);
    if (mode === 'paused') this.finish();
  }

  #run(enough: () => boolean): boolean {
    this.#parts.frames.collect();
    this.#copyOnWrite.reap(REAP_PER_SLICE);
    try {
      for (let steps = 1; this.busy; steps += 1) {
        if (!this.#step()) return false;
        if (steps % STEPS_PER_LOOK === 0 && enough()) return this.busy;
      }
      return false;
    } finally {
      this.#mover.flush();
    }
  }

  /** One step of what comes first; false when nothing can be done for now. While a checkpoint is saved the map is its own. */
  #step(): boolean {
    if (this.holding) return false;
    if (this.#cleanup !== undefined) {
      if (this.#cleanup.next().done) this.#cleanup = undefined;
      return true;
    }
    const job = this.#jobs[0] ?? this.#devirtualization;
    // Absent pages are in their own frames and not to be moved; they arrive by themselves.
    if (job === this.#jobs[0] && this.absentPages > 0) return false;
    const step = job?.next();
    if (step?.value === 'blocked') return false;
    if (step?.done && job === this.#jobs[0]) this.#jobs.shift();
    else if (step?.done) this.#devirtualization = undefined;
    return true;
  }

  #check({ first, count }: PageRange): void {
    const { ramPages } = this.tables;
    if (!Number.isInteger(first) || !Number.isInteger(count) || first < 0 || count < 0 || first + count > ramPages) {
      throw new AfterimageError('usage', 'The range of pages is not within memory', { first, count, ramPages });
    }
  }
}
