// Texts of the memory view. Numbers and sizes arrive formatted.
import type { PageCategory } from '../views/memory/categories.ts';

interface CategoryText {
  readonly name: string;
  readonly explained: string;
}

const CATEGORIES: Readonly<Record<PageCategory, CategoryText>> = {
  identity: { name: 'In place', explained: 'In the frame of their own number' },
  zero: { name: 'Never written', explained: 'Holds zeroes and costs nothing to save' },
  dirty: { name: 'Dirty', explained: 'Written since the last complete checkpoint' },
  remapped: { name: 'Remapped', explained: 'In another frame than its own, after a copy or a move' },
  shared: { name: 'Shared', explained: 'Its frame holds the same content for other pages too' },
  held: { name: 'Held', explained: 'The open checkpoint still has to save it; a write makes a copy' },
  absent: { name: 'Not loaded', explained: 'Of a lazy restore: still in the checkpoint’s file' },
  pinned: { name: 'Pinned', explained: 'A device is about to fill it' },
};

const COUNTERS: Readonly<Record<string, string>> = {
  faults: 'COW faults',
  cowFaults: 'COW faults',
  copies: 'Copies',
  moves: 'Moves',
  waits: 'Waits for the saver',
  shares: 'Pages shared',
};

export const MEMORY_TEXT = {
  label: 'Memory',
  off: {
    title: 'The machine is off',
    text: 'Memory is there while the machine runs. Start it to see where each of its pages lies.',
  },
  failed: 'The memory could not be looked at',
  loading: 'Looking at the memory',
  picture: 'Map of the machine’s memory, page by page',
  pictureRole: 'map',
  pictureKeys: 'Arrow keys move from page to page.',
  legend: 'Legend',
  legendGroups: {
    place: { title: 'Where pages lie', explained: '– each in one of two' },
    more: { title: 'What else they are', explained: '– several at once, or nothing' },
  },
  categories: CATEGORIES,
  virtualized: 'virtualized',
  unvirtualized: 'not virtualized',
  pages: (count: string) => `${count} pages`,
  perCell: (pages: number, size: string) =>
    pages === 1 ? `One cell is one page of ${size}` : `One cell is ${pages} pages, ${size}`,
  drawn: 'It is drawn as the rarest thing that any of them is.',
  pageAt: (page: string, address: string) => `Page ${page} at ${address}`,
  pagesAt: (first: string, last: string, from: string, to: string) => `Pages ${first} to ${last}, ${from} to ${to}`,
  state: {
    title: 'P→M map',
    none: 'Not in use',
    noneExplained: 'Every page lies in its own frame; the machine runs without the map.',
    all: 'In use for all pages',
    part: (pages: string, percent: string) => `In use for ${pages} pages (${percent})`,
    explained: 'Pages of the guest are looked up in the map, so their frames can change while the guest runs.',
    busy: 'Working',
  },
  facts: {
    total: 'RAM',
    freeFrames: 'Free frames',
    freeFramesHint: 'The reserve for copies',
    mapFrames: 'Map frames',
  },
  counters: 'Since the start',
  /** Counters that have no text of their own are named as the engine names them. */
  counter: (name: string) => COUNTERS[name] ?? readable(name),
  actions: {
    label: 'Memory operations',
    virtualize: 'Virtualize',
    virtualizeHint: 'Put the map between pages and frames, without stopping the guest',
    devirtualize: 'Devirtualize',
    devirtualizeHint: 'Bring every page back to its own frame and do without the map',
    share: 'Share',
    shareHint: 'Keep pages of the same content once',
    scatter: 'Scatter',
    scatterHint: 'Move pages to random frames, to see that the guest does not notice',
    apply: 'Apply to',
    all: 'All of the memory',
    range: 'A range',
    offset: 'From',
    length: 'Length',
    toTheEnd: 'to the end',
    offsetHint: 'From the start of RAM, for example 64 MiB',
    rangeProblem: 'Not a range of this memory',
    mode: 'Mode',
    modes: { concurrent: 'Beside the running guest', paused: 'All at once, guest paused' },
    reverse: 'Users of a frame are known by',
    reverses: { backmap: 'A reverse map', refcount: 'Reference counts', search: 'Searching' },
    reverseHint: 'How it is found out which pages lie in a frame',
    options: 'Options',
    failed: {
      virtualize: 'The memory could not be virtualized',
      devirtualize: 'The memory could not be devirtualized',
      share: 'Pages could not be shared',
      scatter: 'Pages could not be scattered',
    },
  },
} as const;

/** `cowFaults` and `cow-faults` as `Cow faults`. */
function readable(name: string): string {
  const words = name
    .replaceAll(/[-_]/g, ' ')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
