import type { Writable } from 'node:stream';

export interface SinkHandlers {
  /** So many bytes have left for the terminal, file or pipe. */
  taken(count: number): void;
  /** Nobody reads any more, or the file cannot be written. */
  broken(error: NodeJS.ErrnoException): void;
}

/** Console output on its way to a stream, unaltered; it is acknowledged when the stream has passed it on. */
export class ConsoleSink {
  readonly #stream: Writable;
  readonly #handlers: SinkHandlers;
  #bytes = 0;
  #pending = 0;
  #broken = false;
  readonly #whenFlushed: (() => void)[] = [];

  constructor(stream: Writable, handlers: SinkHandlers) {
    this.#stream = stream;
    this.#handlers = handlers;
    stream.on('error', error => this.#break(error));
  }

  /** Bytes of console output so far. */
  get bytes(): number {
    return this.#bytes;
  }

  write(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    this.#pending += 1;
    this.#stream.write(bytes, error => {
      this.#pending -= 1;
      if (error) this.#break(error);
      else this.#handlers.taken(bytes.length);
      if (this.#pending === 0) this.#flushed();
    });
  }

  /** Resolves when all that was written has been passed on, or never will be. */
  async flushed(): Promise<void> {
    if (this.#pending === 0 || this.#broken) return;
    await new Promise<void>(resolve => this.#whenFlushed.push(resolve));
  }

  #flushed(): void {
    for (const resolve of this.#whenFlushed.splice(0)) resolve();
  }

  #break(error: NodeJS.ErrnoException): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#flushed();
    this.#handlers.broken(error);
  }
}
