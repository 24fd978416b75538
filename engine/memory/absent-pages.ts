// Lazy restore (C17): pages whose bytes are still in the checkpoint's file. The hart meets one on its slow path only and
// waits; the I/O thread, which alone reads files, fills the page's own frame and clears the flag. A page is absent once,
// from before the hart runs until it arrives: nobody writes, moves or copies it meanwhile.
import { AfterimageError } from '../base/errors.ts';
import type { PageRange } from './page-ranges.ts';
import type { MemoryTables } from './tables.ts';

/** The epoch that pages of a checkpoint are of after its restore; the machine goes on in the next one. */
export const RESTORED_EPOCH = 1;

/** Absent pages as both threads see them; one object per thread. */
export class AbsentPages {
  readonly #tables: MemoryTables;
  readonly #arrivals: number;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
    this.#arrivals = tables.layout.PAGE_ARRIVALS / 4;
  }

  /** Pages that are absent now. */
  get count(): number {
    return this.#tables.word(this.#tables.layout.ABSENT_COUNT);
  }

  has(page: number): boolean {
    return this.#tables.isAbsent(page);
  }

  /**
   * These pages are absent, and of an epoch; all others are there, and are pages of zeroes that were never written. Before
   * the hart runs, in fresh machine memory. All are ready for a record of first uses, as by `TouchLog.prepare`.
   */
  begin(runs: Iterable<PageRange>, epoch: number): void {
    const { bytes, layout, words } = this.#tables;
    let absent = 0;
    bytes.fill(layout.PAGE_UNTOUCHED, layout.PAGE_FLAGS, layout.PAGE_FLAGS + this.#tables.ramPages);
    for (const { first, count } of runs) {
      const flags = layout.PAGE_ABSENT | layout.PAGE_UNTOUCHED;
      bytes.fill(flags, layout.PAGE_FLAGS + first, layout.PAGE_FLAGS + first + count);
      this.#tables.setEpochs(first, count, epoch);
      absent += count;
    }
    this.#tables.setWord(layout.ABSENT_COUNT, absent);
    if (absent > 0) Atomics.or(words, layout.PAGE_CHECKS / 4, layout.PAGE_ABSENT);
  }

  /** A page that the hart waits for. */
  get wanted(): number | undefined {
    const word = this.#tables.word(this.#tables.layout.WANTED_PAGE);
    return word === 0 ? undefined : word - 1;
  }

  /** The bytes of a page that was absent are in its frame. `announce` follows, at the latest when all are. */
  arrived(page: number): void {
    const { bytes, layout, words } = this.#tables;
    const before = Atomics.and(bytes, layout.PAGE_FLAGS + page, ~layout.PAGE_ABSENT);
    if ((before & layout.PAGE_ABSENT) === 0) {
      throw new AfterimageError('internal', 'A page arrives that is not absent', { page });
    }
    // The last one: from now on no slow path looks at flags.
    if (Atomics.sub(words, layout.ABSENT_COUNT / 4, 1) === 1) {
      Atomics.and(words, layout.PAGE_CHECKS / 4, ~layout.PAGE_ABSENT);
    }
  }

  /** Has a hart that waits look again. */
  announce(): void {
    Atomics.add(this.#tables.words, this.#arrivals, 1);
    Atomics.notify(this.#tables.words, this.#arrivals);
  }

  /**
   * For the core's `pageIn`, on the hart thread: returns when the page is there.
   *
   * @param ask called once, when the page is in `wanted`
   * @param givenUp looked at after each `announce`: whether the machine stops
   * @returns false when given up: the instruction is half done, and the hart must not run again
   */
  waitFor(page: number, ask: () => void, givenUp: () => boolean): boolean {
    const { layout, words } = this.#tables;
    if (!this.has(page)) return true;
    this.#tables.setWord(layout.WANTED_PAGE, page + 1);
    ask();
    for (;;) {
      const seen = Atomics.load(words, this.#arrivals);
      if (!this.has(page)) break;
      if (givenUp()) return false;
      Atomics.wait(words, this.#arrivals, seen);
    }
    this.#tables.setWord(layout.WANTED_PAGE, 0);
    return true;
  }
}
