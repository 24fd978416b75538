import type { GuestErrors } from '../devices/device.ts';

/** Devices report a handful of fixed texts; a bound all the same, since the guest decides how often. */
const MOST_KINDS = 256;

/** Counts what guests must not do, by device and kind. */
export class GuestErrorCounts implements GuestErrors {
  readonly #counts = new Map<string, number>();

  report(device: string, what: string): void {
    const key = `${device}: ${what}`;
    const count = this.#counts.get(key);
    if (count === undefined && this.#counts.size >= MOST_KINDS) return;
    this.#counts.set(key, (count ?? 0) + 1);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
