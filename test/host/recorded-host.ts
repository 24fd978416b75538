// Records what this process does to files below one folder of the host, as the system calls go, and builds what a power
// cut may have left of it.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import type { Random } from '../contract/random.ts';

type Event =
  | { readonly kind: 'write'; readonly file: number; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly file: number; readonly size: number }
  /** Makes durable what the file's events before `from` did, or the names in a folder. */
  | { readonly kind: 'sync'; readonly file: number; readonly from: number }
  | { readonly kind: 'link'; readonly folder: number; readonly name: string; readonly child: number }
  | { readonly kind: 'unlink'; readonly folder: number; readonly name: string }
  | {
      readonly kind: 'rename';
      readonly from: number;
      readonly name: string;
      readonly folder: number;
      readonly to: string;
      readonly child: number;
    };

/**
 * What the host keeps of steps that were not yet made durable: all; nothing; names without what is in the files; any of
 * the names, in their order, and of the data.
 */
export type Kept = 'all' | 'nothing' | 'names' | 'some';

/** Of other processes and of this boot. */
const NOT_KEPT = /\.lock$|^control/;

interface Tree {
  readonly files: Map<number, Buffer>;
  readonly folders: Map<number, Map<string, number>>;
}

export class RecordedHost {
  readonly events: Event[] = [];
  readonly #root: string;
  readonly #start: Tree = { files: new Map(), folders: new Map() };
  /** As the names are now. */
  readonly #folders = new Map<number, Map<string, number>>();
  readonly #open = new Map<number, number>();
  #last = 0;
  #restore: () => void = () => undefined;

