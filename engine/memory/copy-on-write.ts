// The hart's side of a checkpoint that is being saved: a store meets a page for the first time since the moment, and
// the page gets a frame of its own while the original stays for the saver (C4). See save-states.ts for the saver's side.
import { AfterimageError } from '../base/errors.ts';
import type { MapParts } from './frame-mover.ts';
import {
  CLEAN,
  frameIn,
  MOVED,
  SAVED,
  SAVED_MOVED,
  SAVING_MOVED,
  saveWord,
  stateIn,
  UNSAVED,
  ZERO,
} from './save-states.ts';

export interface CopyOnWriteCounts {
  /** First stores to a page of an open checkpoint. */
  faults: number;
  /** Of those: pages that were copied. */
  copies: number;
  /** Of those: written in place since already saved. */
  saved: number;
  /** Of those: written in place since the checkpoint needs no bytes of it. */
  clean: number;
  /** Stores that waited for the saver, for lack of frames. */
  waits: number;
  /** Checkpoints given up because no frame was left and the saver could free none. */
  abandoned: number;
}

export interface CopyOnWriteParts extends MapParts {
  /** Returns when the saver has saved a page, or given up. */
  readonly saveNow: (page: number) => void;
  readonly counts: CopyOnWriteCounts;
}

/** Originals looked at when frames run low, before the saver is asked. */
const REAP_AT_ONCE = 256;

export class CopyOnWrite {
  readonly #parts: CopyOnWriteParts;
  /** Pages whose original the saver has not given back. */
  readonly #moved: number[] = [];
  #cursor = 0;
  #epoch = 0;
  #open = false;

