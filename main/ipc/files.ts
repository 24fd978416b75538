// Files that pages know by token. A token is given out for a path that the user chose, and for nothing else.
import { randomBytes } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { hostError } from '../../engine/base/host-errors.ts';
import { type ChosenFile, fileKind } from '../../preload/contract/files.ts';

/** More than a person drops; a page that is out of hand loses the oldest. */
const MOST_TOKENS = 1000;

interface Entry {
  readonly path: string;
  readonly chosen: ChosenFile;
  /** An upload: the file is ours and goes with its token. */
  readonly owned: boolean;
}

export class FileTokens {
  readonly #entries = new Map<string, Entry>();

  async add(file: string, options: { readonly owned?: boolean; readonly name?: string } = {}): Promise<ChosenFile> {
    let facts: Awaited<ReturnType<typeof stat>>;
    try {
      facts = await stat(file);
    } catch (thrown) {
      throw hostError(thrown, file, 'look at');
    }
    if (facts.isDirectory()) throw new AfterimageError('usage', 'This is a folder, not a file', { file });
    const token = `file-${randomBytes(16).toString('hex')}`;
    const name = options.name ?? path.basename(file);
    const chosen: ChosenFile = { token, name, bytes: facts.size, kind: fileKind(name) };
    this.#entries.set(token, { path: path.resolve(file), chosen, owned: options.owned === true });
    if (this.#entries.size > MOST_TOKENS) await this.release(this.#entries.keys().next().value!);
    return chosen;
  }

  /** Throws `missing` for a token that was never given, or was released. */
  path(token: string): string {
    return this.#entry(token).path;
  }

  /** For people: an upload by the name that its user knows, not by that of our temporary file. */
  shown(text: string): string {
    let shown = text;
    for (const { path: file, chosen, owned } of this.#entries.values()) {
      if (owned) shown = shown.replaceAll(file, () => chosen.name);
    }
    return shown;
  }

  describe(token: string): ChosenFile {
    return this.#entry(token).chosen;
  }

  async release(token: string): Promise<void> {
    const entry = this.#entries.get(token);
    this.#entries.delete(token);
    if (entry?.owned) await rm(entry.path, { force: true });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map(token => this.release(token)));
  }

  #entry(token: string): Entry {
    const entry = this.#entries.get(token);
    if (entry === undefined) throw new AfterimageError('missing', 'The file was chosen too long ago; choose it again');
    return entry;
  }
}
