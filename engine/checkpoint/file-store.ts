import { AfterimageError } from '../base/errors.ts';
import type { Folder } from './folder.ts';
import { type Hex, isIdentity } from './format.ts';
import type { CheckpointStore, StoreDraft, StoredCheckpoint } from './store.ts';

const SUFFIX = '.checkpoint';
const PARTIAL = '.partial';

/** Checkpoints as files `ID.checkpoint` of a folder. */
export class FileStore implements CheckpointStore {
  readonly durable = true;
  readonly #folder: Folder;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  async begin(id: Hex): Promise<StoreDraft> {
    const folder = this.#folder;
    const name = nameOf(id);
    const partial = name + PARTIAL;
    const file = await folder.create(partial);
    let open = true;
    const close = async () => {
      if (!open) return;
      open = false;
      await file.close();
    };
    return {
      file,
      async complete() {
        await file.flush();
        await close();
        await folder.rename(partial, name);
        await folder.flush();
      },
      async abort() {
        // What cannot be removed now is removed by the next sweep; the reason for giving up matters more.
        await close().catch(() => undefined);
        await folder.remove(partial).catch(() => undefined);
      },
    };
  }

  open(id: Hex) {
    return this.#folder.open(nameOf(id));
  }

  async list(): Promise<StoredCheckpoint[]> {
    const files = await this.#folder.list();
    return files
      .filter(({ name }) => name.endsWith(SUFFIX) && isIdentity(name.slice(0, -SUFFIX.length)))
      .map(({ name, bytes }) => ({ id: name.slice(0, -SUFFIX.length), bytes }));
  }

  async remove(id: Hex): Promise<void> {
    try {
      await this.#folder.remove(nameOf(id));
    } catch (thrown) {
      if (!(thrown instanceof AfterimageError) || thrown.kind !== 'missing') throw thrown;
    }
    await this.#folder.flush();
  }

  async sweep(): Promise<number> {
    let freed = 0;
    for (const { name, bytes } of await this.#folder.list()) {
      if (!name.endsWith(SUFFIX + PARTIAL)) continue;
      await this.#folder.remove(name);
      freed += bytes;
    }
    if (freed > 0) await this.#folder.flush();
    return freed;
  }
}

function nameOf(id: Hex): string {
  if (!isIdentity(id)) throw new AfterimageError('usage', 'Not the identity of a checkpoint', { id });
  return id + SUFFIX;
}
