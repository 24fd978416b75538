import { constants } from 'node:fs';
import { access, type FileHandle, open, stat } from 'node:fs/promises';
import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import { FileLock } from './file-lock.ts';
import { hostError } from './host-errors.ts';

export interface OpenOptions {
  /** Opened for reading, and locked against writers only. */
  readonly readonly: boolean;
}

/**
 * Opens an existing regular file as a disk's storage and locks it until it is closed.
 * Errors: `missing`, `denied`, `unsupported` for anything that is not a regular file, `locked`.
 */
export async function openHostFile(path: string, options: OpenOptions): Promise<HostFile> {
  await checkRegular(path);
  // Before the lock, whose own failure would be a worse explanation.
  await access(path, options.readonly ? constants.R_OK : constants.R_OK | constants.W_OK).catch(thrown => {
    throw hostError(thrown, path, 'open');
  });
  const lock = await FileLock.take(path, options.readonly ? 'read' : 'write');
  try {
    return new NodeFile(path, options.readonly, await open(path, options.readonly ? 'r' : 'r+'), lock);
  } catch (thrown) {
    lock.release();
    throw hostError(thrown, path, 'open');
  }
}

/** Throws unless `path` is a regular file: opening a pipe would wait for its other end, a folder cannot be read. */
export async function checkRegular(path: string): Promise<{ readonly size: number }> {
  const found = await stat(path).catch(thrown => {
    throw hostError(thrown, path, 'find');
  });
  if (found.isDirectory()) throw new AfterimageError('unsupported', 'It is a folder, not a file', { path });
  if (!found.isFile()) throw new AfterimageError('unsupported', 'It is not a regular file', { path });
  return { size: found.size };
}

/** HostFile over a file handle of Node; requests run at the same time on the host's thread pool. */
class NodeFile implements HostFile {
  readonly name: string;
  readonly readonly: boolean;
  readonly #handle: FileHandle;
  readonly #lock: FileLock;

  constructor(name: string, readonly: boolean, handle: FileHandle, lock: FileLock) {
    this.name = name;
    this.readonly = readonly;
    this.#handle = handle;
    this.#lock = lock;
  }

  async size(): Promise<number> {
    return await this.#do('measure', async () => (await this.#handle.stat()).size);
  }

  async read(at: number, into: readonly Uint8Array[]): Promise<void> {
    await this.#do('read', async () => {
      let position = at;
      let rest = nonEmpty(into);
      while (rest.length > 0) {
        const { bytesRead } = await this.#handle.readv(rest, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        rest = after(rest, bytesRead);
      }
      for (const buffer of rest) buffer.fill(0);
    });
  }

  async write(at: number, from: readonly Uint8Array[]): Promise<void> {
    await this.#do('write', async () => {
      let position = at;
      let rest = nonEmpty(from);
      while (rest.length > 0) {
        const { bytesWritten } = await this.#handle.writev(rest, position);
        if (bytesWritten === 0) throw new AfterimageError('io', 'The host wrote nothing', { path: this.name });
        position += bytesWritten;
        rest = after(rest, bytesWritten);
      }
    });
  }

  async flush(): Promise<void> {
    // fdatasync: the data and whatever is needed to find it, the file's size included.
    await this.#do('flush', async () => await this.#handle.datasync());
  }

  async truncate(size: number): Promise<void> {
    await this.#do('resize', async () => await this.#handle.truncate(size));
  }

  async close(): Promise<void> {
    try {
      // Waits for the operations in flight.
      await this.#do('close', async () => await this.#handle.close());
    } finally {
      this.#lock.release();
    }
  }

  async #do<Result>(during: string, step: () => Promise<Result>): Promise<Result> {
    try {
      return await step();
    } catch (thrown) {
      throw hostError(thrown, this.name, during);
    }
  }
}

function nonEmpty(buffers: readonly Uint8Array[]): Uint8Array[] {
  return buffers.filter(buffer => buffer.length > 0);
}

/** What remains of the buffers after their first `count` bytes: the host may do less than it was asked for. */
function after(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  const rest: Uint8Array[] = [];
  for (const buffer of buffers) {
    if (skip >= buffer.length) skip -= buffer.length;
    else {
      rest.push(skip === 0 ? buffer : buffer.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}
