// What is typed and pasted, on its way to the machine: in order, in pieces, each sent when the machine's queue has taken
// the one before. So a paste of any size neither fills memory on the way nor loses a byte.

/** Small enough that stopping a paste stops it soon; large enough that a paste of a megabyte is 256 round trips. */
export const PIECE_BYTES = 4096;

export class InputQueue {
  readonly #send: (bytes: Uint8Array) => Promise<void>;
  readonly #changed: (waiting: number) => void;
  #pieces: Uint8Array[] = [];
  #waiting = 0;
  #sending = false;

  /** `changed` is told how many bytes wait, whenever that changes. */
  constructor(send: (bytes: Uint8Array) => Promise<void>, changed: (waiting: number) => void) {
    this.#send = send;
    this.#changed = changed;
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) this.#pieces.push(bytes.subarray(at, at + PIECE_BYTES));
    this.#count(bytes.length);
    if (!this.#sending) void this.#run();
  }

  /** Drops what has not been sent. */
  clear(): void {
    this.#pieces = [];
    this.#count(-this.#waiting);
  }

  async #run(): Promise<void> {
    this.#sending = true;
    try {
      for (let piece = this.#pieces.shift(); piece !== undefined; piece = this.#pieces.shift()) {
        await this.#send(piece);
        this.#count(-Math.min(piece.length, this.#waiting));
      }
    } catch {
      // The machine is off or out of reach, which the console says: nobody is there to type to.
      this.clear();
    } finally {
      this.#sending = false;
    }
  }

  #count(by: number): void {
    this.#waiting += by;
    this.#changed(this.#waiting);
  }
}
