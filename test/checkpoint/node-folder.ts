// The host's own folders and files, without locks: for benchmarks and for tests on a real file system.
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Folder } from '../../engine/checkpoint/folder.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { hostError } from '../../engine/host/host-errors.ts';

function hostFile(name: string, handle: FileHandle, readonly: boolean): HostFile {
  return {
    name,
    readonly,
    size: async () => (await handle.stat()).size,
    read: async (at, into) => {
      let position = at;
      for (const buffer of into) {
        for (let done = 0; done < buffer.length; ) {
          const { bytesRead } = await handle.read(buffer, done, buffer.length - done, position);
          if (bytesRead === 0) {
            buffer.fill(0, done);
            break;
          }
          done += bytesRead;
          position += bytesRead;
        }
      }
    },
    write: async (at, from) => {
      const length = from.reduce((sum, buffer) => sum + buffer.length, 0);
      const { bytesWritten } = await handle.writev([...from], at);
      if (bytesWritten !== length) throw new Error('The host wrote less than it was asked for');
    },
    flush: () => handle.datasync(),
    truncate: size => handle.truncate(size),
    close: () => handle.close(),
  };
}

export function nodeFolder(folder: string): Folder {
  const at = (name: string) => path.join(folder, name);
  async function on<Result>(name: string, during: string, task: () => Promise<Result>): Promise<Result> {
    try {
      return await task();
    } catch (thrown) {
      throw hostError(thrown, at(name), during);
    }
  }
  return {
    name: folder,
    list: () =>
      on('', 'list', async () =>
        Promise.all((await readdir(folder)).map(async name => ({ name, bytes: (await stat(at(name))).size }))),
      ),
    create: name => on(name, 'create', async () => hostFile(name, await open(at(name), 'w+'), false)),
    open: name => on(name, 'open', async () => hostFile(name, await open(at(name), 'r'), true)),
    rename: (from, to) => on(from, 'rename', () => rename(at(from), at(to))),
    remove: name => on(name, 'remove', () => rm(at(name))),
    flush: () =>
      on('', 'flush', async () => {
        const handle = await open(folder, 'r');
        await handle.sync();
        await handle.close();
      }),
  };
}
