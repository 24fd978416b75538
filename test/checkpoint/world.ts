// A host in memory that remembers every step: names and files over inodes, with what a power cut could leave of them.
import { AfterimageError } from '../../engine/base/errors.ts';
import type { Folder } from '../../engine/checkpoint/folder.ts';
import { totalLength } from '../../engine/disk/buffers.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import type { Random } from '../contract/random.ts';

type Step =
  | { readonly kind: 'write'; readonly inode: number; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'flush'; readonly inode: number }
  | { readonly kind: 'link'; readonly name: string; readonly inode: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly inode: number }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'flush names' };

/** What a power cut keeps of steps that were not yet durable. */
export type Loss = 'none' | 'all' | 'some';

export class World {
  readonly files = new Map<number, MemoryFile>();
  readonly names = new Map<string, number>();
  readonly steps: Step[] = [];
  /** Open files; a test that ends with more than it began with has a leak. */
  open = 0;
  /** Steps that write are counted down; the one that reaches zero fails, and those after it while `stuck`. */
  failAfter = Number.POSITIVE_INFINITY;
  failure: 'no-space' | 'io' = 'no-space';
  stuck = false;
  record = true;
  /** Bytes that all files together may have. */
  capacity = Number.POSITIVE_INFINITY;
  bytesWritten = 0;
  #nextInode = 1;

  get folder(): Folder {
    return {
      name: 'checkpoints',
      list: async () =>
        Promise.all(
          [...this.names].map(async ([name, inode]) => ({ name, bytes: await this.files.get(inode)!.size() })),
        ),
      create: async name => {
        this.#mayFail(name);
        const inode = this.#nextInode++;
        this.files.set(inode, new MemoryFile(name));
        this.names.set(name, inode);
        this.#note({ kind: 'link', name, inode });
        return this.#open(name, inode, false);
      },
      open: async name => this.#open(name, this.#inode(name), true),
      rename: async (from, to) => {
        this.#mayFail(from);
        const inode = this.#inode(from);
        this.names.delete(from);
        this.names.set(to, inode);
        this.#note({ kind: 'rename', from, to, inode });
      },
      remove: async name => {
        this.#mayFail(name);
        this.#inode(name);
        this.names.delete(name);
        this.#note({ kind: 'remove', name });
      },
      flush: async () => {
        this.#mayFail('folder');
        this.#note({ kind: 'flush names' });
      },
    };
  }

  /** A file of this world by name, for a raw medium: opened for writing, kept. */
  writable(name: string): HostFile {
    let inode = this.names.get(name);
    if (inode === undefined) {
      inode = this.#nextInode++;
      this.files.set(inode, new MemoryFile(name));
      this.names.set(name, inode);
      this.#note({ kind: 'link', name, inode });
      this.#note({ kind: 'flush names' });
    }
    return this.#open(name, inode, false);
  }

  content(name: string): Uint8Array {
    return this.files.get(this.#inode(name))!.content();
  }

  put(name: string, content: Uint8Array): void {
    const inode = this.#nextInode++;
    this.files.set(inode, new MemoryFile(name, content));
    this.names.set(name, inode);
    this.#note({ kind: 'link', name, inode });
    this.#note({ kind: 'write', inode, at: 0, bytes: content });
    this.#note({ kind: 'flush', inode });
    this.#note({ kind: 'flush names' });
  }

  /** Forgets files that have no name, as a host does when nobody has them open. */
  collect(): void {
    const used = new Set(this.names.values());
    for (const inode of [...this.files.keys()]) if (!used.has(inode)) this.files.delete(inode);
  }

  get totalBytes(): number {
    let total = 0;
    for (const inode of this.names.values()) total += this.files.get(inode)!.content().length;
    return total;
  }

  /** The world as it stands after the power failed when the first `count` steps had been asked for. */
  static async afterCut(steps: readonly Step[], count: number, loss: Loss, random: Random): Promise<World> {
    const world = new World();
    const done = steps.slice(0, count);
    const kept = (chance: number) => loss === 'none' || (loss === 'some' && random.below(100) < chance);
    const lastNames = done.findLastIndex(step => step.kind === 'flush names');
    // Most hosts keep unsynced changes of names up to some point; none promises it, so some worlds keep any of them.
    const ordered = random.below(2) === 0;
    let namesOpen = true;
    for (const [index, step] of done.entries()) {
      if (step.kind === 'write') {
        const durable = done.some((other, at) => at > index && other.kind === 'flush' && other.inode === step.inode);
        let bytes = step.bytes;
        if (!durable) {
          if (!kept(50)) continue;
          // A write is not one step for a disk either.
          if (loss === 'some' && random.below(3) === 0) bytes = bytes.subarray(0, random.below(bytes.length + 1));
        }
        await world.#file(step.inode).write(step.at, [bytes]);
      } else if (step.kind === 'link' || step.kind === 'rename' || step.kind === 'remove') {
        const stays = index <= lastNames || kept(70);
        namesOpen &&= stays;
        if (ordered ? !namesOpen : !stays) continue;
        if (step.kind === 'link') {
          world.#file(step.inode);
          world.names.set(step.name, step.inode);
        } else {
          world.names.delete(step.kind === 'rename' ? step.from : step.name);
          if (step.kind === 'rename') {
            world.#file(step.inode);
            world.names.set(step.to, step.inode);
          }
        }
      }
    }
    world.#nextInode = 1 + Math.max(0, ...steps.map(step => ('inode' in step ? step.inode : 0)));
    return world;
  }

  #file(inode: number): MemoryFile {
    let file = this.files.get(inode);
    if (file === undefined) {
      file = new MemoryFile(`inode ${inode}`);
      this.files.set(inode, file);
    }
    return file;
  }

  #inode(name: string): number {
    const inode = this.names.get(name);
    if (inode === undefined) throw new AfterimageError('missing', 'The file does not exist', { file: name });
    return inode;
  }

  #note(step: Step): void {
    if (this.record) this.steps.push(step);
  }

  #mayFail(file: string): void {
    this.failAfter -= 1;
    if (this.failAfter > 0) return;
    if (!this.stuck) this.failAfter = Number.POSITIVE_INFINITY;
    throw new AfterimageError(this.failure, 'The host failed as the test asked for', { file });
  }

  #open(name: string, inode: number, readonly: boolean): HostFile {
    const file = this.files.get(inode)!;
    let isOpen = true;
    this.open += 1;
    const check = () => {
      if (!isOpen) throw new AfterimageError('state', 'File is closed', { file: name });
    };
    return {
      name,
      readonly,
      size: () => file.size(),
      read: async (at, into) => {
        check();
        await file.read(at, into);
      },
      write: async (at, from) => {
        check();
        if (readonly) throw new AfterimageError('denied', 'File is read-only', { file: name });
        this.#mayFail(name);
        if (this.capacity !== Number.POSITIVE_INFINITY && this.totalBytes + totalLength(from) > this.capacity) {
          throw new AfterimageError('no-space', 'No space is left on the host', { file: name });
        }
        this.bytesWritten += totalLength(from);
        if (this.record) {
          const bytes = new Uint8Array(totalLength(from));
          let position = 0;
          for (const one of from) {
            bytes.set(one, position);
            position += one.length;
          }
          this.#note({ kind: 'write', inode, at, bytes });
        }
        await file.write(at, from);
      },
      flush: async () => {
        check();
        this.#mayFail(name);
        this.#note({ kind: 'flush', inode });
      },
      truncate: size => file.truncate(size),
      close: async () => {
        if (isOpen) this.open -= 1;
        isOpen = false;
      },
    };
  }
}
