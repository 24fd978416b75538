import type { ConsolePort } from '../console-port.ts';

/** Bytes on their way to the port, handed over in bulk. */
export class Outgoing {
  readonly #port: ConsolePort;
  readonly #bytes: Uint8Array;
  #length = 0;

  constructor(port: ConsolePort, capacity: number) {
    this.#port = port;
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get room(): number {
    return this.#bytes.length - this.#length;
  }

  /** False when there is no room: the byte is gone. */
  put(byte: number): boolean {
    if (this.#length === this.#bytes.length) return false;
    this.#bytes[this.#length] = byte;
    this.#length += 1;
    return true;
  }

  flush(): void {
    if (this.#length === 0) return;
    const taken = this.#port.write(this.#bytes.subarray(0, this.#length));
    this.#bytes.copyWithin(0, taken, this.#length);
    this.#length -= taken;
  }

  save(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  restore(bytes: Uint8Array): void {
    this.#bytes.set(bytes);
    this.#length = bytes.length;
  }
}
