// The allocated ranges of a layer, squeezed into a strip some hundred pixels wide.
import type { AllocatedRange } from '../../../engine/api/control.ts';

export type RangeKind = AllocatedRange['kind'];

/** How much of one column is allocated, 0 to 1, by kind. */
export interface StripColumn {
  readonly data: number;
  readonly zero: number;
  readonly compressed: number;
}

/** Ranges outside the disk are cut off; those that overlap count once at most. */
export function stripColumns(ranges: readonly AllocatedRange[], size: number, columns: number): StripColumn[] {
  const filled = { data: sums(columns), zero: sums(columns), compressed: sums(columns) };
  if (size > 0) {
    const perColumn = size / columns;
    for (const { start, length, kind } of ranges) {
      const from = Math.max(0, start) / perColumn;
      const to = Math.min(size, start + length) / perColumn;
      for (let column = Math.floor(from); column < Math.min(columns, Math.ceil(to)); column += 1) {
        const part = Math.min(to, column + 1) - Math.max(from, column);
        if (part > 0) filled[kind][column] = filled[kind][column]! + part;
      }
    }
  }
  return Array.from({ length: columns }, (_, column) => {
    const data = Math.min(1, filled.data[column]!);
    const compressed = Math.min(1 - data, filled.compressed[column]!);
    return { data, compressed, zero: Math.min(1 - data - compressed, filled.zero[column]!) };
  });
}

function sums(columns: number): Float64Array {
  return new Float64Array(columns);
}

/** What is at a place of the disk: the range, or the gap between two. */
export function rangeAt(
  ranges: readonly AllocatedRange[],
  size: number,
  offset: number,
): { readonly start: number; readonly end: number; readonly kind: RangeKind | 'none' } {
  let start = 0;
  let end = size;
  for (const range of ranges) {
    const rangeEnd = range.start + range.length;
    if (offset >= range.start && offset < rangeEnd) return { start: range.start, end: rangeEnd, kind: range.kind };
    if (rangeEnd <= offset) start = Math.max(start, rangeEnd);
    else if (range.start > offset) end = Math.min(end, range.start);
  }
  return { start, end, kind: 'none' };
}
