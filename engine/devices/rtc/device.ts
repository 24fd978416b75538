import type { Saves } from '../../state/section.ts';
import type { WallClock } from '../clocks.ts';
import type { AccessWidth, IrqLine, MmioDevice } from '../device.ts';
import {
  ALARM_HIGH,
  ALARM_LOW,
  ALARM_STATUS,
  CLEAR_ALARM,
  CLEAR_INTERRUPT,
  IRQ_ENABLED,
  TIME_HIGH,
  TIME_LOW,
} from './registers.ts';
import type { RtcState } from './state.ts';

export interface RtcParts {
  readonly clock: WallClock;
  readonly irq: IrqLine;
}

const LOW_WORD = 0xffffffffn;

/** Time of day with one alarm. After reset it shows the host's time; the guest may set it to another. */
export class Rtc implements MmioDevice, Saves<RtcState> {
  readonly name = 'rtc';
  readonly #clock: WallClock;
  readonly #irq: IrqLine;
  #offset = 0n;
  #latchedHigh = 0;
  #alarm = 0n;
  #alarmArmed = false;
  #interruptPending = false;
  #interruptEnabled = false;

  constructor(parts: RtcParts) {
    this.#clock = parts.clock;
    this.#irq = parts.irq;
  }

  /** An alarm that passed while the machine was away goes off at the first `update`. */
  static restore(parts: RtcParts, state: RtcState): Rtc {
    const rtc = new Rtc(parts);
    rtc.#offset = state.offset;
    rtc.#latchedHigh = state.latchedHigh;
    rtc.#alarm = state.alarm;
    rtc.#alarmArmed = state.alarmArmed;
    rtc.#interruptPending = state.interruptPending;
    rtc.#interruptEnabled = state.interruptEnabled;
    rtc.#drive();
    return rtc;
  }

  save(): RtcState {
    return {
      offset: this.#offset,
      latchedHigh: this.#latchedHigh,
      alarm: this.#alarm,
      alarmArmed: this.#alarmArmed,
      interruptPending: this.#interruptPending,
      interruptEnabled: this.#interruptEnabled,
    };
  }

  reset(): void {
    this.#offset = 0n;
    this.#latchedHigh = 0;
    this.#alarm = 0n;
    this.#alarmArmed = false;
    this.#interruptPending = false;
    this.#interruptEnabled = false;
    this.#drive();
  }

  /** Lets an alarm whose time has come go off. */
  update(): void {
    if (!this.#alarmArmed || this.#now() < this.#alarm) return;
    this.#alarmArmed = false;
    this.#interruptPending = true;
    this.#drive();
  }

  /** Nanoseconds until `update` has something to do; 0 when it has now, Infinity when no alarm is armed. */
  nanosecondsUntilAlarm(): number {
    if (!this.#alarmArmed) return Number.POSITIVE_INFINITY;
    return Math.max(0, Number(this.#alarm - this.#now()));
  }

  read(offset: number, width: AccessWidth): number {
    if (width !== 4) return 0;
    switch (offset) {
      case TIME_LOW: {
        const now = this.#now();
        this.#latchedHigh = Number(now >> 32n);
        return Number(now & LOW_WORD);
      }
      case TIME_HIGH:
        return this.#latchedHigh;
      case ALARM_LOW:
        return Number(this.#alarm & LOW_WORD);
      case ALARM_HIGH:
        return Number(this.#alarm >> 32n);
      case IRQ_ENABLED:
        return this.#interruptEnabled ? 1 : 0;
      case ALARM_STATUS:
        // The time may have come since the run loop last asked.
        this.update();
        return this.#alarmArmed ? 1 : 0;
      default:
        return 0;
    }
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (width !== 4) return;
    switch (offset) {
      case TIME_LOW:
        this.#setTime(now => withLow(now, value));
        break;
      case TIME_HIGH:
        this.#setTime(now => withHigh(now, value));
        break;
      case ALARM_LOW:
        this.#alarm = withLow(this.#alarm, value);
        this.#alarmArmed = true;
        this.update();
        break;
      case ALARM_HIGH:
        this.#alarm = withHigh(this.#alarm, value);
        break;
      case IRQ_ENABLED:
        this.#interruptEnabled = (value & 1) !== 0;
        this.#drive();
        break;
      case CLEAR_ALARM:
        this.#alarmArmed = false;
        break;
      case CLEAR_INTERRUPT:
        this.#interruptPending = false;
        this.#drive();
        break;
    }
  }

  #now(): bigint {
    return BigInt.asUintN(64, this.#clock.nanoseconds() + this.#offset);
  }

  #setTime(change: (now: bigint) => bigint): void {
    const now = this.#now();
    this.#offset = BigInt.asUintN(64, this.#offset + change(now) - now);
    this.update();
  }

  #drive(): void {
    this.#irq.set(this.#interruptPending && this.#interruptEnabled);
  }
}

function withLow(value: bigint, low: number): bigint {
  return (value & ~LOW_WORD) | BigInt(low);
}

function withHigh(value: bigint, high: number): bigint {
  return (value & LOW_WORD) | (BigInt(high) << 32n);
}
