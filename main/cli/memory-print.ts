// The P→M map as text: a character for each group of pages, counts of all.
import { type MemoryView, PAGE_BITS, type PageBit } from '../../engine/api/memory.ts';
import { counted, shortSize, table } from './texts.ts';

const COLUMNS = 64;
const ROWS = 8;
export const PICTURE_GROUPS = COLUMNS * ROWS;
const PAGE = 4096;

/** What a group is drawn as, the most telling first. */
const GLYPHS: readonly (readonly [PageBit, string])[] = [
  ['pinned', 'P'],
  ['held', 'H'],
  ['absent', 'a'],
  ['shared', 'S'],
  ['remapped', 'R'],
  ['dirty', 'd'],
  ['zero', '.'],
  ['virtualized', 'v'],
];
/** In its own frame, with content. */
const IDENTITY = 'i';

const MEANINGS: Readonly<Record<PageBit, string>> = {
  virtualized: 'the P→M map counts',
  remapped: 'in another frame than its own',
  held: 'a checkpoint has still to save it',
  shared: 'its frame has other owners too',
  zero: 'never written',
  dirty: 'written since the last checkpoint',
  pinned: 'a device is about to fill it',
  absent: "still in the checkpoint's file only",
};

export function memoryLines(view: MemoryView): string[] {
  const { totalPages, counts, virtualized, freeFrames, mapFrames, counters, busy } = view;
  const pages = virtualized.reduce((sum, { count }) => sum + count, 0);
  const state = pages === 0 ? 'unvirtualized' : pages === totalPages ? 'virtualized' : `${pages} pages virtualized`;
  const glyphs = new Map(GLYPHS);
  const rows = (Object.keys(PAGE_BITS) as PageBit[]).map(bit => {
    return [`  ${glyphs.get(bit)}`, bit, String(counts[bit]), MEANINGS[bit]];
  });
  const events = Object.entries(counters).filter(([, count]) => count > 0);
  return [
    `${counted(totalPages, 'page')} (${shortSize(totalPages * PAGE)}), ${state}${busy ? ', under way' : ''}`,
    ...picture(view),
    ...table([...rows, [`  ${IDENTITY}`, 'identity', '', 'none of these']]),
    `${counted(freeFrames, 'free frame')}, ${mapFrames} for the map`,
    ...(events.length === 0 ? [] : [events.map(([name, count]) => `${name} ${count}`).join(', ')]),
  ];
}

function picture({ pages, group }: MemoryView): string[] {
  const glyphs = [...pages].map(glyphOf).join('');
  const lines: string[] = [];
  for (let from = 0; from < glyphs.length; from += COLUMNS) lines.push(`  ${glyphs.slice(from, from + COLUMNS)}`);
  return [...lines, `  each character: ${counted(group, 'page')}`];
}

function glyphOf(bits: number): string {
  return GLYPHS.find(([bit]) => (bits & PAGE_BITS[bit]) !== 0)?.[1] ?? IDENTITY;
}
