// The hart thread's loop: run a slice, look at the bell, sleep when the guest is idle.
//
// The bell's count is taken before rings and control words are looked at, and the sleep compares with that count, so
// whatever the I/O thread publishes in between ends the sleep at once (doorbell.ts has the argument).
import type { StopReason } from '../api/messages.ts';
import type { ConsoleSize } from '../api/settings.ts';
import type { RingConsolePort } from './console-link.ts';
import type { DiskLink } from './disk-link.ts';
import type { Doorbell } from './doorbell.ts';
import type { HartControl } from './hart-control.ts';
import type { HartLive } from './hart-live.ts';
import type { HartMachine } from './hart-machine.ts';

export interface HartLoopParts {
  readonly machine: HartMachine;
  readonly control: HartControl;
  readonly bell: Doorbell;
  readonly ioBell: Doorbell;
  readonly console: RingConsolePort;
  readonly disks: DiskLink;
  readonly live: HartLive;
  /** Called when the guest has restarted. */
  readonly restarted: () => void;
}

export interface HartEnd {
  readonly reason: StopReason;
  readonly code: number;
}

/** Milliseconds: a guest that sleeps as long undisturbed is not waiting for something quick, like a disk. */
const LONG_SLEEP = 1;

/** Thrown out of the guest's instruction when the machine is to stop while it waits for a page. */
export class HartStopped extends Error {}

/** One machine on this thread. */
export class HartLoop {
  readonly #parts: HartLoopParts;
  #size: ConsoleSize | undefined;
  /** The bell's count before we last looked at what it is about. */
  #seen: number;

  constructor(parts: HartLoopParts) {
    this.#parts = parts;
    this.#seen = parts.bell.count;
  }

  /** Runs the machine until it stops for good. */
  run(): HartEnd {
    try {
      return this.#run();
    } catch (thrown) {
      if (thrown instanceof HartStopped) return { reason: 'requested', code: 0 };
      throw thrown;
    }
  }

  #run(): HartEnd {
    const { machine, bell, control, live } = this.#parts;
    this.#attend();
    for (;;) {
      if (bell.count !== this.#seen) this.#attend();
      if (control.stopRequested) return { reason: 'requested', code: 0 };
      if (control.pauseRequested) {
        this.#pause();
        continue;
      }
      if (live.due) live.moment(this.#waitForRing);
      const state = machine.runSlice();
      if (live.due) live.finishMoment();
      if (state.kind === 'idle' && !live.due) this.#idle(state.milliseconds);
      else this.#passOn();
      if (state.kind !== 'stopped') continue;
      if (state.reason !== 'reset') return this.#ended({ reason: state.reason, code: state.code });
      this.#restart();
    }
  }

  /** Serves a checkpoint that is being saved when the guest ends until it is done with this thread, or the machine is to stop. */
  #ended(end: HartEnd): HartEnd {
    const { live, control } = this.#parts;
    while (live.busy && !control.stopRequested) {
      live.moment(this.#waitForRing);
      live.finishMoment();
      if (live.busy && !live.due) this.#waitForRing();
    }
    return end;
  }

  /** False when the machine is to stop. */
  readonly #waitForRing = (): boolean => {
    this.#sleep(Number.POSITIVE_INFINITY);
    this.#attend();
    return !this.#parts.control.stopRequested;
  };

  /** Looks at everything that the bell may be about. */
  #attend(): void {
    const { machine, bell, control, disks, live } = this.#parts;
    this.#seen = bell.count;
    disks.poll();
    machine.poll();
    live.attend();
    const size = control.consoleSize;
    if (size === undefined || (size.rows === this.#size?.rows && size.columns === this.#size.columns)) return;
    this.#size = size;
    machine.resize(size.columns, size.rows);
  }

  /** Once per slice, not once per byte. */
  #passOn(): void {
    if (this.#parts.console.takeActivity()) this.#parts.ioBell.ring();
  }

  #idle(milliseconds: number): void {
    const { live, bell } = this.#parts;
    const rehearses = live.unrehearsed && milliseconds > LONG_SLEEP;
    this.#sleep(rehearses ? LONG_SLEEP : milliseconds);
    if (rehearses && bell.count === this.#seen) live.rehearse();
  }

  #sleep(milliseconds: number): void {
    this.#passOn();
    this.#parts.bell.sleep(this.#seen, milliseconds);
  }

  #pause(): void {
    const { machine, control, live } = this.#parts;
    machine.pause();
    while (control.pauseRequested && !control.stopRequested) {
      if (live.due) {
        live.moment(this.#waitForRing);
        live.finishMoment();
      } else this.#waitForRing();
    }
    machine.resume();
  }

  #restart(): void {
    const { machine, disks } = this.#parts;
    // Reads in flight would otherwise fill memory that the new kernel lies in.
    while (disks.inFlight > 0) this.#waitForRing();
    machine.restart();
    this.#parts.restarted();
  }
}
