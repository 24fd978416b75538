// One bound for all that open images keep of their metadata: a machine's chain may have hundreds of layers, and a cache of
// each would be of no harm alone.
import { METADATA_MEMORY_BYTES } from './limits.ts';

/** Something that keeps copies of what is in a file. */
export interface MemoryUser {
  /** Lets go of a piece that it has no need of now, and tells its bytes by `gave`. False when there is none. */
  relinquish(): boolean;
}

/**
 * Counts the bytes of its users, and asks them in turn to let go of some when there are too many. What may not be let go
 * of (it is dirty, or about to be looked at) is bounded by its users, and stays even beyond the limit.
 */
export class MetadataMemory {
  /** Bytes; a host with little memory may set less. */
  most: number;
  readonly #users = new Map<MemoryUser, number>();
  #bytes = 0;
  #shrinking = false;

  constructor(most = METADATA_MEMORY_BYTES) {
    this.most = most;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  took(user: MemoryUser, bytes: number): void {
    this.#users.set(user, (this.#users.get(user) ?? 0) + bytes);
    this.#bytes += bytes;
    if (this.#bytes <= this.most || this.#shrinking) return;
    this.#shrinking = true;
    // Not at once: who has looked at a slice may use it until it next waits.
    void Promise.resolve().then(() => this.#shrink());
  }

  gave(user: MemoryUser, bytes: number): void {
    const left = (this.#users.get(user) ?? 0) - bytes;
    if (left > 0) this.#users.set(user, left);
    else this.#users.delete(user);
    this.#bytes -= bytes;
  }

  #shrink(): void {
    this.#shrinking = false;
    for (let refusals = 0; this.#bytes > this.most && refusals < this.#users.size; ) {
      const [user, bytes] = this.#users.entries().next().value!;
      // To the end of the line, before it gives.
      this.#users.delete(user);
      this.#users.set(user, bytes);
      refusals = user.relinquish() ? 0 : refusals + 1;
    }
  }
}

/** Of all images that this process has open. */
export const sharedMemory = new MetadataMemory();
