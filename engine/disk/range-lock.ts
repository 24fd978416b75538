interface Entry {
  readonly start: number;
  readonly end: number;
  readonly exclusive: boolean;
  readonly finished: Promise<void>;
}

/**
 * Keeps requests that overlap in the order of submission: shared ones run together, an exclusive one alone on its
 * range. Requests elsewhere are not delayed, and a task that has to wait for nobody starts before `run` returns. Ranges
 * are not empty.
 */
export class RangeLock {
  // In the order of submission, running or waiting; as many as there are requests in flight, so a scan is cheap.
  readonly #entries = new Set<Entry>();

  /** Requests that run or wait. */
  get size(): number {
    return this.#entries.size;
  }

  async run<T>(start: number, length: number, mode: 'shared' | 'exclusive', task: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry: Entry = { start, end: start + length, exclusive: mode === 'exclusive', finished: promise };
    const before = [...this.#entries].filter(earlier => conflict(earlier, entry));
    this.#entries.add(entry);
    try {
      // Only earlier entries are waited for, so two can never wait for each other.
      for (const earlier of before) await earlier.finished;
      return await task();
    } finally {
      this.#entries.delete(entry);
      resolve();
    }
  }
}

function conflict(a: Entry, b: Entry): boolean {
  return (a.exclusive || b.exclusive) && a.start < b.end && b.start < a.end;
}
