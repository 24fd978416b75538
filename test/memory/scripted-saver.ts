import {
  CLAIM_CLEAN,
  CLAIM_PINNED,
  CLAIM_TAKEN,
  CLAIM_ZERO,
  HeldPages,
  SAVED,
  stateIn,
} from '../../engine/memory/save-states.ts';
import type { MemoryTables } from '../../engine/memory/tables.ts';
import { PAGE } from './rig.ts';

/**
 * Saves a checkpoint's pages when told to, into an image that begins as the one the checkpoint builds on. Between claim
 * and `saved` it keeps a page open as long as the test likes, and looks that its bytes stand still.
 */
export class ScriptedSaver {
  readonly image: Uint8Array;
  readonly #tables: MemoryTables;
  readonly #held: HeldPages;
  /** Pages in the order in which they are saved. */
  readonly #left: number[];
  /** Claimed pages with their frames. */
  readonly #open = new Map<number, number>();

  constructor(tables: MemoryTables, base: Uint8Array, order: readonly number[]) {
    this.#tables = tables;
    this.#held = new HeldPages(tables);
    this.image = base.slice();
    this.#left = [...order].reverse();
  }

  get done(): boolean {
    return this.#left.length === 0 && this.#open.size === 0;
  }

  get pages(): HeldPages {
    return this.#held;
  }

  /** Claims so many pages; those that wait for a device go to the end of the queue. */
  claim(count: number): void {
    for (let i = 0; i < count; i += 1) {
      const page = this.#left.pop();
      if (page === undefined) return;
      if (this.#claimOne(page) === CLAIM_PINNED) this.#left.unshift(page);
    }
  }

  /** Finishes claimed pages, the oldest first. */
  save(count: number): void {
    for (const page of [...this.#open.keys()].slice(0, count)) this.#finish(page);
  }

  /** What the hart asks for when frames have run out. */
  saveNow(page: number): void {
    if (!this.#open.has(page)) {
      this.#claimOne(page);
      this.#left.splice(this.#left.indexOf(page), 1);
    }
    if (this.#open.has(page)) this.#finish(page);
    if (stateIn(this.#tables.saveState(page)) < SAVED) throw new Error(`Page ${page} cannot be saved now`);
  }

  #claimOne(page: number): number {
    const frame = this.#held.claim(page);
    const at = page * PAGE;
    if (frame >= 0) {
      this.#open.set(page, frame);
      this.image.set(this.#tables.frameBytes(frame), at);
    } else if (frame === CLAIM_ZERO) this.image.fill(0, at, at + PAGE);
    else if (frame === CLAIM_TAKEN) throw new Error(`Page ${page} is claimed twice`);
    else if (frame !== CLAIM_CLEAN && frame !== CLAIM_PINNED) throw new Error(`Unknown claim ${frame}`);
    return frame;
  }

  #finish(page: number): void {
    const frame = this.#open.get(page)!;
    const at = page * PAGE;
    const now = this.#tables.frameBytes(frame);
    if (Buffer.compare(now, this.image.subarray(at, at + PAGE)) !== 0) {
      throw new Error(`Page ${page} changed in frame ${frame} while it was being saved`);
    }
    this.#held.saved(page);
    this.#open.delete(page);
  }
}
