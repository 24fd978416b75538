// Gives a terminal a flood in portions that leave each frame the time to be drawn. What comes after a rest goes through at
// once: only from the second portion of a frame on is anything held back, until the next frame.

/** What the time is taken from; the window's own, but for tests. */
export interface PacerClock {
  /** Milliseconds. */
  readonly now: () => number;
  /** Calls before the next frame is drawn. */
  readonly onFrame: (call: () => void) => void;
  /** No frames are drawn: there is nothing to leave time for. */
  readonly hidden: () => boolean;
}

/** Takes bytes; calls back when it has parsed them. */
export type PacedWrite = (bytes: Uint8Array, parsed: () => void) => void;

/** Frames that take longer have something to wait for; those that are shorter leave room. Milliseconds. */
const LONG_FRAME = 36;
const SHORT_FRAME = 26;
/** Parsing in one frame, milliseconds: begins in the middle. */
const LEAST = 2;
const MOST = 14;
const FIRST = 8;
/** Bytes per millisecond that a slow computer parses, until it has been measured. */
const FIRST_SPEED = 8 * 1024;
/** Smaller portions say more about timers than about parsing. */
const MEASURED_FROM = 16 * 1024;
/** Weight of the latest measurement. */
const LATEST = 0.2;
/** Half of what the host sends ahead: while one is parsed the next is on its way. */
const LARGEST_PORTION = 256 * 1024;
const SMALLEST_PORTION = 4 * 1024;
const NOTHING = new Uint8Array();

export class OutputPacer {
  readonly #write: PacedWrite;
  readonly #taken: (count: number) => void;
  readonly #clock: PacerClock;
  #waiting: Uint8Array[] = [];
  #milliseconds = FIRST;
  #speed = FIRST_SPEED;
  /** Bytes that this frame may still have. */
  #left = FIRST * FIRST_SPEED;
  #asked = false;
  #lastFrame: number | undefined;
  #disposed = false;

  constructor(write: PacedWrite, taken: (count: number) => void, clock: PacerClock) {
    this.#write = write;
    this.#taken = taken;
    this.#clock = clock;
  }

  /** Bytes that have not been given to the terminal yet. */
  get waiting(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  add(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#flow();
  }

  /** Frames are not drawn any more, or again. */
  visibilityChanged(): void {
    this.#lastFrame = undefined;
    this.#flow();
  }

  dispose(): void {
    this.#disposed = true;
    this.#waiting = [];
  }

  #flow(): void {
    const free = this.#clock.hidden();
    for (let first = this.#waiting[0]; first !== undefined && (free || this.#left > 0); first = this.#waiting[0]) {
      const portion = free ? first : first.subarray(0, this.#left);
      if (portion.length === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(portion.length);
      this.#left -= portion.length;
      this.#give(portion);
    }
    if (!free && !this.#disposed) this.#askForFrame();
  }

  #give(portion: Uint8Array): void {
    if (portion.length < MEASURED_FROM) {
      this.#write(portion, () => this.#taken(portion.length));
      return;
    }
    let begun = 0;
    this.#write(NOTHING, () => {
      begun = this.#clock.now();
    });
    this.#write(portion, () => {
      const took = Math.max(0.1, this.#clock.now() - begun);
      this.#speed += LATEST * (portion.length / took - this.#speed);
      this.#taken(portion.length);
    });
  }

  #askForFrame(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#clock.onFrame(() => this.#newFrame());
  }

  #newFrame(): void {
    this.#asked = false;
    if (this.#disposed) return;
    const now = this.#clock.now();
    const whole = this.#portion;
    const busy = this.#left < whole / 2;
    if (busy && this.#lastFrame !== undefined) this.#adapt(now - this.#lastFrame);
    const used = this.#left < whole;
    this.#left = this.#portion;
    // After a frame in which nothing came there is nothing to measure the next one from.
    this.#lastFrame = used ? now : undefined;
    if (this.#waiting.length > 0) this.#flow();
    else if (used) this.#askForFrame();
  }

  #adapt(frame: number): void {
    if (frame > LONG_FRAME) this.#milliseconds = Math.max(LEAST, this.#milliseconds * 0.8);
    else if (frame < SHORT_FRAME) this.#milliseconds = Math.min(MOST, this.#milliseconds + 0.5);
  }

  get #portion(): number {
    const bytes = Math.round(this.#milliseconds * this.#speed);
    return Math.min(LARGEST_PORTION, Math.max(SMALLEST_PORTION, bytes));
  }
}
