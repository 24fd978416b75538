// What is under the pointer or the cursor, in words.
import type { MemoryView } from '../../../engine/api/memory.ts';
import { formatCount } from '../../text/format.ts';
import { MEMORY_TEXT as TEXT } from '../../text/memory.ts';
import { categoriesOf, isVirtualized } from './categories.ts';
import { pagesOf } from './grid.ts';
import { addressOfPage } from './page-ranges.ts';

export interface CellDescription {
  readonly place: string;
  readonly kinds: string;
}

export function describeCell(view: MemoryView, cell: number): CellDescription | undefined {
  const bits = view.pages[cell];
  if (bits === undefined) return undefined;
  const { first, count } = pagesOf(view, cell);
  const last = first + Math.max(1, count) - 1;
  const place =
    count <= 1
      ? TEXT.pageAt(formatCount(first), addressOfPage(first))
      : TEXT.pagesAt(formatCount(first), formatCount(last), addressOfPage(first), addressOfPage(last + 1));
  const kinds = [
    ...categoriesOf(bits).map(category => TEXT.categories[category].name),
    isVirtualized(bits) ? TEXT.virtualized : TEXT.unvirtualized,
  ].join(', ');
  return { place, kinds };
}

/** Pages in the frame of their own number, written or not. */
export function identityPages(view: MemoryView): number {
  return view.totalPages - view.counts.remapped;
}
