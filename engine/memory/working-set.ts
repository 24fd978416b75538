// Which pages a machine that is restored from a moment will use first (C17): those that the running machine uses first
// after it, then those that it used last before it, then those that it used first after it was itself restored.
import type { PageRange } from './page-ranges.ts';
import type { MemoryTables } from './tables.ts';
import { TouchLog } from './touch-log.ts';

/** 64 MiB: brought within a tenth of a second, and more than a shell and its kernel use in their first second. */
const MOST_PAGES = 16384;
const EMPTY_TAG = 0xffffffff;
/** Bytes of an entry of a TLB, and of CODE_META. */
const ENTRY = 16;

/** Records the working set of one moment. On the I/O thread; the hart begins the record with its hold. */
export class WorkingSet {
  readonly #log: TouchLog;
  readonly #before: readonly number[];
  readonly #earlier: Uint32Array;

  /** To be made just before the moment is asked for. */
  constructor(tables: MemoryTables) {
    this.#log = new TouchLog(tables);
    this.#earlier = this.#log.pages;
    this.#before = recentPages(tables);
    this.#log.prepare();
  }

  /** Ends the record; the pages in order, as runs. */
  finish(): PageRange[] {
    this.#log.end();
    const pages = new Set<number>();
    for (const source of [this.#log.pages, this.#before, this.#earlier]) {
      for (const page of source) if (pages.size < MOST_PAGES) pages.add(page);
    }
    const runs: { first: number; count: number }[] = [];
    for (const page of pages) {
      const last = runs.at(-1);
      if (last !== undefined && last.first + last.count === page) last.count += 1;
      else runs.push({ first: page, count: 1 });
    }
    return runs;
  }
}

/**
 * Pages that the TLBs lead to, then those with decoded code. The hart may be changing what is read here: a page too many
 * or too few does no harm.
 */
export function recentPages(tables: MemoryTables): number[] {
  const { layout, words } = tables;
  const pages = new Set<number>();
  const add = (frame: number) => {
    // Remapped pages are few and come back to their frames; which they are would take a search.
    if (frame >= 0 && frame < tables.ramPages && tables.frameOf(frame) === frame) pages.add(frame);
  };
  for (let context = 0; context < 4; context += 1) {
    const from = layout.TLB + context * layout.TLB_CONTEXT_SIZE;
    // Tables of loads and stores; a value is the machine address less the virtual one.
    for (let at = from; at < from + layout.TLB_FETCH; at += ENTRY) {
      const tag = words[at / 4]! >>> 0;
      if (tag !== EMPTY_TAG) add(tables.frameAt((tag + (words[at / 4 + 2]! >>> 0)) >>> 0));
    }
  }
  for (let slot = 0; slot < layout.CODE_SLOTS; slot += 1) {
    const owner = words[(layout.CODE_META + slot * ENTRY) / 4]! >>> 0;
    if (owner !== 0) add(owner - 1);
  }
  return [...pages];
}
