// What others change in a library appears by itself.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { FSWatcher } from 'chokidar';
import { SOCKET_FILE, SOCKET_PATH_FILE } from '../engines/control-address.ts';
import type { MachineEntry } from './entries.ts';
import { RECORD_FILE } from './record.ts';

export type LibraryChange =
  | { readonly kind: 'appeared' | 'changed'; readonly entry: MachineEntry }
  /** The folder is not there any more; `entry` is as it was last. */
  | { readonly kind: 'vanished'; readonly entry: MachineEntry }
  /** The whole library is gone, or came back. */
  | { readonly kind: 'library-vanished' | 'library-appeared' };

export interface WatchParts {
  readonly folder: string;
  /** All machines as they are now. */
  readonly list: () => Promise<readonly MachineEntry[]>;
  readonly onChange: (change: LibraryChange) => void;
  readonly onError: (thrown: unknown) => void;
}

/** What tells of a machine's state, beside its record: its process listens or not. */
const WATCHED = new Set([RECORD_FILE, SOCKET_FILE, SOCKET_PATH_FILE]);
/** Changes come in groups: a file is written, renamed, its folder too. */
const GROUP_MILLISECONDS = 50;

/** Nothing on disk tells what a machine's process does, or that it was killed: those that have one are asked. */
const ASK_MILLISECONDS = 1000;

/** Watches until it is closed. */
export class LibraryWatch {
  readonly #parts: WatchParts;
  readonly #known = new Map<string, { readonly entry: MachineEntry; readonly text: string }>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lookAt = 0;
  #reading = false;
  #again = false;
  #closed = false;
  #libraryThere = true;

  private constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** `before` is what the caller knows already; all else is announced as having appeared. */
  static async start(parts: WatchParts, before: readonly MachineEntry[]): Promise<LibraryWatch> {
    const watch = new LibraryWatch(parts);
    for (const entry of before) watch.#known.set(entry.folder, { entry, text: essence(entry) });
    watch.#libraryThere = await isThere(parts.folder);
    // Loaded only by those that watch.
    const { watch: watchFiles } = await import('chokidar');
    const watcher = watchFiles(parts.folder, {
      // The library, machines, and what is in them; disks and checkpoints change all the time and tell nothing.
      depth: 1,
      ignored: name => !watch.#isOfInterest(name),
      ignoreInitial: true,
      ignorePermissionErrors: true,
    });
    watch.#watcher = watcher;
    watcher.on('all', () => watch.refresh());
    watcher.on('error', thrown => parts.onError(thrown));
    await new Promise<void>(resolve => watcher.once('ready', () => resolve()));
    // Between the caller's look and now.
    watch.refresh();
    return watch;
  }

  /** Looks again soon; for those who know that something has changed. */
  refresh(): void {
    this.#lookIn(GROUP_MILLISECONDS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#watcher?.close();
  }

  /** The earlier of two times counts. */
  #lookIn(milliseconds: number): void {
    const at = performance.now() + milliseconds;
    if (this.#closed || (this.#timer !== undefined && this.#lookAt <= at)) return;
    clearTimeout(this.#timer);
    this.#lookAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#look();
    }, milliseconds);
  }

  #isOfInterest(name: string): boolean {
    const parts = path.relative(this.#parts.folder, name).split(path.sep);
    if (parts[0] === '' || parts[0] === '..') return true;
    if (parts[0]!.startsWith('.')) return false;
    return parts.length === 1 || (parts.length === 2 && WATCHED.has(parts[1]!));
  }

  async #look(): Promise<void> {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    try {
      const [entries, there] = [await this.#parts.list(), await isThere(this.#parts.folder)];
      // What was listed just before the library went is gone with it.
      if (!this.#closed) this.#compare(there ? entries : [], there);
    } catch (thrown) {
      if (!this.#closed) this.#parts.onError(thrown);
    } finally {
      this.#reading = false;
      if (this.#again) this.refresh();
      else if ([...this.#known.values()].some(({ entry }) => hasProcess(entry))) this.#lookIn(ASK_MILLISECONDS);
      this.#again = false;
    }
  }

  #compare(entries: readonly MachineEntry[], there: boolean): void {
    const { onChange } = this.#parts;
    if (there !== this.#libraryThere) onChange({ kind: there ? 'library-appeared' : 'library-vanished' });
    this.#libraryThere = there;
    const now = new Set(entries.map(({ folder }) => folder));
    for (const [folder, { entry }] of this.#known) {
      if (now.has(folder)) continue;
      this.#known.delete(folder);
      onChange({ kind: 'vanished', entry });
    }
    for (const entry of entries) {
      const before = this.#known.get(entry.folder);
      const text = essence(entry);
      if (before?.text === text) continue;
      this.#known.set(entry.folder, { entry, text });
      onChange({ kind: before === undefined ? 'appeared' : 'changed', entry });
    }
  }
}

/** What counts as a change; how many instructions a machine has run does not. */
function essence(entry: MachineEntry): string {
  if (entry.kind === 'broken') return JSON.stringify(entry);
  const { state, pid, pausedBy, error, position } = entry.status;
  return JSON.stringify({ ...entry, status: { state, pid, pausedBy, error, position } });
}

function hasProcess(entry: MachineEntry): boolean {
  return entry.kind === 'machine' && entry.status.pid !== 0;
}

async function isThere(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch {
    return false;
  }
}
