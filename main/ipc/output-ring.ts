// The end of a stream of bytes, addressed by how many came before.

export class OutputRing {
  readonly #capacity: number;
  readonly #chunks: Uint8Array[] = [];
  #start = 0;
  #end = 0;

  /** Keeps at least the last `capacity` bytes, and less than one chunk more. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Position of the oldest byte that is there. */
  get start(): number {
    return this.#start;
  }

  /** Bytes that ever came. */
  get end(): number {
    return this.#end;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#end += bytes.length;
    while (this.#chunks.length > 1 && this.#end - this.#start - this.#chunks[0]!.length >= this.#capacity) {
      this.#start += this.#chunks.shift()!.length;
    }
  }

  /** Bytes from a position on, at most `most`; the position must be within the ring. */
  read(position: number, most: number): Uint8Array {
    let at = this.#start;
    for (const chunk of this.#chunks) {
      if (position < at + chunk.length) return chunk.subarray(position - at, position - at + most);
      at += chunk.length;
    }
    return new Uint8Array(0);
  }
}
