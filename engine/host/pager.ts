// Brings the pages of a lazy restore (C17) from the checkpoint's files into machine memory: the one that the hart waits
// for first, then the recorded working set, then all others. On the I/O thread.
import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import { PageSources } from '../checkpoint/page-sources.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';
import { AbsentPages, RESTORED_EPOCH } from '../memory/absent-pages.ts';
import type { MemoryTables } from '../memory/tables.ts';

export interface PagerEvents {
  /** Fewer pages are absent than the last time, at most every so many milliseconds; 0 once, when none is. */
  readonly progress: (absent: number) => void;
  /** The hart waits for a page that cannot be read. It waits on until `retry` succeeds or the machine stops. */
  readonly unreadable: (error: AfterimageError) => void;
  /** The page that was unreadable has been read, the hart goes on. */
  readonly readable: () => void;
}

export interface PagerParts {
  readonly tables: MemoryTables;
  /** Closed when no page is absent any more, or by `close`. */
  readonly reader: CheckpointReader;
  /** Pages to be brought first, in this order. */
  readonly workingSet?: Iterable<number>;
  readonly events: PagerEvents;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** Space 0 of a checkpoint is memory. */
const MEMORY = 0;
/** Blocks on their way at once: one is read while another is decompressed. */
const AT_ONCE = 3;
/** After so long the I/O thread is free for others; in the background it rests for as long. */
const TURN_MILLISECONDS = 1;
/** What nobody is expected to need soon waits until the machine has answered whoever restored it. */
const BACKGROUND_DELAY_MILLISECONDS = 250;
const PROGRESS_MILLISECONDS = 100;

/** One lazy restore. */
export class Pager {
  readonly #parts: PagerParts;
  readonly #absent: AbsentPages;
  readonly #sources: PageSources;
  readonly #now: () => number;
  readonly #loading = new Map<number, Promise<void>>();
  /** Blocks that could not be read. */
  readonly #failed = new Map<number, unknown>();
  /** What the hart waits for, as far as we know. */
  #wanted: number | undefined;
  /** The hart waits in vain, and that was told. */
  #stuck = false;
  #filling: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #ended = false;
  #wake = (): void => undefined;
  #told = Number.NEGATIVE_INFINITY;

  /**
   * Prepares machine memory, which must be fresh, its tables in place, before the hart runs: pages of zeroes are there
   * already and count as never written; all others are absent and of RESTORED_EPOCH.
   *
   * @throws AfterimageError `corrupt` when the checkpoint lacks pages or is not of this size of memory
   */
  constructor(parts: PagerParts) {
    const { tables, reader } = parts;
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
    this.#absent = new AbsentPages(tables);
    const { bytes } = reader.spaces[MEMORY]!;
    // Before anything of that size is made: it may be up to 64 GiB.
    if (bytes !== tables.ramPages * PAGE_SIZE) {
      throw new AfterimageError('corrupt', 'The checkpoint is of a machine with another size of memory', {
        file: reader.files[0]!.name,
        bytes,
        expected: tables.ramPages * PAGE_SIZE,
      });
    }
    this.#sources = new PageSources(reader, MEMORY);
    this.#absent.begin(this.#sources.stored(), RESTORED_EPOCH);
  }

  /** Pages that are still in the files only; at 0 the files are closed, and no longer needed. */
  get absentPages(): number {
    return this.#absent.count;
  }

  /** Begins to bring what nobody waits for yet. */
  start(): void {
    this.#filling ??= this.#fill();
  }

