// What a page of the memory picture is shown as. A page can be several things at once; the picture shows the rarest of
// them, the text under the pointer all.
import { PAGE_BITS, type PageBit } from '../../../engine/api/memory.ts';

export type PageCategory = 'identity' | Exclude<PageBit, 'virtualized'>;

/** The first that applies is drawn: what is about to change and what is rare before what is usual. */
const PRECEDENCE: readonly Exclude<PageCategory, 'identity'>[] = [
  'pinned',
  'absent',
  'held',
  'shared',
  'remapped',
  'dirty',
  'zero',
];

/** In the legend's order: from the usual to the rare. */
export const CATEGORIES: readonly PageCategory[] = ['identity', ...PRECEDENCE.toReversed()];

/** As the legend has them: every page is one of the first; of the others it may be several, or none. */
export const LEGEND = {
  place: ['identity', 'remapped'],
  more: CATEGORIES.filter(name => name !== 'identity' && name !== 'remapped'),
} as const satisfies Readonly<Record<string, readonly PageCategory[]>>;

/** Index into CATEGORIES of each possible byte of bits. */
const BY_BITS: Uint8Array = Uint8Array.from({ length: 256 }, (_, bits) => {
  const category = PRECEDENCE.find(name => (bits & PAGE_BITS[name]) !== 0) ?? 'identity';
  return CATEGORIES.indexOf(category);
});

export function categoryIndex(bits: number): number {
  return BY_BITS[bits & 255] ?? 0;
}

/** All that a page or group of pages is, in the legend's order. */
export function categoriesOf(bits: number): readonly PageCategory[] {
  const found = CATEGORIES.filter(name => name !== 'identity' && (bits & PAGE_BITS[name]) !== 0);
  return found.length === 0 ? ['identity'] : found;
}

export function isVirtualized(bits: number): boolean {
  return (bits & PAGE_BITS.virtualized) !== 0;
}

/** Whether a byte has what the legend points out. A page that is not remapped is in place, whatever else it is. */
export function stands(bits: number, category: PageCategory): boolean {
  return category === 'identity' ? (bits & PAGE_BITS.remapped) === 0 : (bits & PAGE_BITS[category]) !== 0;
}
