import type { HostFile } from '../../engine/disk/disk.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { type Inode, MemoryFolder } from './memory-folder.ts';
import type { Random } from './qcow2/images.ts';

const SECTOR = 512;

type Event =
  | { readonly kind: 'write'; readonly inode: number; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly inode: number; readonly size: number }
  /** Makes durable what the file's events before `from` did. */
  | { readonly kind: 'flush'; readonly inode: number; readonly from: number }
  | { readonly kind: 'name'; readonly name: string; readonly inode: number | undefined }
  | { readonly kind: 'flush names'; readonly from: number }
  /** Something durable of the test's own. */
  | { readonly kind: 'note'; readonly note: string };

/** A folder in memory that remembers all that happens to it, and can tell what a power cut may have left. */
export class RecordingFolder extends MemoryFolder {
  readonly events: Event[] = [];
  readonly #start: ReadonlyMap<string, { readonly inode: number; readonly content: Uint8Array }>;

  /** Begins with copies of another folder's files. */
  constructor(from: MemoryFolder) {
    super((file, inode) => this.#recorded(file, inode));
    for (const [name, inode] of from.names) this.add(name, inode.file.content());
    this.#start = new Map(
      [...this.names].map(([name, { number, file }]) => [name, { inode: number, content: file.content() }]),
    );
  }

  note(note: string): void {
    this.events.push({ kind: 'note', note });
  }

  #recorded(file: HostFile, { number: inode }: Inode): HostFile {
    const { events } = this;
    return {
      name: file.name,
      readonly: file.readonly,
      size: () => file.size(),
      read: (at, into) => file.read(at, into),
      close: () => file.close(),
      write: async (at, from) => {
        const bytes = Buffer.concat(from);
        await file.write(at, [bytes]);
        events.push({ kind: 'write', inode, at, bytes });
      },
      truncate: async size => {
        await file.truncate(size);
        events.push({ kind: 'truncate', inode, size });
      },
      flush: async () => {
        const from = events.length;
        await file.flush();
        events.push({ kind: 'flush', inode, from });
      },
    };
  }

  override async create(path: string): Promise<HostFile> {
    const file = await super.create(path);
    this.events.push({ kind: 'name', name: path, inode: this.inode(path).number });
    return file;
  }

  override async rename(from: string, to: string): Promise<void> {
    await super.rename(from, to);
    this.events.push(
      { kind: 'name', name: to, inode: this.inode(to).number },
      { kind: 'name', name: from, inode: undefined },
    );
  }

  override async remove(path: string): Promise<void> {
    await super.remove(path);
    this.events.push({ kind: 'name', name: path, inode: undefined });
  }

  override async flush(): Promise<void> {
    this.events.push({ kind: 'flush names', from: this.events.length });
  }

  /** The folder after a cut behind the first `cut` events, and the last note before it. */
  afterCut(cut: number, random: Random): { folder: MemoryFolder; note: string | undefined } {
    const events = this.events.slice(0, cut);
    const durable = new Map<number, number>();
    let namesDurable = 0;
    for (const event of events) {
      if (event.kind === 'flush') durable.set(event.inode, event.from);
      else if (event.kind === 'flush names') namesDurable = event.from;
    }
    const files = new Map<number, MemoryFile>();
    const names = new Map<string, number>();
    for (const [name, { inode, content }] of this.#start) {
      files.set(inode, new MemoryFile(name, content));
      names.set(name, inode);
    }
    // Names reach the host's disk in their order, as far as they do; data in any.
    const namesUntil = namesDurable + random.below(events.length - namesDurable + 1);
    const habit = random.below(3);
    let note: string | undefined;
    for (const [index, event] of events.entries()) {
      if (event.kind === 'note') note = event.note;
      else if (event.kind === 'name' && index < namesUntil) {
        if (event.inode === undefined) names.delete(event.name);
        else names.set(event.name, event.inode);
      } else if (event.kind === 'write' || event.kind === 'truncate') {
        const file = files.get(event.inode) ?? new MemoryFile('new');
        files.set(event.inode, file);
        const sure = index < (durable.get(event.inode) ?? 0);
        if (event.kind === 'truncate') {
          if (sure || random.below(2) === 0) void file.truncate(event.size);
        } else if (sure || habit === 0) void file.write(event.at, [event.bytes]);
        else if (habit === 1) writeTorn(file, event.at, event.bytes, random);
        else if (random.below(4) === 0) void file.write(event.at, [event.bytes]);
      }
    }
    const folder = new MemoryFolder();
    for (const [name, inode] of names) folder.add(name, files.get(inode)?.content() ?? new Uint8Array());
    return { folder, note };
  }
}

function writeTorn(file: MemoryFile, at: number, bytes: Uint8Array, random: Random): void {
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + SECTOR - ((at + start) % SECTOR));
    if (random.below(2) === 0) void file.write(at + start, [bytes.subarray(start, end)]);
    start = end;
  }
}
