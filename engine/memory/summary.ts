// What can be seen of memory, from any thread and without disturbing the hart: one byte per page.
import type { PageRange } from './page-ranges.ts';
import { CLEAN, SAVED, stateIn, ZERO } from './save-states.ts';
import type { MemoryTables } from './tables.ts';

/** Bits of a page's byte in a summary. */
export const PAGE = {
  /** The P→M map counts for it. */
  VIRTUALIZED: 1,
  /** In another frame than its own. */
  REMAPPED: 2,
  /** The open checkpoint still has to save it. */
  HELD: 4,
  /** Its frame has other owners too. */
  SHARED: 8,
  /** Never written. */
  ZERO: 16,
  /** Written since the epoch asked for. */
  DIRTY: 32,
  /** A device is about to fill it. */
  PINNED: 64,
  /** Of a lazy restore: still in the checkpoint's file only. */
  ABSENT: 128,
} as const;

export interface MemorySummary {
  /** A byte of PAGE bits per page; no REMAPPED bit: identity. */
  readonly pages: Uint8Array;
  /** How many pages have each bit. */
  readonly counts: Readonly<Record<keyof typeof PAGE, number>>;
}

/** @param since pages written after this epoch count as dirty */
export function summarize(tables: MemoryTables, range: PageRange, since: number): MemorySummary {
  const { layout } = tables;
  const pages = new Uint8Array(range.count);
  const ranges = tables.word(layout.MAP_COUNT);
  for (let i = 0; i < ranges; i += 1) {
    const first = tables.word(layout.MAP_RANGES + i * 8) - range.first;
    pages.fill(PAGE.VIRTUALIZED, Math.max(0, first), Math.max(0, first + tables.word(layout.MAP_RANGES + i * 8 + 4)));
  }
  const absent = tables.word(layout.ABSENT_COUNT) !== 0;
  const holding = tables.word(layout.HOLDING) !== 0;
  const heldSince = tables.word(layout.HOLD_SINCE);
  for (let i = 0; i < range.count; i += 1) {
    const page = range.first + i;
    const frame = tables.frameOf(page);
    const epoch = tables.epochOf(page);
    let bits = pages[i]!;
    if (frame !== page) bits |= PAGE.REMAPPED;
    if (tables.isShared(frame)) bits |= PAGE.SHARED;
    if (epoch === 0) bits |= PAGE.ZERO;
    if (epoch > since) bits |= PAGE.DIRTY;
    if (tables.dmaPins(frame) > 0) bits |= PAGE.PINNED;
    if (absent && tables.isAbsent(page)) bits |= PAGE.ABSENT;
    if (holding && isHeld(stateIn(tables.saveState(page)), epoch, heldSince)) bits |= PAGE.HELD;
    pages[i] = bits;
  }
  return { pages, counts: countBits(pages) };
}

function isHeld(state: number, epoch: number, since: number): boolean {
  if (state === 0) return epoch > since;
  return state < SAVED && state !== CLEAN && state !== ZERO;
}

function countBits(pages: Uint8Array): MemorySummary['counts'] {
  const kinds = new Uint32Array(256);
  for (const bits of pages) kinds[bits] = kinds[bits]! + 1;
  const counts = { VIRTUALIZED: 0, REMAPPED: 0, HELD: 0, SHARED: 0, ZERO: 0, DIRTY: 0, PINNED: 0, ABSENT: 0 };
  kinds.forEach((number, bits) => {
    for (const [name, bit] of Object.entries(PAGE)) {
      if ((bits & bit) !== 0) counts[name as keyof typeof PAGE] += number;
    }
  });
  return counts;
}
