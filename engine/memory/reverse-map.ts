// Three ways to know which pages are mapped to a frame (V10). Pages in their own frames are not entered: the frame's
// number says it. All three answer the same; they differ in what they keep and what an answer costs.
import { assertNever } from '../base/errors.ts';
import type { PageMap } from './page-map.ts';
import type { MemoryTables } from './tables.ts';

/** `backmap`: a list of pages per frame; `refcount`: their number per frame; `search`: nothing, the map is searched. */
export type ReverseStrategy = 'backmap' | 'refcount' | 'search';

export interface ReverseMap {
  readonly strategy: ReverseStrategy;
  /** A page that is not in its own frame. */
  enter(page: number, frame: number): void;
  remove(page: number, frame: number): void;
  /** Pages mapped to a frame that is not their own. */
  usersOf(frame: number): number[];
}

export function reverseMap(strategy: ReverseStrategy, tables: MemoryTables, map: PageMap): ReverseMap {
  switch (strategy) {
    case 'backmap':
      return new BackMap(tables);
    case 'refcount':
      return new ReferenceCounts(tables, map);
    case 'search':
      return new Search(tables, map);
    default:
      return assertNever(strategy, 'reverse strategy');
  }
}

/** Calls `found` for each page that is not in its own frame, until it returns false. */
function searchMap(tables: MemoryTables, map: PageMap, found: (page: number, frame: number) => boolean): void {
  for (let chunk = 0; chunk < map.chunks; chunk += 1) {
    if (map.remappedIn(chunk) === 0) continue;
    const { first, count } = map.pagesOf(chunk);
    // Read directly: the hart alone changes the map, and this is it.
    const at = tables.chunkOf(first) / 4;
    for (let i = 0; i < count; i += 1) {
      const frame = tables.words[at + i]!;
      if (frame !== first + i && !found(first + i, frame)) return;
    }
  }
}

/** Per frame the first page, per page its neighbours in the frame's list; all as number + 1, 0 for none. */
class BackMap implements ReverseMap {
  readonly strategy = 'backmap';
  readonly #head: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor({ frames, ramPages }: MemoryTables) {
    this.#head = new Int32Array(frames);
    this.#next = new Int32Array(ramPages);
    this.#previous = new Int32Array(ramPages);
  }

  enter(page: number, frame: number): void {
    const head = this.#head[frame]!;
    this.#head[frame] = page + 1;
    this.#next[page] = head;
    this.#previous[page] = 0;
    if (head !== 0) this.#previous[head - 1] = page + 1;
  }

  remove(page: number, frame: number): void {
    const next = this.#next[page]!;
    const previous = this.#previous[page]!;
    if (previous === 0) this.#head[frame] = next;
    else this.#next[previous - 1] = next;
    if (next !== 0) this.#previous[next - 1] = previous;
  }

  usersOf(frame: number): number[] {
    const pages: number[] = [];
    for (let page = this.#head[frame]!; page !== 0; page = this.#next[page - 1]!) pages.push(page - 1);
    return pages;
  }
}

/** The count says when a search may end, and mostly that none is needed. */
class ReferenceCounts implements ReverseMap {
  readonly strategy = 'refcount';
  readonly #tables: MemoryTables;
  readonly #map: PageMap;
  readonly #counts: Uint32Array;

  constructor(tables: MemoryTables, map: PageMap) {
    this.#tables = tables;
    this.#map = map;
    this.#counts = new Uint32Array(tables.frames);
  }

  enter(_: number, frame: number): void {
    this.#counts[frame] = this.#counts[frame]! + 1;
  }

  remove(_: number, frame: number): void {
    this.#counts[frame] = this.#counts[frame]! - 1;
  }

  usersOf(frame: number): number[] {
    const count = this.#counts[frame]!;
    const pages: number[] = [];
    if (count === 0) return pages;
    searchMap(this.#tables, this.#map, (page, at) => {
      if (at === frame) pages.push(page);
      return pages.length < count;
    });
    return pages;
  }
}

/** Frames that one search answers for: it makes n frames cost n / this many passes over the map. */
const WINDOW = 4096;

/** One pass over the map answers for a window of frames, and is kept right until another window is asked for. */
class Search implements ReverseMap {
  readonly strategy = 'search';
  readonly #tables: MemoryTables;
  readonly #map: PageMap;
  readonly #window = new Map<number, Set<number>>();
  #first = -WINDOW;

  constructor(tables: MemoryTables, map: PageMap) {
    this.#tables = tables;
    this.#map = map;
  }

  enter(page: number, frame: number): void {
    if (!this.#covers(frame)) return;
    const users = this.#window.get(frame);
    if (users === undefined) this.#window.set(frame, new Set([page]));
    else users.add(page);
  }

  remove(page: number, frame: number): void {
    if (this.#covers(frame)) this.#window.get(frame)?.delete(page);
  }

  usersOf(frame: number): number[] {
    if (!this.#covers(frame)) {
      this.#first = frame;
      this.#window.clear();
      searchMap(this.#tables, this.#map, (page, at) => {
        this.enter(page, at);
        return true;
      });
    }
    return [...(this.#window.get(frame) ?? [])];
  }

  #covers(frame: number): boolean {
    return frame >= this.#first && frame < this.#first + WINDOW;
  }
}
