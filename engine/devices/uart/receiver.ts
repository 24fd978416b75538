import type { ConsolePort } from '../console-port.ts';
import { Incoming } from './incoming.ts';
import { FIFO_DEPTH } from './registers.ts';
import { INCOMING_CAPACITY, MOST_CREDIT, type UartState } from './state.ts';

/**
 * Bytes that a guest that is never idle is sent per poll, on average: 80 KB/s at 50 µs between polls, seven times
 * 115200 baud. That leaves some 5,000 guest instructions per byte, where Linux needs about 1,000 with echo.
 */
const CREDIT_PER_POLL = 4;

/**
 * The receive FIFO, the line in front of it, and loopback.
 *
 * A line without a baud rate could keep the guest in its interrupt handler for ever. Linux would lose bytes then: its
 * handler puts them into a buffer of 64 KiB that a worker empties, and RTS falls only once the worker has run. So
 * bytes from the line cost credit: each poll gives a little, and a guest that goes to sleep, and so has no worker left
 * to run, gets all of it.
 */
export class Receiver {
  overrun = false;
  /** Bytes wait below the trigger level and no more are coming. */
  timeoutPending = false;
  readonly #incoming: Incoming;
  // How many bytes at the front of `#incoming` the guest has been shown.
  #presented = 0;
  #loopedBack: number[] = [];
  #credit = MOST_CREDIT;

  constructor(port: ConsolePort) {
    this.#incoming = new Incoming(port, INCOMING_CAPACITY);
  }

  /** Bytes that the guest can read. */
  get held(): number {
    return this.#presented + this.#loopedBack.length;
  }

  earn(sleeping: boolean): void {
    this.#credit = sleeping ? MOST_CREDIT : Math.min(MOST_CREDIT, this.#credit + CREDIT_PER_POLL);
  }

  /** Lets bytes from the line into a FIFO of `depth`. */
  fill(depth: number, paced: boolean): void {
    const room = depth - this.#loopedBack.length;
    if (this.#presented >= room) return;
    // A whole FIFO's worth or nothing, for fewer interrupts.
    if (paced && this.#credit < FIFO_DEPTH) return;
    this.#incoming.fetch(room);
    const shown = Math.min(room, this.#incoming.length);
    if (paced) this.#credit -= shown - this.#presented;
    this.#presented = shown;
  }

  /** Gives the bytes from the line back to it. */
  hide(): void {
    this.#presented = 0;
    if (this.#loopedBack.length === 0) this.timeoutPending = false;
  }

  /** The FIFO as after a clear: what was looped back is gone. */
  clear(): void {
    this.#loopedBack = [];
    this.#presented = 0;
    this.timeoutPending = false;
  }

  /** The oldest byte, 0 when there is none. */
  take(): number {
    this.timeoutPending = false;
    if (this.#loopedBack.length > 0) return this.#loopedBack.shift()!;
    if (this.#presented === 0) return 0;
    this.#presented -= 1;
    return this.#incoming.take();
  }

  loopBack(byte: number, depth: number): void {
    if (this.held < depth) this.#loopedBack.push(byte);
    else this.overrun = true;
  }

  reset(): void {
    this.clear();
    this.overrun = false;
    this.#credit = MOST_CREDIT;
  }

  save(): Pick<UartState, 'overrun' | 'timeoutPending' | 'loopedBack' | 'incoming' | 'presented' | 'credit'> {
    return {
      overrun: this.overrun,
      timeoutPending: this.timeoutPending,
      loopedBack: Uint8Array.from(this.#loopedBack),
      incoming: this.#incoming.save(),
      presented: this.#presented,
      credit: this.#credit,
    };
  }

  restore(state: UartState): void {
    this.overrun = state.overrun;
    this.timeoutPending = state.timeoutPending;
    this.#loopedBack = [...state.loopedBack];
    this.#incoming.restore(state.incoming);
    this.#presented = state.presented;
    this.#credit = state.credit;
  }
}
