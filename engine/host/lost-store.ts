import { AfterimageError } from '../base/errors.ts';
import type { Hex } from '../checkpoint/format.ts';
import type { CheckpointStore, StoreDraft, StoredCheckpoint } from '../checkpoint/store.ts';
import type { HostFile } from '../disk/disk.ts';

/**
 * A store whose medium is not there, or not usable, now: its checkpoints stay listed and can be forgotten, everything
 * else goes on without them. Each use looks whether the medium has come back.
 */
export class LostStore implements CheckpointStore {
  /** What is on it is not gone with the process. */
  readonly durable = true;
  readonly lost = true;
  readonly #medium: string;
  readonly #find: () => Promise<CheckpointStore>;

  /** @param find opens the medium and puts its store in this one's place; throws when it is still not usable */
  constructor(medium: string, find: () => Promise<CheckpointStore>) {
    this.#medium = medium;
    this.#find = find;
  }

  async begin(id: Hex): Promise<StoreDraft> {
    return await (await this.#found()).begin(id);
  }

  async open(id: Hex): Promise<HostFile> {
    return await (await this.#found()).open(id);
  }

  async list(): Promise<readonly StoredCheckpoint[]> {
    return [];
  }

  /** Forgets it; what the medium has of it is an orphan there when it comes back. */
  async remove(): Promise<void> {}

  async sweep(): Promise<number> {
    return 0;
  }

  async #found(): Promise<CheckpointStore> {
    try {
      return await this.#find();
    } catch (thrown) {
      const cause = AfterimageError.from(thrown);
      throw new AfterimageError(
        'missing',
        'The raw medium of a checkpoint is not there or not usable; bring it back, or delete the checkpoint',
        { path: this.#medium, reason: cause.message },
        { cause },
      );
    }
  }
}
