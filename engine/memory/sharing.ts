// Page sharing (V3): pages with the same content are found by hash, compared, and mapped to one frame, which the write
// barrier then lets nobody write; the first store gives its page a frame of its own again.
import type { JobStep } from './devirtualization.ts';
import type { FrameMover, MapParts } from './frame-mover.ts';
import type { PageRange } from './page-ranges.ts';

const WORDS = 1024;

export interface SharingParts extends MapParts {
  readonly mover: FrameMover;
  /** Whether a page's frame may be chosen freely. */
  readonly mayMove: (page: number) => boolean;
  readonly counts: { shared: number };
}

/** Shares what is equal within the ranges; each step looks at one page. */
export function* sharePages(parts: SharingParts, ranges: readonly PageRange[]): Generator<JobStep, void> {
  const { tables, map, mover, pins, mayMove, counts } = parts;
  /** First page seen with a hash. */
  const known = new Map<number, number>();
  for (const { first, count } of ranges) {
    for (let page = first; page < first + count; page += 1) {
      yield 'more';
      const frame = map.frameOf(page);
      if (!mayMove(page) || pins.isPinned(frame)) continue;
      const hash = hashOfPage(tables.words, tables.frameAddress(frame) / 4);
      const other = known.get(hash);
      if (other === undefined || !mayMove(other)) {
        known.set(hash, page);
        continue;
      }
      const target = map.frameOf(other);
      if (target === frame || pins.isPinned(target)) continue;
      // The other page may have changed since it was hashed; what counts is what both hold now.
      if (!equal(tables.words, tables.frameAddress(frame) / 4, tables.frameAddress(target) / 4)) {
        known.set(hash, page);
        continue;
      }
      if (!map.makeRoom(page)) return;
      mover.share(page, target);
      counts.shared += 1;
    }
  }
}

/** FNV-1a over 32-bit words: it need only be cheap, equality is checked. */
export function hashOfPage(words: Int32Array, at: number): number {
  let hash = 0x811c9dc5;
  for (let i = at; i < at + WORDS; i += 1) hash = Math.imul(hash ^ words[i]!, 0x01000193);
  return hash;
}

function equal(words: Int32Array, one: number, other: number): boolean {
  for (let i = 0; i < WORDS; i += 1) if (words[one + i] !== words[other + i]) return false;
  return true;
}
