// Order between asynchronous steps: one at a time, and "after all that runs now".

/** Runs steps one after the other. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();
  #steps = 0;

  /** Whether no step runs or waits: then a step that does not wait needs no turn. */
  get idle(): boolean {
    return this.#steps === 0;
  }

  run<Result>(step: () => Promise<Result>): Promise<Result> {
    this.#steps += 1;
    const result = this.#tail.then(step).finally(() => {
      this.#steps -= 1;
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

class Generation {
  running = 0;
  closed = false;
  drained!: () => void;
  readonly whenDrained = new Promise<void>(resolve => {
    this.drained = resolve;
  });
}

/**
 * Tells when every request that runs now has ended. A cluster that lost its last reference may still be the target of a
 * read or a write that looked it up before; it is given to someone else only after that.
 */
export class Grace {
  #current = new Generation();
  #earlier: Promise<void> = Promise.resolve();

  /** Runs a request; `failed` hears of its failure before anyone else does. */
  async during<Result>(step: () => Promise<Result>, failed?: (thrown: unknown) => Promise<void>): Promise<Result> {
    const generation = this.#current;
    generation.running += 1;
    try {
      return await step();
    } catch (thrown) {
      await failed?.(thrown);
      throw thrown;
    } finally {
      generation.running -= 1;
      if (generation.closed && generation.running === 0) generation.drained();
    }
  }

  /** Resolves when all requests have ended that run at the call. */
  settled(): Promise<void> {
    const generation = this.#current;
    this.#current = new Generation();
    generation.closed = true;
    if (generation.running === 0) generation.drained();
    this.#earlier = Promise.all([this.#earlier, generation.whenDrained]).then(() => undefined);
    return this.#earlier;
  }
}