  /** Begins with what is there; nothing of it may be open for writing. */
  constructor(root: string) {
    this.#root = root;
    this.#scan(root);
    for (const [id, names] of this.#start.folders) this.#folders.set(id, new Map(names));
  }

  /** From here on until `stop` everything is recorded. One at a time in a process. */
  async begin(): Promise<void> {
    const handle = await fs.promises.open(this.#root, 'r');
    const restores = [
      this.#patch(Object.getPrototypeOf(handle), this.#handleCalls()),
      this.#patch(fs.promises, this.#promiseCalls()),
      this.#patch(fs, this.#plainCalls()),
    ];
    await handle.close();
    syncBuiltinESMExports();
    this.#restore = () => {
      for (const restore of restores) restore();
      syncBuiltinESMExports();
    };
  }

  stop(): void {
    this.#restore();
  }

  /**
   * Puts into an empty folder what is there after a cut behind the first `count` events; what it is made of, as text.
   * Without `syncs` as if nothing had been made durable since the record began.
   */
  afterCut(count: number, kept: Kept, random: Random, into: string, { syncs = true } = {}): string {
    const events = this.events.slice(0, count).filter(({ kind }) => syncs || kind !== 'sync');
    const durable = new Map<number, number>();
    for (const event of events) if (event.kind === 'sync') durable.set(event.file, event.from);
    const files = new Map<number, Buffer>([...this.#start.files].map(([id, bytes]) => [id, bytes]));
    const folders = new Map([...this.#start.folders].map(([id, names]) => [id, new Map(names)]));
    const unsure = events.findIndex((event, at) => 'folder' in event && at >= (durable.get(event.folder) ?? 0));
    const namesUntil = unsure < 0 ? events.length : unsure + random.below(events.length - unsure + 1);
    for (const [at, event] of events.entries()) {
      if (event.kind === 'sync') continue;
      const sure = at < (durable.get('file' in event ? event.file : event.folder) ?? 0);
      if ('folder' in event) {
        if (!sure && (kept === 'nothing' || (kept === 'some' && at >= namesUntil))) continue;
        changeName(folders, event);
      } else if (sure || kept === 'all' || (kept === 'some' && random.below(2) === 0)) {
        files.set(event.file, changed(files.get(event.file) ?? Buffer.alloc(0), event));
      }
    }
    return this.#put(into, 0, { files, folders });
  }

  #put(into: string, id: number, tree: Tree): string {
    const listed: string[] = [];
    for (const [name, child] of tree.folders.get(id) ?? []) {
      const at = path.join(into, name);
      if (tree.folders.has(child) || this.#folders.has(child)) {
        fs.mkdirSync(at);
        listed.push(`${name}/`, this.#put(at, child, tree), '/');
      } else {
        const bytes = tree.files.get(child) ?? Buffer.alloc(0);
        fs.writeFileSync(at, bytes);
        listed.push(name, fs.statSync(at).size.toString(), hashOf(bytes));
      }
    }
    return listed.join(' ');
  }

  #scan(folder: string): number {
    const id = this.#last++;
    const names = new Map<string, number>();
    this.#start.folders.set(id, names);
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const at = path.join(folder, entry.name);
      if (NOT_KEPT.test(entry.name)) continue;
      if (entry.isDirectory()) names.set(entry.name, this.#scan(at));
      else if (entry.isFile()) {
        names.set(entry.name, this.#last);
        this.#start.files.set(this.#last++, fs.readFileSync(at));
      }
    }
    return id;
  }

  /** Folder and name of a path, when it is one of ours. */
  #place(
    file: unknown,
  ): { readonly folder: number; readonly name: string; readonly child: number | undefined } | undefined {
    if (typeof file !== 'string') return undefined;
    const parts = path.relative(this.#root, path.resolve(file)).split(path.sep);
    if (parts[0] === '..' || parts.some(part => NOT_KEPT.test(part))) return undefined;
    if (parts[0] === '') return { folder: -1, name: '', child: 0 };
    const name = parts.pop()!;
    let folder: number | undefined = 0;
    for (const part of parts) folder = folder === undefined ? undefined : this.#folders.get(folder)?.get(part);
    if (folder === undefined) return undefined;
    return { folder, name, child: this.#folders.get(folder)?.get(name) };
  }

  #note(event: Event): void {
    this.events.push(event);
    if ('folder' in event) changeName(this.#folders, event);
  }

  #opened(file: unknown, descriptor: number, empties: boolean): void {
    const place = this.#place(file);
    this.#open.delete(descriptor);
    if (place === undefined) return;
    let { child } = place;
    if (child === undefined) {
      child = this.#last++;
      this.#note({ kind: 'link', folder: place.folder, name: place.name, child });
    } else if (empties) this.#note({ kind: 'truncate', file: child, size: 0 });
    this.#open.set(descriptor, child);
  }

  #written(descriptor: number, at: number, bytes: readonly Uint8Array[]): void {
    const file = this.#open.get(descriptor);
    if (file !== undefined) this.#note({ kind: 'write', file, at, bytes: Buffer.concat(bytes) });
  }

  #linked(file: unknown): void {
    const place = this.#place(file);
    if (place === undefined || place.child !== undefined) return;
    this.#note({ kind: 'link', folder: place.folder, name: place.name, child: this.#last++ });
    const child = this.#last - 1;
    if (fs.statSync(file as string).isDirectory()) this.#folders.set(child, new Map());
    else this.#note({ kind: 'write', file: child, at: 0, bytes: fs.readFileSync(file as string) });
  }

  #unlinked(file: unknown): void {
    const place = this.#place(file);
    if (place?.child !== undefined) this.#note({ kind: 'unlink', folder: place.folder, name: place.name });
  }

  #renamed(from: unknown, to: unknown): void {
    const [source, target] = [this.#place(from), this.#place(to)];
    if (source?.child === undefined || target === undefined) return;
    const { folder, name: newName } = target;
    this.#note({ kind: 'rename', from: source.folder, name: source.name, folder, to: newName, child: source.child });
  }

  #synced(descriptor: number, from: number): void {
    const file = this.#open.get(descriptor);
    if (file !== undefined) this.#note({ kind: 'sync', file, from });
  }

  #truncated(descriptor: number, size: number): void {
    const file = this.#open.get(descriptor);
    if (file !== undefined) this.#note({ kind: 'truncate', file, size });
  }

