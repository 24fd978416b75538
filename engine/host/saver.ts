import { AfterimageError } from '../base/errors.ts';
import type { CheckpointWriter } from '../checkpoint/writer.ts';
import { CLAIM_ABSENT, CLAIM_CLEAN, CLAIM_PINNED, CLAIM_TAKEN, CLAIM_ZERO, HeldPages } from '../memory/save-states.ts';
import type { MemoryTables } from '../memory/tables.ts';

export interface SaverParts {
  readonly tables: MemoryTables;
  readonly writer: CheckpointWriter;
  /** Pages last written in this epoch or before are not saved; 0 saves all. */
  readonly since: number;
  readonly signal: AbortSignal;
  /** Brings pages that are still in the file of a lazy restore only. */
  readonly bring: (pages: readonly number[]) => Promise<void>;
  readonly onProgress: (donePages: number, totalPages: number) => void;
}

/** The space of the checkpoint that memory is. */
const MEMORY = 0;
/** Pages handed to the writer at once: a block. */
const BATCH = 16;
/** The disks of the machine have the I/O thread back after so long. */
const TURN_MILLISECONDS = 1;
/** While nothing but a disk is waited for, a hart that waits for a page does so for this long at most. */
const LOOK_MILLISECONDS = 2;

/**
 * Writes original memory while the machine runs (C3): pages in order, those that devices are about to fill last (C8), the
 * one that the hart waits for first. Runs on the I/O thread in short turns.
 */
export class Saver {
  readonly #parts: SaverParts;
  readonly #held: HeldPages;
  /** Pages with a pending read. */
  #late: number[] = [];
  /** Pages that must be brought first. */
  #absent: number[] = [];
  #pages: number[] = [];
  #frames: Uint8Array[] = [];
  #zeroFrom = 0;
  #zeroCount = 0;
  #done = 0;
  #total = 0;

  constructor(parts: SaverParts) {
    this.#parts = parts;
    this.#held = new HeldPages(parts.tables);
  }

  /** Saves all pages but those with a pending read. @throws AfterimageError, after which `abandon` must be called */
  async save(): Promise<void> {
    const { tables, since, onProgress } = this.#parts;
    this.#total = since === 0 ? tables.ramPages : this.#count();
    onProgress(0, this.#total);
    let turnEnds = performance.now() + TURN_MILLISECONDS;
    for (let page = 0; page < tables.ramPages; page += 1) {
      const epoch = tables.epochOf(page);
      // The epoch only grows, so a page that is clean or never written now was so at the moment.
      if (epoch === 0 && since === 0) this.#zero(page);
      else if (epoch > since) {
        this.#claim(page);
        if (this.#pages.length === BATCH) await this.#write();
      }
      if ((page & 255) !== 255) continue;
      await this.#saveAbsent();
      await this.#saveUrgent();
      if (performance.now() < turnEnds) continue;
      onProgress(this.#done, this.#total);
      await nextTurn();
      this.#check();
      turnEnds = performance.now() + TURN_MILLISECONDS;
    }
    await this.#saveAbsent();
    await this.#write();
    onProgress(this.#done, this.#total);
  }

  /**
   * Waits until the requests that were pending at the moment have ended. Meanwhile the hart may come to wait for a page
   * whose own read has ended, and hears of the end of no other until it is saved.
   */
  async saveUntil<Result>(settled: Promise<Result>): Promise<Result> {
    let over = false;
    let wake = (): void => undefined;
    const end = () => {
      over = true;
      wake();
    };
    settled.then(end, end);
    while (!over) {
      this.#check();
      await this.#saveUrgent();
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, LOOK_MILLISECONDS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (over) wake();
      });
    }
    this.#check();
    return await settled;
  }

  /** Saves the rest, once the requests that were pending at the moment have ended. */
  async saveLate(): Promise<void> {
    while (this.#late.length > 0) {
      this.#check();
      const pages = this.#late;
      this.#late = [];
      for (const page of pages) {
        this.#claim(page);
        if (this.#pages.length === BATCH) await this.#write();
      }
      await this.#write();
      await this.#saveUrgent();
      if (this.#late.length > 0) await nextTurn();
    }
    this.#flushZeroes();
    this.#parts.onProgress(this.#total, this.#total);
  }

  /** The checkpoint has failed: nothing more is copied for it, and nobody waits for it. */
  abandon(): void {
    this.#held.abandon();
  }

  #count(): number {
    const { tables, since } = this.#parts;
    let count = 0;
    for (let page = 0; page < tables.ramPages; page += 1) if (tables.epochOf(page) > since) count += 1;
    return count;
  }

  #claim(page: number): void {
    const frame = this.#held.claim(page);
    switch (frame) {
      case CLAIM_ZERO:
        if (this.#parts.since === 0) this.#zero(page);
        return;
      case CLAIM_PINNED:
        this.#late.push(page);
        return;
      case CLAIM_ABSENT:
        this.#absent.push(page);
        return;
      case CLAIM_CLEAN:
      case CLAIM_TAKEN:
        return;
      default:
        this.#pages.push(page);
        this.#frames.push(this.#parts.tables.frameBytes(frame));
    }
  }

  /** Brings the pages that were found absent since the last call, and saves them. */
  async #saveAbsent(): Promise<void> {
    if (this.#absent.length === 0) return;
    const pages = this.#absent;
    this.#absent = [];
    await this.#parts.bring(pages);
    for (const page of pages) {
      this.#claim(page);
      if (this.#pages.length === BATCH) await this.#write();
    }
    if (this.#absent.length > 0) {
      throw new AfterimageError('internal', 'A page is still absent after it was brought', { page: this.#absent[0]! });
    }
  }

  #zero(page: number): void {
    if (page !== this.#zeroFrom + this.#zeroCount) this.#flushZeroes();
    if (this.#zeroCount === 0) this.#zeroFrom = page;
    this.#zeroCount += 1;
    this.#done += 1;
  }

  #flushZeroes(): void {
    if (this.#zeroCount > 0) this.#parts.writer.writeZeroes(MEMORY, this.#zeroFrom, this.#zeroCount);
    this.#zeroCount = 0;
  }

  async #write(): Promise<void> {
    this.#flushZeroes();
    if (this.#pages.length === 0) return;
    const pages = this.#pages;
    const frames = this.#frames;
    this.#pages = [];
    this.#frames = [];
    await this.#parts.writer.writePages(MEMORY, pages, frames);
    for (const page of pages) this.#held.saved(page);
    this.#done += pages.length;
  }

  /** The hart has no frame left for a copy, and waits for this page alone. */
  async #saveUrgent(): Promise<void> {
    const page = this.#held.urgent;
    if (page === undefined) return;
    // It may be in the batch already.
    await this.#write();
    this.#claim(page);
    await this.#write();
  }

  #check(): void {
    const { signal, tables } = this.#parts;
    signal.throwIfAborted();
    if (tables.word(tables.layout.HOLD_ABANDONED) !== 0) {
      throw new AfterimageError('no-space', 'Memory changed faster than it could be saved; nothing of it is lost');
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
