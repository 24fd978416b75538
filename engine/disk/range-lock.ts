/** A request that runs or waits, in the list of all in the order of submission. */
class Entry {
  readonly start: number;
  readonly end: number;
  readonly exclusive: boolean;
  next: Entry | undefined;
  previous: Entry | undefined;
  #whenFinished: (() => void)[] | undefined;

  constructor(start: number, end: number, exclusive: boolean) {
    this.start = start;
    this.end = end;
    this.exclusive = exclusive;
  }

  conflictsWith(other: Entry): boolean {
    return (this.exclusive || other.exclusive) && this.start < other.end && other.start < this.end;
  }

  finished(): Promise<void> {
    return new Promise(resolve => {
      this.#whenFinished ??= [];
      this.#whenFinished.push(resolve);
    });
  }

  finish(): void {
    for (const resolve of this.#whenFinished ?? []) resolve();
  }
}

/** A range that is held without a task. */
export interface HeldRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Keeps requests that overlap in the order of submission: shared ones run together, an exclusive one alone on its
 * range. Requests elsewhere are not delayed, and a task that has to wait for nobody starts before `run` returns. Ranges
 * are not empty.
 */
export class RangeLock {
  // As many as there are requests in flight, so a scan is cheap.
  #first: Entry | undefined;
  #last: Entry | undefined;
  #size = 0;

  /** Requests that run or wait. */
  get size(): number {
    return this.#size;
  }

  /** Whether an exclusive task on the range would start at once. */
  isFree(start: number, length: number): boolean {
    const end = start + length;
    for (let other = this.#first; other !== undefined; other = other.next) {
      if (start < other.end && other.start < end) return false;
    }
    return true;
  }

  /** Takes a free range exclusively until the entry is given to `giveBack`; undefined when it is not free. */
  take(start: number, length: number): HeldRange | undefined {
    if (!this.isFree(start, length)) return undefined;
    const entry = new Entry(start, start + length, true);
    this.#add(entry);
    return entry;
  }

  giveBack(held: HeldRange): void {
    this.#remove(held as Entry);
  }

  run<T>(start: number, length: number, mode: 'shared' | 'exclusive', task: () => Promise<T>): Promise<T> {
    const entry = new Entry(start, start + length, mode === 'exclusive');
    let before: Entry[] | undefined;
    for (let other = this.#first; other !== undefined; other = other.next) {
      if (!other.conflictsWith(entry)) continue;
      if (before === undefined) before = [other];
      else before.push(other);
    }
    this.#add(entry);
    return before === undefined ? this.#run(entry, task) : this.#runAfter(before, entry, task);
  }

  async #run<T>(entry: Entry, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } finally {
      this.#remove(entry);
    }
  }

  async #runAfter<T>(before: readonly Entry[], entry: Entry, task: () => Promise<T>): Promise<T> {
    // Only earlier entries are waited for, so two can never wait for each other.
    await Promise.all(before.map(earlier => earlier.finished()));
    return await this.#run(entry, task);
  }

  #add(entry: Entry): void {
    entry.previous = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.#size += 1;
  }

  #remove(entry: Entry): void {
    if (entry.previous === undefined) this.#first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.#last = entry.previous;
    else entry.next.previous = entry.previous;
    this.#size -= 1;
    entry.finish();
  }
}
