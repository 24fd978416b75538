import { PAGE_SHIFT, PAGE_SIZE } from '../base/addresses.ts';

/** Where the tables of machine memory are; the compiled core says it (engine/core/assembly/layout.ts has the reasons). */
export interface MemoryLayout {
  readonly FRAMES: number;
  readonly RAM_PAGES: number;
  readonly PAGE_EPOCH: number;
  readonly EPOCH: number;
  readonly HOLDING: number;
  readonly HOLD_SINCE: number;
  readonly HOLD_ABANDONED: number;
  readonly URGENT_PAGE: number;
  readonly SAVE_STATE: number;
  readonly DMA_PINS: number;
  readonly FRAME_STATE: number;
  readonly FRAME_SHARED: number;
  readonly MAP_DIRECTORY: number;
  readonly MAP_CHUNK: number;
  readonly MAP_RANGES: number;
  readonly MAP_RANGES_LIMIT: number;
  readonly MAP_COUNT: number;
  readonly PAGE_FLAGS: number;
  readonly PAGE_ABSENT: number;
  readonly PAGE_UNTOUCHED: number;
  readonly PAGE_CHECKS: number;
  readonly ABSENT_COUNT: number;
  readonly WANTED_PAGE: number;
  readonly PAGE_ARRIVALS: number;
  readonly TOUCH_LOG: number;
  readonly TOUCH_LOG_LENGTH: number;
  readonly TOUCH_COUNT: number;
  readonly TLB: number;
  readonly TLB_CONTEXT_SIZE: number;
  readonly TLB_FETCH: number;
  readonly CODE_META: number;
  readonly CODE_SLOTS: number;
}

/**
 * Per-page and per-frame state in machine memory, as any thread may read it. What both the hart and the saver change,
 * or what the order of changes depends on, goes through Atomics; docs/MEMORY.md has the protocol.
 */
export class MemoryTables {
  readonly layout: MemoryLayout;
  readonly bytes: Uint8Array;
  /** All of machine memory, for Atomics. */
  readonly words: Int32Array;
  readonly ramPages: number;
  /** Frames in all, RAM's and the reserve's. */
  readonly frames: number;
  readonly #saveState: number;
  readonly #pageEpoch: number;
  readonly #directory: number;
  readonly #chunkShift: number;

  constructor(bytes: Uint8Array, layout: MemoryLayout) {
    this.bytes = bytes;
    this.layout = layout;
    this.words = new Int32Array(bytes.buffer, 0, Math.floor(bytes.byteLength / 4));
    this.ramPages = this.word(layout.RAM_PAGES);
    this.frames = Math.floor((bytes.byteLength - layout.FRAMES) / PAGE_SIZE);
    this.#saveState = layout.SAVE_STATE / 4;
    this.#pageEpoch = layout.PAGE_EPOCH / 4;
    this.#directory = layout.MAP_DIRECTORY / 4;
    this.#chunkShift = Math.log2(layout.MAP_CHUNK);
  }

  word(at: number): number {
    return Atomics.load(this.words, at / 4) >>> 0;
  }

  setWord(at: number, value: number): void {
    Atomics.store(this.words, at / 4, value | 0);
  }

  /** See save-states.ts. */
  saveState(page: number): number {
    return Atomics.load(this.words, this.#saveState + page) >>> 0;
  }

  /** Changes the save state if it is still `from`; says whether it did. */
  exchangeSaveState(page: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, this.#saveState + page, from, to) === from;
  }

  /** Sleeps while the save state is `value`, at most so many milliseconds. */
  waitForSaveState(page: number, value: number, milliseconds: number): void {
    Atomics.wait(this.words, this.#saveState + page, value, milliseconds);
  }

  wakeSaveState(page: number): void {
    Atomics.notify(this.words, this.#saveState + page);
  }

  /** For the hart while nothing is held. */
  clearSaveStates(first: number, count: number): void {
    this.words.fill(0, this.#saveState + first, this.#saveState + first + count);
  }

  /** Epoch in which a page was last written; 0: never, it is all zeros. */
  epochOf(page: number): number {
    return this.words[this.#pageEpoch + page]! >>> 0;
  }

  /** For whoever puts the machine's memory in place, before the hart runs. */
  setEpochs(first: number, count: number, epoch: number): void {
    this.words.fill(epoch, this.#pageEpoch + first, this.#pageEpoch + first + count);
  }

  /** Whether a page's bytes are still in the checkpoint's file only (a lazy restore). It stays in its own frame until then. */
  isAbsent(page: number): boolean {
    return (Atomics.load(this.bytes, this.layout.PAGE_FLAGS + page) & this.layout.PAGE_ABSENT) !== 0;
  }

  /** Machine address of the part of the map that has a page; 0 when its whole neighbourhood is in its own frames. */
  chunkOf(page: number): number {
    return Atomics.load(this.words, this.#directory + (page >>> this.#chunkShift)) >>> 0;
  }

  setChunk(page: number, address: number): void {
    Atomics.store(this.words, this.#directory + (page >>> this.#chunkShift), address | 0);
  }

  /** The frame behind a page. */
  frameOf(page: number): number {
    const chunk = this.chunkOf(page);
    if (chunk === 0) return page;
    return Atomics.load(this.words, chunk / 4 + (page & (this.layout.MAP_CHUNK - 1)));
  }

  /** Enters a frame into a chunk that is there. */
  setFrame(page: number, frame: number): void {
    Atomics.store(this.words, this.chunkOf(page) / 4 + (page & (this.layout.MAP_CHUNK - 1)), frame);
  }

  /** The ranges whose P→M map counts, in order. */
  virtualizedRanges(): { readonly first: number; readonly count: number }[] {
    const { MAP_COUNT, MAP_RANGES } = this.layout;
    return Array.from({ length: this.word(MAP_COUNT) }, (_, index) => {
      const at = MAP_RANGES + index * 8;
      return { first: this.word(at), count: this.word(at + 4) };
    });
  }

  /** Requests of devices that are going to fill a frame. */
  dmaPins(frame: number): number {
    const word = Atomics.load(this.words, (this.layout.DMA_PINS >>> 2) + (frame >>> 1)) >>> 0;
    return (frame & 1) === 0 ? word & 0xffff : word >>> 16;
  }

  isShared(frame: number): boolean {
    return (this.bytes[this.layout.FRAME_STATE + frame]! & this.layout.FRAME_SHARED) !== 0;
  }

  /** For the hart, which alone changes frame states. */
  setShared(frame: number, shared: boolean): void {
    const at = this.layout.FRAME_STATE + frame;
    const state = this.bytes[at]!;
    this.bytes[at] = shared ? state | this.layout.FRAME_SHARED : state & ~this.layout.FRAME_SHARED;
  }

  frameAddress(frame: number): number {
    return this.layout.FRAMES + frame * PAGE_SIZE;
  }

  frameAt(address: number): number {
    return (address - this.layout.FRAMES) >>> PAGE_SHIFT;
  }

  /** A frame's bytes, in place. */
  frameBytes(frame: number): Uint8Array {
    const at = this.frameAddress(frame);
    return this.bytes.subarray(at, at + PAGE_SIZE);
  }
}
