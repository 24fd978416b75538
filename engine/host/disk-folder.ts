import { constants } from 'node:fs';
import { access, copyFile, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../base/errors.ts';
import type { Folder } from '../disk/chain/folder.ts';
import type { HostFile } from '../disk/disk.ts';
import { openReadonly } from './checkpoint-folder.ts';
import { FileLock } from './file-lock.ts';
import { codeOf, hostError } from './host-errors.ts';
import { openHostFile } from './node-file.ts';

/** Bytes that `stat` counts in. */
const STAT_BLOCK = 512;

/** A folder of the host with a machine's disks in it. */
export class HostFolder implements Folder {
  readonly #root: string;
  readonly #changed = new Set<string>();

  constructor(root: string) {
    this.#root = path.resolve(root);
  }

  async open(name: string, mode: 'read' | 'write'): Promise<HostFile> {
    return await openHostFile(await this.#inside(name), { readonly: mode === 'read' });
  }

  async glance(name: string): Promise<HostFile> {
    const file = this.#path(name);
    // Links within the folder may be followed, and were.
    return await openReadonly(await this.#within(file, name));
  }

  async create(name: string): Promise<HostFile> {
    const file = this.#path(name);
    await this.#within(path.dirname(file), name);
    try {
      const handle = await open(file, 'wx');
      await handle.close();
    } catch (thrown) {
      if (codeOf(thrown) === 'EEXIST') throw new AfterimageError('state', 'The file exists already', { path: file });
      throw hostError(thrown, file, 'create');
    }
    this.#changed.add(path.dirname(file));
    return await openHostFile(file, { readonly: false });
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [await this.#inside(from), this.#path(to)];
    await this.#within(path.dirname(target), to);
    await rename(source, target).catch(thrown => {
      throw hostError(thrown, source, 'rename');
    });
    this.#changed.add(path.dirname(source)).add(path.dirname(target));
  }

  async remove(name: string): Promise<void> {
    const file = this.#path(name);
    if (!(await this.exists(name))) return;
    await this.#within(path.dirname(file), name);
    FileLock.clear(file);
    await rm(file, { force: true }).catch(thrown => {
      throw hostError(thrown, file, 'remove');
    });
    this.#changed.add(path.dirname(file));
  }

  async exists(name: string): Promise<boolean> {
    return await access(this.#path(name)).then(
      () => true,
      () => false,
    );
  }

  async list(under: string): Promise<string[]> {
    const folder = under === '' ? this.#root : this.#path(under);
    await this.#within(folder, under);
    const entries = await readdir(folder, { withFileTypes: true }).catch(thrown => {
      throw hostError(thrown, folder, 'list');
    });
    const names = entries.filter(entry => entry.isFile()).map(entry => entry.name);
    return names.sort().map(name => (under === '' ? name : `${under}/${name}`));
  }

  async flush(): Promise<void> {
    for (const folder of [...this.#changed]) {
      try {
        const handle = await open(folder, constants.O_RDONLY);
        try {
          await handle.sync();
        } finally {
          await handle.close();
        }
      } catch (thrown) {
        // Windows lets nobody open a folder; its file system keeps names safe by itself.
        if (process.platform !== 'win32') throw hostError(thrown, folder, 'flush');
      }
      this.#changed.delete(folder);
    }
  }

  async identity(name: string): Promise<string> {
    const file = await this.#inside(name);
    const { dev, ino } = await stat(file, { bigint: true }).catch(thrown => {
      throw hostError(thrown, file, 'find');
    });
    return `${dev}:${ino}`;
  }

  async allocatedBytes(name: string): Promise<number> {
    const file = await this.#inside(name);
    const { blocks, size } = await stat(file).catch(thrown => {
      throw hostError(thrown, file, 'measure');
    });
    return process.platform === 'win32' ? size : blocks * STAT_BLOCK;
  }

  async clone(from: string, to: string): Promise<boolean> {
    const [source, target] = [await this.#inside(from), this.#path(to)];
    await this.#within(path.dirname(target), to);
    try {
      await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
      this.#changed.add(path.dirname(target));
      return true;
    } catch (thrown) {
      const code = codeOf(thrown);
      if (code === 'EEXIST') throw hostError(thrown, target, 'create');
      await rm(target, { force: true });
      if (['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY'].includes(code)) return false;
      throw hostError(thrown, target, 'copy');
    }
  }

  #path(name: string): string {
    return path.join(this.#root, ...name.split('/'));
  }

  /** The file's path, when it exists and no link leads out of the folder. */
  async #inside(name: string): Promise<string> {
    const file = this.#path(name);
    await this.#within(file, name);
    return file;
  }

  /** Returns where links lead. */
  async #within(file: string, name: string): Promise<string> {
    const [root, found] = await Promise.all([realpath(this.#root), realpath(file)]).catch(thrown => {
      throw hostError(thrown, file, 'find');
    });
    const relative = path.relative(root, found);
    if (relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative)) return found;
    throw new AfterimageError('denied', 'A link leads out of the folder; put the file itself there', {
      path: file,
      name,
    });
  }
}
