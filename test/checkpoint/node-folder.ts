// The host's own folders and files, without locks: for benchmarks and for tests on a real file system.
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Folder } from '../../engine/checkpoint/folder.ts';
import type { HostFile } from '../../engine/disk/disk.ts';

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
  return {
    name: folder,
    list: async () =>
      Promise.all((await readdir(folder)).map(async name => ({ name, bytes: (await stat(at(name))).size }))),
    create: async name => hostFile(name, await open(at(name), 'w+'), false),
    open: async name => hostFile(name, await open(at(name), 'r'), true),
    rename: (from, to) => rename(at(from), at(to)),
    remove: name => rm(at(name)),
    flush: async () => {
      const handle = await open(folder, 'r');
      await handle.sync();
      await handle.close();
    },
  };
}
