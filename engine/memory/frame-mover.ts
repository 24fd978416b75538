import type { FrameAllocator } from './frame-allocator.ts';
import type { PageMap } from './page-map.ts';
import type { MemoryTables } from './tables.ts';

/** What the core does for the memory manager; `Core` of engine/core is one. */
export interface BarrierCore {
  /** Through the write barrier, as a store. */
  frameForStore(page: number): number;
  /** A new epoch, with all pages held or not; returns its number. */
  beginEpoch(hold: boolean): number;
  endHold(): void;
  copyFrame(from: number, to: number): void;
  /** Drops code decoded from a frame. */
  dropFrame(frame: number): void;
  /** Removes the TLB entries that lead to a frame. */
  forgetFrame(frame: number): void;
  flushTranslations(): void;
}

/** Frames that devices use; `MachineMemory` is one. */
export interface FramePins {
  /** Such a frame is neither moved nor given away. */
  isPinned(frame: number): boolean;
  /** A page that a device is going to fill has left its frame. */
  follow(page: number, from: number, to: number): void;
}

/** What everybody who changes P→M works with. */
export interface MapParts {
  readonly core: BarrierCore;
  readonly tables: MemoryTables;
  readonly frames: FrameAllocator;
  readonly map: PageMap;
  readonly pins: FramePins;
}

/** Up to so many moves, their TLB entries are removed one by one; beyond, everything is flushed (bench: memory). */
const FEW_MOVES = 6;

/**
 * Moves pages while the hart does not run. Each move is complete in itself, map and owners agree after it; only the TLBs
 * are behind until `flush`, which must come before the hart runs again.
 */
export class FrameMover {
  readonly #parts: MapParts;
  readonly #left: number[] = [];
  #moves = 0;
  /** Pages copied so far. */
  copies = 0;

  constructor(parts: MapParts) {
    this.#parts = parts;
  }

  /** Gives one page a frame that was taken for it; true when the frame that it had is free now. */
  movePage(page: number, to: number): boolean {
    const { frames, map } = this.#parts;
    const from = map.frameOf(page);
    this.#copy(from, to);
    map.set(page, to);
    return frames.dropOwner(from);
  }

  /** Gives all pages of a frame another one. */
  moveFrame(from: number, to: number, pages: readonly number[]): void {
    const { frames, map } = this.#parts;
    this.#copy(from, to);
    for (const page of pages) map.set(page, to);
    frames.moveOwners(from, to);
  }

  /** Exchanges the frames of two pages by way of a third frame. */
  swap(one: number, other: number, temporary: number): void {
    const { map } = this.#parts;
    const first = map.frameOf(one);
    const second = map.frameOf(other);
    this.#copy(first, temporary);
    this.#copy(second, first);
    this.#copy(temporary, second);
    map.set(one, second);
    map.set(other, first);
  }

  /** Maps a page to a frame with the same content, which it shares from now on. */
  share(page: number, frame: number): void {
    const { frames, map } = this.#parts;
    const from = map.frameOf(page);
    frames.addOwner(frame);
    map.set(page, frame);
    frames.dropOwner(from);
    // Entries of the store TLB for the shared frame must go as well.
    this.#leave(frame);
    this.#leave(from);
  }

  /** The map's storage in another frame. */
  moveStorage(from: number, to: number): boolean {
    const { core, frames, map } = this.#parts;
    core.copyFrame(from, to);
    if (!map.moveStorage(from, to)) return false;
    frames.dropOwner(from);
    return true;
  }

  /** Makes the TLBs agree with the map. */
  flush(): void {
    const { core } = this.#parts;
    if (this.#moves > FEW_MOVES) core.flushTranslations();
    else for (const frame of this.#left) core.forgetFrame(frame);
    this.#left.length = 0;
    this.#moves = 0;
  }

  #copy(from: number, to: number): void {
    const { core } = this.#parts;
    core.dropFrame(to);
    core.copyFrame(from, to);
    this.copies += 1;
    this.#leave(from);
  }

  #leave(frame: number): void {
    this.#moves += 1;
    if (this.#moves <= FEW_MOVES) this.#left.push(frame);
  }
}
