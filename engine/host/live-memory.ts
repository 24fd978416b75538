import { type MemoryView, PAGE_BITS, type PageBit, type PageRangeArgument } from '../api/memory.ts';
import type { DevirtualizeOptions } from '../memory/memory-manager.ts';
import { summarize } from '../memory/summary.ts';
import type { MemoryTables } from '../memory/tables.ts';
import type { Bases } from './bases.ts';
import type { MemoryCountsAnswer } from './hart-commands.ts';
import type { HartPort } from './hart-port.ts';

/** Memory of the running machine as others see it and work on it (V2-V9). On the I/O thread. */
export class LiveMemory {
  readonly #tables: MemoryTables;
  readonly #hart: HartPort;
  readonly #bases: Bases;

  constructor(tables: MemoryTables, hart: HartPort, bases: Bases) {
    this.#tables = tables;
    this.#hart = hart;
    this.#bases = bases;
  }

  /**
   * A look that does not disturb the hart.
   * @param groups most bytes of `pages`; each stands for a power of two of pages then
   */
  async view(range?: PageRangeArgument, groups = Number.POSITIVE_INFINITY): Promise<MemoryView> {
    const tables = this.#tables;
    const all = { first: 0, count: tables.ramPages };
    const asked = range ?? all;
    const since = this.#bases.newest(false)?.epoch ?? 0;
    const whole = summarize(tables, all, since);
    let group = 1;
    while (asked.count / group > groups) group *= 2;
    const answer = await this.#hart.call<MemoryCountsAnswer>({ kind: 'memory-counts' });
    return {
      totalPages: tables.ramPages,
      first: asked.first,
      pages: grouped(whole.pages.subarray(asked.first, asked.first + asked.count), group),
      group,
      counts: countsOf(whole.pages),
      virtualized: tables.virtualizedRanges(),
      freeFrames: answer.freeFrames,
      mapFrames: answer.mapFrames,
      counters: answer.counts,
      busy: answer.busy,
    };
  }

  async virtualize(range?: PageRangeArgument): Promise<void> {
    await this.#hart.call({ kind: 'virtualize', ...withRange(range) });
  }

  async devirtualize(range?: PageRangeArgument, options: DevirtualizeOptions = {}): Promise<void> {
    await this.#hart.call({ kind: 'devirtualize', options, ...withRange(range) });
  }

  async share(): Promise<void> {
    await this.#hart.call({ kind: 'share', mode: 'concurrent' });
  }

  async scatter(seed: number, range?: PageRangeArgument): Promise<void> {
    await this.#hart.call({ kind: 'scatter', seed, ...withRange(range) });
  }
}

function withRange(range: PageRangeArgument | undefined): { range?: PageRangeArgument } {
  return range === undefined ? {} : { range: { first: range.first, count: range.count } };
}

function grouped(pages: Uint8Array, group: number): Uint8Array {
  if (group === 1) return pages.slice();
  const result = new Uint8Array(Math.ceil(pages.length / group));
  for (let page = 0; page < pages.length; page += 1) {
    const at = Math.floor(page / group);
    result[at] = result[at]! | pages[page]!;
  }
  return result;
}

function countsOf(pages: Uint8Array): MemoryView['counts'] {
  const kinds = new Uint32Array(256);
  for (const bits of pages) kinds[bits] = kinds[bits]! + 1;
  const names = Object.keys(PAGE_BITS) as PageBit[];
  const count = (bit: number) => kinds.reduce((sum, number, bits) => ((bits & bit) === 0 ? sum : sum + number), 0);
  return Object.fromEntries(names.map(name => [name, count(PAGE_BITS[name])])) as Record<PageBit, number>;
}
