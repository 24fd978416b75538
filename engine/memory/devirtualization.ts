// Brings pages back to their own frames (V7-V9): pages that are there stay, the others move directly when their frame is
// free, and by way of a temporary frame when other pages have it; shared pages are split; pinned frames are waited for.
import type { FrameMover, MapParts } from './frame-mover.ts';
import { type ReverseMap, type ReverseStrategy, reverseMap } from './reverse-map.ts';

/** What a job says when it lets go of the hart thread: it may go on at once, or must wait for a device. */
export type JobStep = 'more' | 'blocked';

export interface DevirtualizationCounts {
  /** Moves into a free frame of the page's own. */
  direct: number;
  /** Moves to a temporary frame, to make room or to open a cycle. */
  indirect: number;
  /** Pages that stopped sharing. */
  splits: number;
}

export interface DevirtualizationParts extends MapParts {
  readonly mover: FrameMover;
  /** Whether a page remains virtualized and may be anywhere. */
  readonly stays: (page: number) => boolean;
  readonly counts: DevirtualizationCounts;
}

/** Letting go after each move would cost as much as a quarter of it. */
const MOVES_PER_STEP = 4;

const NOT_FREED = -1;
const BLOCKED = -2;
/** To be tried when the pages with a free frame are home. */
const LATER = -3;

export class Devirtualization {
  readonly #parts: DevirtualizationParts;
  readonly #reverse: ReverseMap;
  /** Chunks of the map that the reverse map has entered. */
  #entered: number;
  /** Pages that moved to a temporary frame to open a cycle. */
  readonly #aside = new Set<number>();
  #blocked = 0;
  /** A page left its frame since the last pass began, perhaps behind it. */
  #again = false;

  constructor(parts: DevirtualizationParts, strategy: ReverseStrategy) {
    this.#parts = parts;
    this.#reverse = reverseMap(strategy, parts.tables, parts.map);
    this.#entered = strategy === 'search' ? parts.map.chunks : 0;
    parts.map.listener = { remapped: (page, from, to) => this.#remapped(page, from, to) };
  }

  /** Ends when every page that does not stay is in its own frame. May be left between two steps for ever. */
  *run(): Generator<JobStep, void> {
    yield* this.#enterAll();
    for (;;) {
      this.#blocked = 0;
      this.#again = false;
      // From the free frames on: each move frees the next one of its chain, so that only cycles are left.
      yield* this.#pass(true);
      yield* this.#pass(false);
      if (this.#blocked > 0) yield 'blocked';
      else if (!this.#again) break;
      this.#parts.frames.collect();
    }
    this.#parts.map.listener = undefined;
  }

  *#enterAll(): Generator<JobStep, void> {
    const { map } = this.#parts;
    while (this.#entered < map.chunks) {
      const { first, count } = map.pagesOf(this.#entered);
      if (map.remappedIn(this.#entered) > 0) {
        for (let page = first; page < first + count; page += 1) {
          const frame = map.frameOf(page);
          if (frame !== page) this.#reverse.enter(page, frame);
        }
      }
      this.#entered += 1;
      yield 'more';
    }
  }

  #remapped(page: number, from: number, to: number): void {
    if (to !== page) this.#again = true;
    if (page >= this.#parts.map.pagesOf(this.#entered).first) return;
    if (from !== page) this.#reverse.remove(page, from);
    if (to !== page) this.#reverse.enter(page, to);
  }

  *#pass(onlyFree: boolean): Generator<JobStep, void> {
    const { map, stays } = this.#parts;
    for (let chunk = 0; chunk < map.chunks; chunk += 1) {
      const { first, count } = map.pagesOf(chunk);
      for (let page = first; page < first + count && map.remappedIn(chunk) > 0; page += 1) {
        if (map.frameOf(page) !== page && !stays(page)) yield* this.#chain(page, onlyFree);
      }
      yield 'more';
    }
  }

  /** Brings a page home, then the page whose frame became free by that, and so on. */
  *#chain(start: number, onlyFree: boolean): Generator<JobStep, void> {
    const { map, stays, tables } = this.#parts;
    let moves = 0;
    for (let page = start; ; ) {
      const freed = this.#bringHome(page, onlyFree);
      if (freed === BLOCKED) this.#blocked += 1;
      if (freed === BLOCKED || freed === LATER) return;
      moves += 1;
      if (moves % MOVES_PER_STEP === 0) yield 'more';
      if (freed === NOT_FREED || freed >= tables.ramPages || map.frameOf(freed) === freed || stays(freed)) return;
      page = freed;
    }
  }

  /** One move, the indirect one before it included. Returns the frame that is free now, or why there is none. */
  #bringHome(page: number, onlyFree: boolean): number {
    const { counts, frames, pins, map, mover } = this.#parts;
    const from = map.frameOf(page);
    if (from === page) return NOT_FREED;
    if (pins.isPinned(from)) return BLOCKED;
    if (!frames.isFree(page)) {
      if (onlyFree) return LATER;
      if (pins.isPinned(page)) return BLOCKED;
      if (this.#mayStepAside(page, from)) return this.#stepAside(page, from);
      if (!this.#vacate(page)) return BLOCKED;
    }
    if (frames.owners(from) > 1) counts.splits += 1;
    frames.claim(page);
    counts.direct += 1;
    return mover.movePage(page, page) ? from : NOT_FREED;
  }

  /** Whether leaving its frame is sure to lead round a cycle; the set keeps a page from doing so twice. */
  #mayStepAside(page: number, from: number): boolean {
    const { frames, stays, tables } = this.#parts;
    if (this.#reverse.strategy !== 'refcount' || this.#aside.has(page)) return false;
    return from < tables.ramPages && frames.owners(from) === 1 && !stays(from);
  }

  #stepAside(page: number, from: number): number {
    const { counts, frames, mover } = this.#parts;
    const temporary = frames.take();
    if (temporary === undefined) return BLOCKED;
    this.#aside.add(page);
    counts.indirect += 1;
    return mover.movePage(page, temporary) ? from : NOT_FREED;
  }

  /** Moves whatever is in a page's own frame elsewhere. */
  #vacate(frame: number): boolean {
    const { counts, frames, mover } = this.#parts;
    const temporary = frames.take();
    if (temporary === undefined) return false;
    const users = this.#reverse.usersOf(frame);
    counts.indirect += 1;
    if (users.length > 0) mover.moveFrame(frame, temporary, users);
    else if (!mover.moveStorage(frame, temporary)) {
      frames.dropOwner(temporary);
      return false;
    }
    return true;
  }
}
