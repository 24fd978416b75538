import { AfterimageError } from '../../engine/base/errors.ts';
import type { Folder } from '../../engine/disk/chain/folder.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';

/** A file's content, whatever its names and whoever has it open. */
export interface Inode {
  readonly number: number;
  readonly file: MemoryFile;
}

export type FileWrapper = (file: HostFile, inode: Inode) => HostFile;

/** What tests do with a folder behind the back of who uses it. */
export interface TestFolder extends Folder {
  /** Names of all files. */
  readonly paths: readonly string[];
  /** Files that are open, as far as it knows. */
  readonly opened: number;
  add(path: string, content: Uint8Array): unknown;
  drop(path: string): void;
  content(path: string): Uint8Array;
  /** The same files in a folder of their own, none of them open: what a crash leaves when all writes are there. */
  copy(): TestFolder;
}

/** A folder in memory. Files keep their content over close and open; `wrap` puts faults or delays around each. */
export class MemoryFolder implements TestFolder {
  readonly names = new Map<string, Inode>();
  readonly #wrap: FileWrapper;
  #next = 1;
  /** Files that are open. */
  opened = 0;

  constructor(wrap: FileWrapper = file => file) {
    this.#wrap = wrap;
  }

  add(path: string, content: Uint8Array): Inode {
    const inode = { number: this.#next, file: new MemoryFile(path, content) };
    this.#next += 1;
    this.names.set(path, inode);
    return inode;
  }

  get paths(): string[] {
    return [...this.names.keys()];
  }

  drop(path: string): void {
    this.names.delete(path);
  }

  copy(): MemoryFolder {
    const folder = new MemoryFolder(this.#wrap);
    for (const [name, { file }] of this.names) folder.add(name, file.content());
    return folder;
  }

  content(path: string): Uint8Array {
    return this.inode(path).file.content();
  }

  inode(path: string): Inode {
    const inode = this.names.get(path);
    if (inode === undefined) throw new AfterimageError('missing', 'The file does not exist', { path });
    return inode;
  }

  async open(path: string, access: 'read' | 'write'): Promise<HostFile> {
    const inode = this.inode(path);
    this.opened += 1;
    const closed = () => {
      this.opened -= 1;
    };
    return this.#wrap(new OpenFile(path, inode.file, access === 'read', closed), inode);
  }

  async glance(path: string): Promise<HostFile> {
    return await this.open(path, 'read');
  }

  async create(path: string): Promise<HostFile> {
    if (this.names.has(path)) throw new AfterimageError('state', 'The file exists already', { path });
    this.add(path, new Uint8Array());
    return await this.open(path, 'write');
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.inode(from);
    this.names.delete(from);
    this.names.set(to, inode);
  }

  async remove(path: string): Promise<void> {
    this.names.delete(path);
  }

  async exists(path: string): Promise<boolean> {
    return this.names.has(path);
  }

  async list(under: string): Promise<string[]> {
    const start = under === '' ? '' : `${under}/`;
    return [...this.names.keys()].filter(name => name.startsWith(start) && !name.slice(start.length).includes('/'));
  }

  async flush(): Promise<void> {}

  async identity(path: string): Promise<string> {
    return String(this.inode(path).number);
  }

  async allocatedBytes(path: string): Promise<number> {
    return await this.inode(path).file.size();
  }

  async clone(_from: string, _to: string): Promise<boolean> {
    return false;
  }
}

/** One opening of a file; closing it leaves the content. */
class OpenFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  readonly #file: MemoryFile;
  readonly #closed: () => void;
  #open = true;

  constructor(name: string, file: MemoryFile, readonly: boolean, closed: () => void) {
    this.name = name;
    this.#file = file;
    this.readonly = readonly;
    this.#closed = closed;
  }

  async size(): Promise<number> {
    return await this.#check(false).size();
  }

  async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    await this.#check(false).read(at, into);
  }

  async write(at: number, from: readonly Uint8Array[]): Promise<void> {
    await this.#check(true).write(at, from);
  }

  async flush(): Promise<void> {
    await this.#check(false).flush();
  }

  async truncate(size: number): Promise<void> {
    await this.#check(true).truncate(size);
  }

  async close(): Promise<void> {
    if (this.#open) this.#closed();
    this.#open = false;
  }

  #check(changes: boolean): MemoryFile {
    if (!this.#open) throw new AfterimageError('state', 'File is closed', { file: this.name });
    if (changes && this.readonly) throw new AfterimageError('denied', 'File is read-only', { file: this.name });
    return this.#file;
  }
}
