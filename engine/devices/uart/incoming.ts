import type { ConsolePort } from '../console-port.ts';

/** Bytes from the port in the order they came. Taking one is a load and an addition. */
export class Incoming {
  readonly #port: ConsolePort;
  readonly #bytes: Uint8Array;
  #head = 0;
  #tail = 0;

  constructor(port: ConsolePort, capacity: number) {
    this.#port = port;
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#tail - this.#head;
  }

  /** The oldest byte; only to be called when there is one. */
  take(): number {
    const byte = this.#bytes[this.#head]!;
    this.#head += 1;
    return byte;
  }

  /** Takes from the port what fits, if fewer than `enough` bytes are here. */
  fetch(enough: number): void {
    if (this.#tail - this.#head >= enough || this.#port.available === 0) return;
    this.#bytes.copyWithin(0, this.#head, this.#tail);
    this.#tail -= this.#head;
    this.#head = 0;
    this.#tail += this.#port.read(this.#bytes.subarray(this.#tail));
  }

  save(): Uint8Array {
    return this.#bytes.slice(this.#head, this.#tail);
  }

  restore(bytes: Uint8Array): void {
    this.#bytes.set(bytes);
    this.#head = 0;
    this.#tail = bytes.length;
  }
}
