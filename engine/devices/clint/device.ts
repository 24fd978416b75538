import { refuseState, type Saves } from '../../state/section.ts';
import type { TimeSource } from '../clocks.ts';
import type { AccessWidth, WideDevice, WideValue } from '../device.ts';
import { type HartPins, MSIP, MTIP } from '../hart-pins.ts';
import { MSIP_BASE, MTIME, MTIMECMP_BASE } from './registers.ts';
import { type ClintState, clintSection } from './state.ts';

export interface ClintParts {
  readonly time: TimeSource;
  /** One per hart, in the order of hart ids. */
  readonly harts: readonly HartPins[];
}

interface HartTimer {
  readonly pins: HartPins;
  softwareInterrupt: boolean;
  timerInterrupt: boolean;
  compareLow: number;
  compareHigh: number;
}

const WORD = 2 ** 32;
const MTIME_LIMIT = 2 ** 53;
const MTIME_HIGH_LIMIT = MTIME_LIMIT / WORD;

/**
 * Software and timer interrupts of all harts, and guest time at 10 MHz.
 *
 * `mtime` has 53 bits (28 years): bits above read as 0 and are ignored when written. `mtimecmp` has all 64, and
 * starts with all of them set, so that no timer fires before one is programmed.
 */
export class Clint implements WideDevice, Saves<ClintState> {
  readonly name = 'clint';
  readonly #time: TimeSource;
  readonly #harts: readonly HartTimer[];
  // mtime is the source's ticks plus this, modulo 2^53.
  #offset = 0;