  /** To be called when the hart has rung: it may wait for a page. */
  pump(): void {
    const page = this.#absent.wanted;
    if (page === this.#wanted || this.#ended) return;
    this.#wanted = page;
    if (page !== undefined && this.#absent.has(page)) void this.#bringWanted(page);
  }

  /** Tries anew what could not be read. */
  retry(): void {
    if (this.#ended) return;
    this.#wake();
    this.#failed.clear();
    if (this.#stuck && this.#wanted !== undefined) void this.#bringWanted(this.#wanted);
    // What is being filled passes by what had failed before.
    this.#filling = this.#filling?.then(() => this.#fill());
  }

  /** Brings certain pages, for a checkpoint that saves them. @throws AfterimageError when one cannot be read */
  async require(pages: Iterable<number>): Promise<void> {
    for (const page of pages) {
      if (!this.#absent.has(page)) continue;
      await this.#load(this.#sources.blockOf(page)!).catch(thrown => {
        throw this.#explain(thrown, page);
      });
    }
  }

  /** Brings all pages as fast as it can be done. @throws AfterimageError when one cannot be read */
  async finish(): Promise<void> {
    this.#wake();
    await this.#bringAll(this.#sources.blocksInOrder(), 0);
    for (const [block, thrown] of this.#failed) {
      for (const page of this.#sources.pagesIn(block)) if (this.#absent.has(page)) throw this.#explain(thrown, page);
    }
    await this.#filling;
    await this.close();
  }

  /** Wakes a hart that waits for a page, so that it sees that the machine is to stop. */
  interrupt(): void {
    this.#absent.announce();
  }

  /** Brings no more; returns when no file is in use. To be called when the hart runs no more. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#wake();
    await Promise.allSettled([...this.#loading.values(), this.#filling]);
    await this.#closeFiles();
  }

  #closeFiles(): Promise<void> {
    this.#closing ??= this.#parts.reader.close();
    return this.#closing;
  }

  /** Brings the page that the hart waits for. One that failed before is tried again: it may have been a bad moment. */
  async #bringWanted(page: number): Promise<void> {
    const block = this.#sources.blockOf(page)!;
    try {
      await this.#load(block);
    } catch (thrown) {
      if (this.#ended) return;
      this.#stuck = true;
      this.#parts.events.unreadable(this.#explain(thrown, page));
    }
  }

  #explain(thrown: unknown, page: number): AfterimageError {
    const { kind, context } = AfterimageError.from(thrown);
    const place = this.#sources.place(this.#sources.blockOf(page)!);
    return new AfterimageError(
      kind,
      'A page of memory cannot be read from the checkpoint',
      { ...context, ...place, page },
      { cause: thrown },
    );
  }

  /** Brings a block; once at a time, whoever asks. */
  #load(block: number): Promise<void> {
    let loading = this.#loading.get(block);
    if (loading === undefined) {
      loading = this.#bring(block);
      this.#loading.set(block, loading);
    }
    return loading;
  }

  async #bring(block: number): Promise<void> {
    try {
      const content = await this.#sources.load(block);
      if (this.#ended) return;
      const { tables } = this.#parts;
      for (const page of this.#sources.pagesIn(block)) {
        if (!this.#absent.has(page)) continue;
        // An absent page is in its own frame.
        tables.frameBytes(page).set(this.#sources.within(content, page));
        this.#absent.arrived(page);
      }
      this.#failed.delete(block);
      this.#absent.announce();
      if (this.#stuck && this.#wanted !== undefined && !this.#absent.has(this.#wanted)) {
        this.#stuck = false;
        this.#parts.events.readable();
      }
      this.#report();
    } catch (thrown) {
      this.#failed.set(block, thrown);
      throw thrown;
    } finally {
      this.#loading.delete(block);
    }
  }

  #report(): void {
    const { absentPages } = this;
    const now = this.#now();
    if (this.#told === Number.POSITIVE_INFINITY || (absentPages > 0 && now - this.#told < PROGRESS_MILLISECONDS))
      return;
    this.#told = absentPages === 0 ? Number.POSITIVE_INFINITY : now;
    this.#parts.events.progress(absentPages);
  }

  /** Brings what is not there, as far as it can be read. */
  async #fill(): Promise<void> {
    await this.#bringAll(this.#workingSet(), 0);
    await this.#sleep(BACKGROUND_DELAY_MILLISECONDS);
    await this.#bringAll(this.#sources.blocksInOrder(), TURN_MILLISECONDS);
    // Should closing fail, `close` says so.
    if (this.absentPages === 0) await this.#closeFiles().catch(() => undefined);
  }

  /** Ends early when there is nothing left to wait for. */
  #sleep(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#ended || this.absentPages === 0) this.#wake();
    });
  }

  *#workingSet(): Generator<number> {
    for (const page of this.#parts.workingSet ?? []) {
      const block = page < this.#sources.pages ? this.#sources.blockOf(page) : undefined;
      if (block !== undefined && this.#absent.has(page)) yield block;
    }
  }

  async #bringAll(blocks: Iterable<number>, rest: number): Promise<void> {
    const under = new Set<Promise<void>>();
    let turnEnds = this.#now() + TURN_MILLISECONDS;
    for (const block of blocks) {
      if (this.#ended) break;
      if (this.#failed.has(block) || !this.#isNeeded(block)) continue;
      // Between two blocks, since the hart's ring is heard in the next turn only.
      this.pump();
      const one: Promise<void> = this.#load(block)
        .catch(() => undefined)
        .then(() => void under.delete(one));
      under.add(one);
      if (under.size === AT_ONCE) await Promise.race(under);
      if (this.#now() < turnEnds) continue;
      await pause(rest);
      turnEnds = this.#now() + TURN_MILLISECONDS;
    }
    await Promise.all(under);
  }

  #isNeeded(block: number): boolean {
    for (const page of this.#sources.pagesIn(block)) if (this.#absent.has(page)) return true;
    return false;
  }
}

function pause(milliseconds: number): Promise<void> {
  if (milliseconds === 0) return new Promise(resolve => setImmediate(resolve));
  return new Promise(resolve => {
    setTimeout(resolve, milliseconds);
  });
}