  constructor(parts: CopyOnWriteParts) {
    this.#parts = parts;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Pages whose originals are kept for the saver. */
  get moved(): readonly number[] {
    return this.#moved;
  }

  /** All pages are held from now on; those not written after `since` need not be saved. Returns the moment's epoch. */
  begin(since: number): number {
    const { core, tables } = this.#parts;
    tables.setWord(tables.layout.HOLD_SINCE, since);
    tables.setWord(tables.layout.HOLD_ABANDONED, 0);
    this.#epoch = core.beginEpoch(true);
    this.#open = true;
    return this.#epoch - 1;
  }

  /** The saver has read its last byte. The originals go back one by one, then all save states are cleared. */
  *end(): Generator<'more', void> {
    const { core, frames, tables } = this.#parts;
    core.endHold();
    this.#open = false;
    for (;;) {
      const page = this.#moved.pop();
      if (page === undefined) break;
      frames.dropOwner(frameIn(tables.saveState(page)));
      yield 'more';
    }
    // 64 KiB at a time: a few microseconds.
    const atOnce = 16384;
    for (let page = 0; page < tables.ramPages; page += atOnce) {
      tables.clearSaveStates(page, Math.min(atOnce, tables.ramPages - page));
      yield 'more';
    }
  }

  /** Makes the frame behind a page one that this page alone may write. */
  fault(page: number): void {
    const { core, frames, map, pins, tables } = this.#parts;
    const from = tables.frameOf(page);
    const copy = this.#open && tables.epochOf(page) !== this.#epoch ? this.#keep(page, from) : undefined;
    if (copy !== undefined) {
      core.dropFrame(copy);
      core.copyFrame(from, copy);
      // The original has changed owners: from the page to the checkpoint.
      map.set(page, copy);
      if (tables.dmaPins(from) > 0) pins.follow(page, from, copy);
      return;
    }
    if (!tables.isShared(from)) return;
    const own = this.#takeFrame(page) ?? this.#forceFrame(page);
    if (own === undefined) throw new AfterimageError('internal', 'No frame is left for a shared page', { page });
    core.dropFrame(own);
    core.copyFrame(from, own);
    map.set(page, own);
    frames.dropOwner(from);
  }

  /** Frees originals that were saved, looking at so many at most. */
  reap(limit: number): void {
    const { frames, tables } = this.#parts;
    for (let i = Math.min(limit, this.#moved.length); i > 0; i -= 1) {
      if (this.#cursor >= this.#moved.length) this.#cursor = 0;
      const page = this.#moved[this.#cursor]!;
      const word = tables.saveState(page);
      if (stateIn(word) !== SAVED_MOVED) {
        this.#cursor += 1;
        continue;
      }
      tables.exchangeSaveState(page, word, saveWord(SAVED));
      const last = this.#moved.pop()!;
      if (last !== page) this.#moved[this.#cursor] = last;
      frames.dropOwner(frameIn(word));
    }
  }

  /** A frame for the page's copy, with the original kept for the saver; undefined when it need not be kept. */
  #keep(page: number, from: number): number | undefined {
    const { counts, frames, tables } = this.#parts;
    counts.faults += 1;
    let copy: number | undefined;
    const without = (what: 'saved' | 'clean') => {
      counts[what] += 1;
      if (copy !== undefined) frames.dropOwner(copy);
      return undefined;
    };
    for (;;) {
      const word = tables.saveState(page);
      const state = stateIn(word);
      if (state >= SAVED || this.#abandoned) return without('saved');
      const unneeded = state === UNSAVED ? this.#unneeded(page) : undefined;
      if (unneeded !== undefined) {
        if (tables.exchangeSaveState(page, word, saveWord(unneeded))) return without('clean');
        continue;
      }
      copy ??= this.#takeFrame(page);
      if (copy === undefined) {
        copy = this.#waitFor(page, from);
        continue;
      }
      const kept = saveWord(state === UNSAVED ? MOVED : SAVING_MOVED, from);
      if (!tables.exchangeSaveState(page, word, kept)) continue;
      this.#moved.push(page);
      counts.copies += 1;
      return copy;
    }
  }

  /**
   * Why the checkpoint needs no bytes of a page, if so. A page that a device is about to fill counts as written since the
   * last complete checkpoint: either its request began after that one's moment, or that one waited for it.
   */
  #unneeded(page: number): number | undefined {
    const { tables } = this.#parts;
    const epoch = tables.epochOf(page);
    if (epoch > tables.word(tables.layout.HOLD_SINCE)) return undefined;
    return epoch === 0 ? ZERO : CLEAN;
  }

  get #abandoned(): boolean {
    const { tables } = this.#parts;
    return tables.word(tables.layout.HOLD_ABANDONED) !== 0;
  }

  /** A free frame, with room in the map to use it for this page. */
  #takeFrame(page: number): number | undefined {
    const { frames, map } = this.#parts;
    if (frames.free < 2) this.reap(REAP_AT_ONCE);
    return map.makeRoom(page) ? frames.take() : undefined;
  }

  /**
   * No frame is free: has this very page saved first and waits for it alone. An original that waits for a device cannot
   * be saved now, so another one's frame is freed; if none can be, the checkpoint is lost, not the machine.
   */
  #waitFor(page: number, from: number): number | undefined {
    const { tables } = this.#parts;
    if (tables.dmaPins(from) === 0) {
      this.#ask(page);
      return undefined;
    }
    const frame = this.#forceFrame(page);
    if (frame === undefined) {
      this.#parts.counts.abandoned += 1;
      tables.setWord(tables.layout.HOLD_ABANDONED, 1);
    }
    return frame;
  }

  /** Has originals saved until one's frame is free. */
  #forceFrame(page: number): number | undefined {
    const { tables } = this.#parts;
    for (const moved of [...this.#moved]) {
      const word = tables.saveState(moved);
      if (stateIn(word) !== SAVED_MOVED) {
        if (tables.dmaPins(frameIn(word)) > 0) continue;
        this.#ask(moved);
      }
      this.reap(this.#moved.length);
      const frame = this.#takeFrame(page);
      if (frame !== undefined) return frame;
    }
    return undefined;
  }

  #ask(page: number): void {
    const { counts, saveNow, tables } = this.#parts;
    counts.waits += 1;
    saveNow(page);
    if (stateIn(tables.saveState(page)) < SAVED && !this.#abandoned) {
      throw new AfterimageError('internal', 'The saver left a page unsaved that the hart waits for', { page });
    }
  }
}
