// A request's data as a list of byte runs, in order: what scattered guest memory looks like to a disk.

export function totalLength(buffers: readonly Uint8Array[]): number {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  return total;
}

/** Views of `length` bytes from byte `start` on. The range must lie within the buffers. */
export function sliceBuffers(buffers: readonly Uint8Array[], start: number, length: number): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let skip = start;
  let left = length;
  for (const buffer of buffers) {
    if (left === 0) break;
    if (skip >= buffer.length) {
      skip -= buffer.length;
      continue;
    }
    const slice = buffer.subarray(skip, skip + left);
    slices.push(slice);
    left -= slice.length;
    skip = 0;
  }
  return slices;
}

/** Copies `from` to the bytes of `buffers` at `start`. */
export function scatter(buffers: readonly Uint8Array[], start: number, from: Uint8Array): void {
  let done = 0;
  for (const slice of sliceBuffers(buffers, start, from.length)) {
    slice.set(from.subarray(done, done + slice.length));
    done += slice.length;
  }
}

/** Fills `into` from the bytes of `buffers` at `start`. */
export function gather(buffers: readonly Uint8Array[], start: number, into: Uint8Array): void {
  let done = 0;
  for (const slice of sliceBuffers(buffers, start, into.length)) {
    into.set(slice, done);
    done += slice.length;
  }
}

/**
 * Buffers that are used again and again: a new one of a MiB costs more than copying what goes through it, because the
 * host makes its pages only when they are touched.
 */
export class BufferPool {
  readonly #size: number;
  readonly #free: Uint8Array[] = [];

  /** @param size Bytes of each buffer; longer ones are made and not kept. */
  constructor(size: number) {
    this.#size = size;
  }

  /** Lends a buffer of `length` bytes, with any content, until the step has ended. */
  async lend<Result>(length: number, step: (bytes: Uint8Array) => Promise<Result>): Promise<Result> {
    if (length > this.#size) return await step(new Uint8Array(length));
    const whole = this.#free.pop() ?? new Uint8Array(this.#size);
    try {
      return await step(length === whole.length ? whole : whole.subarray(0, length));
    } finally {
      this.#free.push(whole);
    }
  }
}
