import { INPUT_WINDOW } from '../../engine/api/messages.ts';

/** What a feed needs of a stream of bytes. */
export interface PausableSource {
  pause(): unknown;
  resume(): unknown;
}

export interface FeedParts {
  /** The stream to hold back; its bytes come by `write`. */
  readonly source: PausableSource;
  /** Bytes that may wait here before the source is held back. */
  readonly spare: number;
  readonly send: (bytes: Uint8Array) => void;
}

/**
 * Console input on its way to the engine: sends what the engine's window allows, keeps the rest, and holds the source
 * back while the rest is large.
 */
export class ConsoleFeed {
  readonly #parts: FeedParts;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #unaccepted = 0;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#flush();
    if (this.#waitingBytes > this.#parts.spare) this.#parts.source.pause();
  }

  /** The engine has accepted so many more bytes. */
  accepted(count: number): void {
    this.#unaccepted -= count;
    this.#flush();
    if (this.#waitingBytes <= this.#parts.spare) this.#parts.source.resume();
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#unaccepted < INPUT_WINDOW) {
      const first = this.#waiting[0]!;
      const now = first.subarray(0, INPUT_WINDOW - this.#unaccepted);
      if (now.length < first.length) this.#waiting[0] = first.subarray(now.length);
      else this.#waiting.shift();
      this.#waitingBytes -= now.length;
      this.#unaccepted += now.length;
      this.#parts.send(now);
    }
  }
}
