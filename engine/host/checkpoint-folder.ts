// Files of checkpoints over the host's folders, and block devices for raw media. No locks: who opens them owns the
// machine's folder.
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../base/errors.ts';
import type { Folder } from '../checkpoint/folder.ts';
import type { HostFile } from '../disk/disk.ts';
import { codeOf, hostError } from './host-errors.ts';
import { syncFolder } from './machine-record.ts';

/** A file that is open on the host. */
class HandleFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  readonly #handle: FileHandle;
  readonly #fixedSize: number | undefined;

  /** @param fixedSize of a device, whose size `stat` does not know */
  constructor(name: string, handle: FileHandle, readonly: boolean, fixedSize?: number) {
    this.name = name;
    this.readonly = readonly;
    this.#handle = handle;
    this.#fixedSize = fixedSize;
  }

  size(): Promise<number> {
    return this.#do('measure', async () => this.#fixedSize ?? (await this.#handle.stat()).size);
  }

  read(at: number, into: readonly Uint8Array[]): Promise<void> {
    return this.#do('read', async () => {
      let position = at;
      for (const buffer of into) {
        for (let done = 0; done < buffer.length; ) {
          const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, position);
          if (bytesRead === 0) {
            // The end of the file.
            buffer.fill(0, done);
            position += buffer.length - done;
            break;
          }
          done += bytesRead;
          position += bytesRead;
        }
      }
    });
  }

  write(at: number, from: readonly Uint8Array[]): Promise<void> {
    return this.#do('write', async () => {
      let position = at;
      let rest = from.filter(buffer => buffer.length > 0);
      while (rest.length > 0) {
        const { bytesWritten } = await this.#handle.writev(rest, position);
        if (bytesWritten === 0) throw new AfterimageError('io', 'The host wrote nothing', { path: this.name });
        position += bytesWritten;
        rest = after(rest, bytesWritten);
      }
    });
  }

  flush(): Promise<void> {
    return this.#do('flush', () => this.#handle.datasync());
  }

  truncate(size: number): Promise<void> {
    return this.#do('resize', () => this.#handle.truncate(size));
  }

  close(): Promise<void> {
    return this.#do('close', () => this.#handle.close());
  }

  async #do<Result>(during: string, step: () => Promise<Result>): Promise<Result> {
    try {
      return await step();
    } catch (thrown) {
      throw hostError(thrown, this.name, during);
    }
  }
}

/** What remains of the buffers after their first `count` bytes. */
function after(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  const rest: Uint8Array[] = [];
  for (const buffer of buffers) {
    if (skip < buffer.length) rest.push(buffer.subarray(skip));
    skip = Math.max(0, skip - buffer.length);
  }
  return rest;
}

/** A folder of the host with checkpoints in it. */
export class CheckpointFolder implements Folder {
  readonly name: string;

  constructor(folder: string) {
    this.name = folder;
  }

  async list(): Promise<{ name: string; bytes: number }[]> {
    const entries = await on(this.name, 'list', () => readdir(this.name, { withFileTypes: true }));
    const files: { name: string; bytes: number }[] = [];
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const bytes = await on(entry.name, 'measure', () => sizeOf(this.#path(entry.name)));
      if (bytes !== undefined) files.push({ name: entry.name, bytes });
    }
    return files;
  }

  async create(name: string): Promise<HostFile> {
    const file = this.#path(name);
    return new HandleFile(file, await on(file, 'create', () => open(file, flags('write'), 0o600)), false);
  }

  async open(name: string): Promise<HostFile> {
    return await openReadonly(this.#path(name));
  }

  async rename(from: string, to: string): Promise<void> {
    await on(this.#path(from), 'rename', () => rename(this.#path(from), this.#path(to)));
  }

  async remove(name: string): Promise<void> {
    await on(this.#path(name), 'remove', () => rm(this.#path(name)));
  }

  async flush(): Promise<void> {
    await on(this.name, 'flush', () => syncFolder(this.name));
  }

  #path(name: string): string {
    if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name)) {
      throw new AfterimageError('usage', 'It is no plain name of a file', { name });
    }
    return path.join(this.name, name);
  }
}

/** Undefined when it has just gone, or has got another name. */
async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** A regular file for reading, wherever it is. Errors: `missing`, `denied`, `unsupported` for what is no regular file. */
export async function openReadonly(file: string): Promise<HostFile> {
  const handle = await on(file, 'open', () => open(file, flags('read')));
  const info = await handle.stat();
  if (info.isFile()) return new HandleFile(file, handle, true);
  await handle.close();
  throw new AfterimageError('unsupported', 'It is not a regular file', { path: file });
}

/**
 * Whether opening a medium keeps others from it: Linux gives a block device to one who opens it exclusively, and to nobody
 * while it is mounted. A lock beside it, in /dev, could only be made by root.
 */
export async function isExclusive(file: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  return (await on(file, 'find', () => stat(file))).isBlockDevice();
}

/** A preallocated file or a block device for a RawMedium. Errors: `locked` for a device that is in use. */
export async function openMedium(file: string): Promise<HostFile> {
  // Without O_CREAT it has this meaning for block devices only, and files have a lock.
  const exclusively = (await isExclusive(file)) ? constants.O_EXCL : 0;
  const handle = await on(file, 'open', () =>
    open(file, constants.O_RDWR | exclusively | (constants.O_NONBLOCK ?? 0)).catch(thrown => {
      if (codeOf(thrown) !== 'EBUSY') throw thrown;
      const message = 'The device is mounted, or somebody else uses it';
      throw new AfterimageError('locked', message, { path: file }, { cause: thrown });
    }),
  );
  try {
    const info = await handle.stat();
    if (info.isFile()) return new HandleFile(file, handle, false);
    if (info.isBlockDevice()) return new HandleFile(file, handle, false, await sizeOfDevice(handle));
    throw new AfterimageError('unsupported', 'It is neither a regular file nor a block device', { path: file });
  } catch (thrown) {
    await handle.close();
    throw hostError(thrown, file, 'measure');
  }
}

/** Node cannot ask a device for its size, but reads end there: the last readable byte is found by halving. */
async function sizeOfDevice(handle: FileHandle): Promise<number> {
  const byte = new Uint8Array(1);
  const readable = async (at: number) => (await handle.read(byte, 0, 1, at)).bytesRead === 1;
  let low = 0;
  let high = 2 ** 52;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await readable(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function flags(mode: 'read' | 'write'): number {
  // A link in our folder is not ours, and the other end of a pipe is not waited for.
  const never = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const write = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC;
  return never | (mode === 'read' ? constants.O_RDONLY : write);
}

async function on<Result>(file: string, during: string, step: () => Promise<Result>): Promise<Result> {
  try {
    return await step();
  } catch (thrown) {
    throw hostError(thrown, file, during);
  }
}
