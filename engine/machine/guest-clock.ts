import type { TimeSource } from '../devices/clocks.ts';
import { TICKS_PER_MILLISECOND } from './platform.ts';

/** The machine's time: runs with the host's monotonic clock and stands still while the machine is paused. */
export class GuestClock implements TimeSource {
  readonly #monotonic: () => number;
  #base: number;
  #pausedAt: number | undefined;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
    this.#base = monotonic();
  }

  ticks(): number {
    return Math.floor(((this.#pausedAt ?? this.#monotonic()) - this.#base) * TICKS_PER_MILLISECOND);
  }

  pause(): void {
    this.#pausedAt ??= this.#monotonic();
  }

  /** Time in which the hart was kept from running, which is over now, did not pass for the guest. */
  skip(milliseconds: number): void {
    if (this.#pausedAt === undefined) this.#base += milliseconds;
  }

  resume(): void {
    if (this.#pausedAt === undefined) return;
    this.#base += this.#monotonic() - this.#pausedAt;
    this.#pausedAt = undefined;
  }
}
