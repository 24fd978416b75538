// The order in which a machine first uses its pages after some moment, which is what a restore of that moment should
// bring first. Recorded on the core's slow path: the first use of a page after the TLBs were emptied misses them.
import type { BarrierCore } from './frame-mover.ts';
import type { MemoryTables } from './tables.ts';

/** The record of first uses of one machine; any thread, but for `begin`. One recording at a time. */
export class TouchLog {
  readonly #tables: MemoryTables;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
  }

  /** Flags every page, which `begin` then need not; of no effect until then. About 0.4 ms per GiB. */
  prepare(): void {
    const { layout, words, ramPages } = this.#tables;
    this.end();
    const four = layout.PAGE_UNTOUCHED * 0x01010101;
    const first = layout.PAGE_FLAGS / 4;
    // Together with flags that another thread may be clearing.
    for (let word = first; word < first + Math.ceil(ramPages / 4); word += 1) Atomics.or(words, word, four);
  }

  /** From now on first uses are recorded, as many as the log holds. On the hart thread, between slices; a microsecond. */
  begin(core: Pick<BarrierCore, 'flushTranslations'>): void {
    const { layout, words } = this.#tables;
    this.#tables.setWord(layout.TOUCH_COUNT, 0);
    Atomics.or(words, layout.PAGE_CHECKS / 4, layout.PAGE_UNTOUCHED);
    core.flushTranslations();
  }

  /** Records no more; what was recorded stays. */
  end(): void {
    const { layout, words } = this.#tables;
    Atomics.and(words, layout.PAGE_CHECKS / 4, ~layout.PAGE_UNTOUCHED);
  }

  /** Pages in the order of their first use. */
  get pages(): Uint32Array {
    const { bytes, layout } = this.#tables;
    const count = Math.min(this.#tables.word(layout.TOUCH_COUNT), layout.TOUCH_LOG_LENGTH);
    return new Uint32Array(bytes.buffer, layout.TOUCH_LOG, count).slice();
  }
}