  #handleCalls(): Calls {
    const sync = (original: Call): Call => {
      const host = this;
      return async function (this: { fd: number }) {
        const from = host.events.length;
        await original.call(this);
        host.#synced(this.fd, from);
      };
    };
    const after =
      (note: (descriptor: number, words: HandleWords, result: { readonly bytesWritten: number }) => void) =>
      (original: Call): Call =>
        async function (this: { fd: number }, ...words: readonly unknown[]) {
          const { fd } = this;
          const result = await original.apply(this, [...words]);
          note(fd, words as HandleWords, result as { bytesWritten: number });
          return result;
        };
    return {
      sync,
      datasync: sync,
      write: after((fd, [content, offset, , at], { bytesWritten }) => {
        const from = (offset as number | undefined) ?? 0;
        this.#written(fd, (at as number | undefined) ?? 0, [(content as Buffer).subarray(from, from + bytesWritten)]);
      }),
      writev: after((fd, [buffers, at]) => this.#written(fd, (at as number | undefined) ?? 0, buffers as Uint8Array[])),
      writeFile: after((fd, [content]) => this.#written(fd, 0, [Buffer.from(content as string)])),
      truncate: after((fd, [size]) => this.#truncated(fd, (size as number | undefined) ?? 0)),
    };
  }

  #promiseCalls(): Calls {
    const after =
      (note: (words: readonly unknown[], result: unknown) => void) =>
      (original: Call): Call =>
      async (...words: readonly unknown[]) => {
        const result = await original.apply(fs.promises, [...words]);
        note(words, result);
        return result;
      };
    return {
      open: after(([file, flags], handle) => this.#opened(file, (handle as { fd: number }).fd, emptying(flags))),
      mkdir: after(([file]) => this.#linked(file)),
      copyFile: after(([, to]) => this.#linked(to)),
      rename: after(([from, to]) => this.#renamed(from, to)),
      rm: after(([file]) => this.#unlinked(file)),
    };
  }

  /** Callbacks and synchronous calls on descriptors, as disks use them. */
  #plainCalls(): Calls {
    const later =
      (note: (words: readonly unknown[], from: number) => void) =>
      (original: Call): Call =>
      (...words: readonly unknown[]) => {
        const from = this.events.length;
        const done = words.at(-1) as (error: unknown, ...rest: readonly unknown[]) => void;
        const called = (error: unknown, ...rest: readonly unknown[]) => {
          if (error === null) note(words, from);
          done(error, ...rest);
        };
        return original(...words.slice(0, -1), called);
      };
    const now =
      (note: (words: readonly unknown[], result: unknown) => void) =>
      (original: Call): Call =>
      (...words: readonly unknown[]) => {
        const result = original(...words);
        note(words, result);
        return result;
      };
    const one = ([fd, buffer, offset, length, at]: readonly unknown[]) => {
      const begin = Number(offset ?? 0);
      const bytes = (buffer as Uint8Array).subarray(begin, begin + Number(length));
      this.#written(fd as number, Number(at ?? 0), [bytes]);
    };
    const many = ([fd, buffers, at]: readonly unknown[]) =>
      this.#written(fd as number, Number(at ?? 0), buffers as Uint8Array[]);
    return {
      write: later(one),
      writev: later(many),
      writeSync: now(one),
      writevSync: now(many),
      ftruncate: later(([fd, size]) => this.#truncated(fd as number, size as number)),
      fdatasync: later(([fd], from) => this.#synced(fd as number, from)),
      openSync: now(([file, flags], descriptor) => this.#opened(file, descriptor as number, emptying(flags))),
      unlinkSync: now(([file]) => this.#unlinked(file)),
      rmSync: now(([file]) => this.#unlinked(file)),
    };
  }

  #patch(object: object, calls: Calls): () => void {
    const methods = object as Record<string, Call>;
    const originals = Object.keys(calls).map(name => [name, methods[name]!] as const);
    for (const [name, original] of originals) methods[name] = calls[name]!(original);
    return () => {
      for (const [name, original] of originals) methods[name] = original;
    };
  }
}

type Call = (...words: readonly unknown[]) => unknown;
/** What a method of a file handle was called with. */
type HandleWords = readonly unknown[];
type Calls = Readonly<Record<string, (original: Call) => Call>>;

function changeName(folders: Map<number, Map<string, number>>, event: Extract<Event, { folder: number }>): void {
  const names = (id: number) => {
    const found = folders.get(id) ?? new Map<string, number>();
    folders.set(id, found);
    return found;
  };
  if (event.kind === 'link') names(event.folder).set(event.name, event.child);
  else if (event.kind === 'unlink') names(event.folder).delete(event.name);
  else {
    names(event.from).delete(event.name);
    names(event.folder).set(event.to, event.child);
  }
}

function changed(before: Buffer, event: Extract<Event, { kind: 'write' | 'truncate' }>): Buffer {
  const size = event.kind === 'truncate' ? event.size : Math.max(before.length, event.at + event.bytes.length);
  const after = Buffer.alloc(size);
  before.copy(after);
  if (event.kind === 'write') event.bytes.copy(after, event.at);
  return after;
}

function emptying(flags: unknown): boolean {
  if (typeof flags === 'string') return flags.startsWith('w');
  return typeof flags === 'number' && (flags & fs.constants.O_TRUNC) !== 0;
}

function hashOf(bytes: Buffer): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return (hash >>> 0).toString(16);
}
