import type { ConsoleSize } from '../api/settings.ts';
import type { Doorbell } from './doorbell.ts';

const FLAGS = 0;
const SIZE = 1;
const WORDS = 2;

const STOP = 1;
const PAUSE = 2;

/**
 * What the I/O thread wants of the hart's loop, as words in shared memory: only the latest wish counts, so nothing can
 * pile up, and a hart that spins in guest code needs no event loop to see it. Writers ring the hart's bell.
 */
export class HartControl {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4 * WORDS)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS);
  }

  get stopRequested(): boolean {
    return (Atomics.load(this.#words, FLAGS) & STOP) !== 0;
  }

  get pauseRequested(): boolean {
    return (Atomics.load(this.#words, FLAGS) & PAUSE) !== 0;
  }

  /** Undefined until somebody has said how large the console's window is. */
  get consoleSize(): ConsoleSize | undefined {
    const word = Atomics.load(this.#words, SIZE);
    return word === 0 ? undefined : { rows: word >>> 16, columns: word & 0xffff };
  }

  requestStop(bell: Doorbell): void {
    Atomics.or(this.#words, FLAGS, STOP);
    bell.ring();
  }

  requestPause(pause: boolean, bell: Doorbell): void {
    if (pause) Atomics.or(this.#words, FLAGS, PAUSE);
    else Atomics.and(this.#words, FLAGS, ~PAUSE);
    bell.ring();
  }

  /** Both from 1 to 65535. */
  setConsoleSize(size: ConsoleSize, bell: Doorbell): void {
    Atomics.store(this.#words, SIZE, (size.rows << 16) | size.columns);
    bell.ring();
  }
}
