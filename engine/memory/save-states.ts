// How far the saver is with each page of an open checkpoint: one word per page in machine memory, changed by
// compare-and-exchange between the hart, which wants to write the page, and the saver, which wants to read it.
//
//   UNSAVED ──saver──> SAVING ──saver──> SAVED            the original is still the page's own frame
//      │hart              │hart
//      v                  v
//    MOVED ──saver──> SAVING_MOVED ──saver──> SAVED_MOVED the page has a copy, the word names the original
//      UNSAVED ──hart──> CLEAN or ZERO                    written in place: the checkpoint needs no bytes of it
//
// All words are 0 (UNSAVED) when a checkpoint begins, so beginning it touches none of them (C2). The hart gives the
// original's frame in the same word that says MOVED and changes the map only afterwards; so a saver that has claimed a
// page, then reads the map, then finds the word still at SAVING has the right frame.
import { AfterimageError } from '../base/errors.ts';
import type { MemoryTables } from './tables.ts';

export const UNSAVED = 0;
export const SAVING = 1;
export const MOVED = 2;
export const SAVING_MOVED = 3;
export const SAVED = 4;
export const SAVED_MOVED = 5;
/** Unchanged since the checkpoint that this one builds on (C17). */
export const CLEAN = 6;
/** Never written before the moment. */
export const ZERO = 7;

const STATE_BITS = 3;
export const saveWord = (state: number, frame = 0): number => ((frame << STATE_BITS) | state) >>> 0;
export const stateIn = (word: number): number => word & 7;
export const frameIn = (word: number): number => word >>> STATE_BITS;

/** What `claim` says instead of a frame. */
export const CLAIM_ZERO = -1;
export const CLAIM_CLEAN = -2;
/** A device is about to fill the original (C8): come back later. */
export const CLAIM_PINNED = -3;
/** Already saved, or claimed by another thread. */
export const CLAIM_TAKEN = -4;
/** Needed, and still in the file of a lazy restore only: have it brought, then come back. */
export const CLAIM_ABSENT = -5;

/** Pages of the open checkpoint as its saver sees them; on any thread, one object per thread. */
export class HeldPages {
  readonly #tables: MemoryTables;

  constructor(tables: MemoryTables) {
    this.#tables = tables;
  }

  /**
   * Takes a page for saving. A frame's number: its bytes stay those of the moment until `saved` is called, which must
   * follow. Below 0: one of the CLAIM constants; nothing is to be done for the page, or not yet.
   */
  claim(page: number): number {
    const steps = this.claimSteps(page);
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
    }
  }

  /** `claim`, suspended after each look at shared state, so that a test can let the hart act in every gap. */
  *claimSteps(page: number): Generator<void, number> {
    const tables = this.#tables;
    for (;;) {
      const word = tables.saveState(page);
      yield;
      const state = stateIn(word);
      if (state === ZERO) return CLAIM_ZERO;
      if (state === CLEAN) return CLAIM_CLEAN;
      if (state !== UNSAVED && state !== MOVED) return CLAIM_TAKEN;
      // Nobody writes an absent page, so it is still of its epoch, and it does not become absent again.
      if (state === UNSAVED && tables.isAbsent(page) && tables.epochOf(page) > tables.word(tables.layout.HOLD_SINCE))
        return CLAIM_ABSENT;
      const claimed = state === UNSAVED ? saveWord(SAVING) : saveWord(SAVING_MOVED, frameIn(word));
      if (!tables.exchangeSaveState(page, word, claimed)) continue;
      yield;
      // A store that comes now raises this epoch, and the page is saved without need: harmless.
      const epoch = state === MOVED ? undefined : tables.epochOf(page);
      yield;
      const inPlace = tables.frameOf(page);
      yield;
      const after = tables.saveState(page);
      yield;
      const frame = stateIn(after) === SAVING_MOVED ? frameIn(after) : inPlace;
      if (tables.dmaPins(frame) > 0) {
        this.#giveBack(page);
        return CLAIM_PINNED;
      }
      if (epoch === undefined || epoch > tables.word(tables.layout.HOLD_SINCE)) return frame;
      this.saved(page);
      return epoch === 0 ? CLAIM_ZERO : CLAIM_CLEAN;
    }
  }

  /** The claimed page's bytes are copied or written: its frame is of no more interest. */
  saved(page: number): void {
    const tables = this.#tables;
    for (;;) {
      const word = tables.saveState(page);
      const state = stateIn(word);
      if (state !== SAVING && state !== SAVING_MOVED) {
        throw new AfterimageError('internal', 'A page is saved that was not claimed', { page, state });
      }
      const next = state === SAVING ? saveWord(SAVED) : saveWord(SAVED_MOVED, frameIn(word));
      if (tables.exchangeSaveState(page, word, next)) break;
    }
    if (tables.word(tables.layout.URGENT_PAGE) === page + 1) tables.wakeSaveState(page);
  }

  /** The page that the hart waits for, because frames for copies have run out: to be saved before all others. */
  get urgent(): number | undefined {
    const word = this.#tables.word(this.#tables.layout.URGENT_PAGE);
    return word === 0 ? undefined : word - 1;
  }

  /** The saver gives up: whoever waits for it is let go and nothing more is copied for this checkpoint. */
  abandon(): void {
    const { urgent } = this;
    this.#tables.setWord(this.#tables.layout.HOLD_ABANDONED, 1);
    if (urgent !== undefined) this.#tables.wakeSaveState(urgent);
  }

  #giveBack(page: number): void {
    for (;;) {
      const word = this.#tables.saveState(page);
      const free = stateIn(word) === SAVING ? saveWord(UNSAVED) : saveWord(MOVED, frameIn(word));
      if (this.#tables.exchangeSaveState(page, word, free)) return;
    }
  }
}

/** Longest sleep before looking at HOLD_ABANDONED again, should its wake-up come just before the sleep. */
const LOOK_AGAIN_MILLISECONDS = 5;

/** Blocks the hart until the saver has saved a page, or has given up. */
export function waitUntilSaved(tables: MemoryTables, page: number): void {
  const { URGENT_PAGE, HOLD_ABANDONED } = tables.layout;
  tables.setWord(URGENT_PAGE, page + 1);
  for (;;) {
    const word = tables.saveState(page);
    if (stateIn(word) >= SAVED || tables.word(HOLD_ABANDONED) !== 0) break;
    tables.waitForSaveState(page, word, LOOK_AGAIN_MILLISECONDS);
  }
  tables.setWord(URGENT_PAGE, 0);
}
