import { AfterimageError } from '../base/errors.ts';
import type { FramePins } from './frame-mover.ts';
import type { MemoryTables } from './tables.ts';

/**
 * Who owns which frame. In the beginning each page of RAM owns the frame of its own number and the reserve is free.
 * A frame with more than one owner (pages that share it, a checkpoint that still needs it) is marked FRAME_SHARED, which
 * the write barrier obeys. On the hart thread.
 */
export class FrameAllocator {
  readonly #tables: MemoryTables;
  readonly #pins: Pick<FramePins, 'isPinned'>;
  readonly #used: Uint8Array;
  /** Owners beyond the first, where there are any. */
  readonly #further = new Map<number, number>();
  /** Frames of the reserve that were never used begin here. */
  #fresh: number;
  /** Free frames of the reserve, then RAM's; entries whose frame was taken by name since are skipped. */
  readonly #reserve: number[] = [];
  readonly #vacated: number[] = [];
  /** Without an owner, but a device still uses them. */
  #limbo: number[] = [];
  #free: number;

  constructor(tables: MemoryTables, pins: Pick<FramePins, 'isPinned'>) {
    this.#tables = tables;
    this.#pins = pins;
    this.#used = new Uint8Array(tables.frames).fill(1, 0, tables.ramPages);
    this.#fresh = tables.ramPages;
    this.#free = tables.frames - tables.ramPages;
  }

  /** Frames that `take` can give. */
  get free(): number {
    return this.#free;
  }

  /** Frames without an owner that become free when devices let go of them. */
  get limbo(): readonly number[] {
    return this.#limbo;
  }

  isFree(frame: number): boolean {
    return this.#used[frame] === 0;
  }

  /** A free frame with one owner; RAM's own frames only when the reserve has none, so that pages find theirs free. */
  take(): number | undefined {
    if (this.#free === 0) this.collect();
    const frame = this.#pop(this.#reserve) ?? this.#popFresh() ?? this.#pop(this.#vacated);
    if (frame !== undefined) this.claim(frame);
    return frame;
  }

  /** Takes a certain free frame. */
  claim(frame: number): void {
    if (this.#used[frame] !== 0) throw new AfterimageError('internal', 'A frame is taken that is not free', { frame });
    this.#used[frame] = 1;
    this.#free -= 1;
    // The frame that was freed last is the one that a chain of moves takes next.
    if (this.#vacated.at(-1) === frame) this.#vacated.pop();
  }

  owners(frame: number): number {
    return this.#used[frame] === 1 ? 1 + (this.#further.get(frame) ?? 0) : 0;
  }

  addOwner(frame: number): void {
    this.#further.set(frame, (this.#further.get(frame) ?? 0) + 1);
    this.#tables.setShared(frame, true);
  }

  /** One owner less; true when the frame is free now. */
  dropOwner(frame: number): boolean {
    const further = this.#further.get(frame) ?? 0;
    if (further > 1) this.#further.set(frame, further - 1);
    else if (further === 1) {
      this.#further.delete(frame);
      this.#tables.setShared(frame, false);
    }
    if (further > 0) return false;
    if (this.#used[frame] !== 1) throw new AfterimageError('internal', 'A free frame is freed', { frame });
    if (this.#pins.isPinned(frame)) {
      this.#limbo.push(frame);
      return false;
    }
    this.#release(frame);
    return true;
  }

  /** All owners of `from` become owners of `to`, which was just taken; `from` is free then. */
  moveOwners(from: number, to: number): void {
    const further = this.#further.get(from);
    if (further !== undefined) {
      this.#further.delete(from);
      this.#further.set(to, further);
      this.#tables.setShared(from, false);
      this.#tables.setShared(to, true);
    }
    this.dropOwner(from);
  }

  /** Frees what devices have let go of since. */
  collect(): void {
    if (this.#limbo.length === 0) return;
    const waiting = this.#limbo;
    this.#limbo = [];
    for (const frame of waiting) {
      if (this.#pins.isPinned(frame)) this.#limbo.push(frame);
      else this.#release(frame);
    }
  }

  #release(frame: number): void {
    this.#used[frame] = 0;
    this.#free += 1;
    const list = frame < this.#tables.ramPages ? this.#vacated : this.#reserve;
    // Entries of frames that were taken by name pile up where pages often leave and return.
    if (list.length > 2 * this.#free + 1024) this.#compact(list);
    list.push(frame);
  }

  #compact(list: number[]): void {
    const kept = [...new Set(list)].filter(frame => this.#used[frame] === 0);
    list.length = 0;
    for (const frame of kept) list.push(frame);
  }

  #pop(list: number[]): number | undefined {
    for (;;) {
      const frame = list.pop();
      if (frame === undefined || this.#used[frame] === 0) return frame;
    }
  }

  #popFresh(): number | undefined {
    return this.#fresh < this.#tables.frames ? this.#fresh++ : undefined;
  }
}