  constructor(parts: ClintParts) {
    this.#time = parts.time;
    this.#harts = parts.harts.map(pins => ({
      pins,
      softwareInterrupt: false,
      timerInterrupt: false,
      compareLow: 0xffffffff,
      compareHigh: 0xffffffff,
    }));
    this.#setTime(0);
  }

  /** @throws AfterimageError `corrupt` when the state is of another number of harts. */
  static restore(parts: ClintParts, state: ClintState): Clint {
    if (state.harts.length !== parts.harts.length) {
      refuseState(clintSection, 'harts', `has ${state.harts.length} entries, not ${parts.harts.length}`);
    }
    const clint = new Clint(parts);
    clint.#setTime(state.mtime);
    for (const [index, hart] of clint.#harts.entries()) {
      const saved = state.harts[index]!;
      hart.compareLow = Number(saved.timeCompare & 0xffffffffn);
      hart.compareHigh = Number(saved.timeCompare >> 32n);
      setSoftwareInterrupt(hart, saved.softwareInterrupt);
    }
    clint.update();
    return clint;
  }

  save(): ClintState {
    const harts: ClintState['harts'][number][] = [];
    for (const { softwareInterrupt, compareHigh, compareLow } of this.#harts) {
      harts.push({ softwareInterrupt, timeCompare: (BigInt(compareHigh) << 32n) | BigInt(compareLow) });
    }
    return { mtime: this.mtime, harts };
  }

  reset(): void {
    for (const hart of this.#harts) {
      hart.compareLow = 0xffffffff;
      hart.compareHigh = 0xffffffff;
      setSoftwareInterrupt(hart, false);
    }
    this.#setTime(0);
    this.update();
  }

  /** Guest time as the guest reads it, also through the `time` CSR: an integer below 2^53. */
  get mtime(): number {
    const ticks = Math.floor(this.#time.ticks());
    // The sum is taken so that it never leaves the range in which numbers are exact.
    const untilWrap = MTIME_LIMIT - this.#offset;
    return ticks >= untilWrap ? ticks - untilWrap : ticks + this.#offset;
  }

  /** Brings the timer interrupts up to date with the time. */
  update(): void {
    const now = this.mtime;
    for (const hart of this.#harts) {
      const due = now >= compare(hart);
      if (due === hart.timerInterrupt) continue;
      hart.timerInterrupt = due;
      hart.pins.set(MTIP, due);
    }
  }

  /** Ticks until `update` has a timer interrupt to raise; 0 when it has one now, Infinity when none is to come. */
  ticksUntilTimer(): number {
    const now = this.mtime;
    let nearest = Number.POSITIVE_INFINITY;
    for (const hart of this.#harts) {
      const at = compare(hart);
      if (hart.timerInterrupt || at >= MTIME_LIMIT) continue;
      nearest = Math.min(nearest, Math.max(0, at - now));
    }
    return nearest;
  }

  read(offset: number, width: AccessWidth): number {
    if (width === 8) {
      const result = { low: 0, high: 0 };
      this.readWide(offset, result);
      return Math.min(result.high * WORD + result.low, MTIME_LIMIT - 1);
    }
    if (width !== 4 || offset % 4 !== 0) return 0;
    if (offset < MTIMECMP_BASE) return this.#harts[(offset - MSIP_BASE) / 4]?.softwareInterrupt ? 1 : 0;
    if (offset >= MTIME) {
      if (offset === MTIME) return this.mtime % WORD;
      return offset === MTIME + 4 ? Math.floor(this.mtime / WORD) : 0;
    }
    const hart = this.#harts[Math.floor((offset - MTIMECMP_BASE) / 8)];
    if (hart === undefined) return 0;
    return offset % 8 === 0 ? hart.compareLow : hart.compareHigh;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (width === 8) this.writeWide(offset, value % WORD, Math.floor(value / WORD));
    if (width !== 4 || offset % 4 !== 0) return;
    if (offset < MTIMECMP_BASE) {
      const hart = this.#harts[(offset - MSIP_BASE) / 4];
      if (hart !== undefined) setSoftwareInterrupt(hart, value % 2 === 1);
    } else if (offset >= MTIME) {
      const now = this.mtime;
      if (offset === MTIME) this.#setTime(now - (now % WORD) + value);
      else if (offset === MTIME + 4) this.#setTime((value % MTIME_HIGH_LIMIT) * WORD + (now % WORD));
      this.update();
    } else {
      const hart = this.#harts[Math.floor((offset - MTIMECMP_BASE) / 8)];
      if (hart === undefined) return;
      if (offset % 8 === 0) hart.compareLow = value;
      else hart.compareHigh = value;
      this.update();
    }
  }

  readWide(offset: number, result: WideValue): void {
    result.low = 0;
    result.high = 0;
    if (offset % 8 !== 0) return;
    if (offset === MTIME) {
      const now = this.mtime;
      result.low = now % WORD;
      result.high = Math.floor(now / WORD);
    } else {
      result.low = this.read(offset, 4);
      result.high = this.read(offset + 4, 4);
    }
  }

  writeWide(offset: number, low: number, high: number): void {
    if (offset % 8 !== 0) return;
    const hart = offset >= MTIMECMP_BASE && offset < MTIME ? this.#harts[(offset - MTIMECMP_BASE) / 8] : undefined;
    if (offset === MTIME) {
      this.#setTime((high % MTIME_HIGH_LIMIT) * WORD + low);
      this.update();
    } else if (hart !== undefined) {
      // In one step: with two, the timer could fire for a value that the guest never meant.
      hart.compareLow = low;
      hart.compareHigh = high;
      this.update();
    } else {
      this.write(offset, 4, low);
      this.write(offset + 4, 4, high);
    }
  }

  #setTime(target: number): void {
    const ticks = Math.floor(this.#time.ticks());
    this.#offset = target >= ticks ? target - ticks : MTIME_LIMIT - (ticks - target);
  }
}

/** Rounded from 2^53 on, where no `mtime` gets. */
function compare(hart: HartTimer): number {
  return hart.compareHigh * WORD + hart.compareLow;
}

function setSoftwareInterrupt(hart: HartTimer, level: boolean): void {
  if (hart.softwareInterrupt === level) return;
  hart.softwareInterrupt = level;
  hart.pins.set(MSIP, level);
}
