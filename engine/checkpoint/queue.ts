/** Runs tasks one after the other, in the order of the calls. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  get busy(): boolean {
    return this.#count > 0;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    this.#count += 1;
    const mine = this.#last.then(task);
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.#count -= 1;
    }
  }
}
