// Which of many rows of equal height are in the document: those in sight and a few more on either side.

export interface RowWindow {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
}

/** Rows beyond either edge, so that a fast scroll meets drawn rows. */
const MARGIN = 12;

/**
 * Lengths in pixels. The window moves in steps of half its margin: most scroll events then change nothing, and rows
 * keep their elements.
 */
export function rowWindow(count: number, rowHeight: number, scrollTop: number, height: number): RowWindow {
  const step = MARGIN / 2;
  const top = Math.max(0, Math.floor(scrollTop / rowHeight));
  const bottom = Math.max(top, Math.ceil((scrollTop + height) / rowHeight));
  const first = Math.floor(Math.max(0, top - step) / step) * step;
  const end = Math.ceil((bottom + step) / step) * step;
  return { first: Math.min(first, count), end: Math.min(end, count) };
}

/** The scroll position, in pixels, at which a row is fully in sight; as it is when it already is. */
export function scrollToRow(row: number, rowHeight: number, scrollTop: number, height: number): number {
  const top = row * rowHeight;
  if (top < scrollTop) return top;
  if (top + rowHeight > scrollTop + height) return Math.max(0, top + rowHeight - height);
  return scrollTop;
}
