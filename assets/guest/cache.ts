// Where built guests are kept: a folder for each recipe hash, complete from the moment it exists. Layout:
//   <cache>/guest/<hash>/{kernel,initrd,manifest.json}    a guest
//   <cache>/guest/.new-<pid>-<random>/                    a build under way
//   <cache>/guest/lock                                    the builder at work
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';

/** What a guest was made of; written last into its folder. */
export interface Manifest {
  readonly hash: string;
  readonly kernelRelease: string;
  readonly packages: readonly { readonly name: string; readonly version: string; readonly sha256: string }[];
  readonly modules: readonly string[];
  /** Sizes tell a whole file from one that someone cut; the digests are for people and bug reports. */
  readonly files: Readonly<Record<'kernel' | 'initrd', { readonly size: number; readonly sha256: string }>>;
}

export interface CachedGuest {
  readonly kernel: string;
  readonly initrd: string;
  readonly manifest: Manifest;
}

/** A guest that nobody started for this long is removed when another is built. */
const UNUSED_DAYS = 14;
const DAY = 24 * 60 * 60 * 1000;

/** The folder for all that can be made again: `$AFTERIMAGE_CACHE`, or where the platform keeps such things. */
export function defaultCacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  const chosen = environment.AFTERIMAGE_CACHE;
  if (chosen) return path.resolve(chosen);
  if (platform === 'darwin') return path.join(home, 'Library/Caches/afterimage');
  if (platform === 'win32') {
    return path.join(environment.LOCALAPPDATA ?? path.join(home, 'AppData/Local'), 'afterimage', 'cache');
  }
  const shared = environment.XDG_CACHE_HOME;
  // The specification: a relative path there is invalid and to be ignored.
  return path.join(shared && path.isAbsolute(shared) ? shared : path.join(home, '.cache'), 'afterimage');
}

export class GuestCache {
  readonly folder: string;

  constructor(cacheFolder: string) {
    this.folder = path.join(cacheFolder, 'guest');
  }

  get lockFile(): string {
    return path.join(this.folder, 'lock');
  }

  /** The guest of this hash if it is there and whole. Reads no more than a manifest and two sizes. */
  async find(hash: string): Promise<CachedGuest | undefined> {
    const folder = path.join(this.folder, hash);
    const [kernel, initrd] = [path.join(folder, 'kernel'), path.join(folder, 'initrd')];
    try {
      const manifest = JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8')) as Manifest;
      const sizes = await Promise.all([stat(kernel), stat(initrd)]);
      const whole =
        manifest.hash === hash &&
        sizes[0].size === manifest.files.kernel.size &&
        sizes[1].size === manifest.files.initrd.size;
      return whole ? { kernel, initrd, manifest } : undefined;
    } catch {
      return undefined; // absent, unreadable or not a manifest: in each case to be built
    }
  }

  /** Notes that the guest is in use, for `removeUnused`. A cache that cannot be written still serves. */
  async touch(hash: string, now: Date): Promise<void> {
    await utimes(path.join(this.folder, hash), now, now).catch(() => {});
  }

  /** A new folder for a build, on the same file system as its final place. */
  async draft(): Promise<string> {
    const folder = path.join(this.folder, `.new-${process.pid}-${randomUUID()}`);
    await this.#guard(mkdir(folder, { recursive: true }));
    return folder;
  }

  /** Makes sure that the cache exists and can be written. */
  async prepare(): Promise<void> {
    await this.#guard(mkdir(this.folder, { recursive: true }));
  }

  /** Puts a draft that holds a whole guest in its place; what was there before goes. Survives a power cut: old or new. */
  async publish(draft: string, hash: string): Promise<void> {
    for (const name of ['kernel', 'initrd', 'manifest.json']) await syncFile(path.join(draft, name));
    await syncFile(draft);
    const place = path.join(this.folder, hash);
    const old = path.join(this.folder, `.old-${process.pid}-${randomUUID()}`);
    await rename(place, old).catch(ignoreMissing);
    await rename(draft, place);
    await syncFile(this.folder);
    await rm(old, { recursive: true, force: true });
  }

  /** Removes what builds that died left behind. To be called under the lock: nobody else builds then. */
  async removeLeftovers(): Promise<void> {
    for (const name of await readdir(this.folder)) {
      if (/^\.(new|old)-/.test(name)) await rm(path.join(this.folder, name), { recursive: true, force: true });
    }
  }

  /** Removes guests that are neither `hash` nor lately used. */
  async removeUnused(hash: string, now: Date): Promise<void> {
    for (const name of await readdir(this.folder)) {
      if (!/^[0-9a-f]{32}$/.test(name) || name === hash) continue;
      const folder = path.join(this.folder, name);
      const used = await stat(folder).catch(() => undefined);
      if (used !== undefined && now.getTime() - used.mtimeMs > UNUSED_DAYS * DAY) {
        await rm(folder, { recursive: true, force: true });
      }
    }
  }

  async #guard<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (thrown) {
      throw asCacheError(thrown, this.folder);
    }
  }
}

/** File errors of the cache in words for a person; anything else unchanged. */
export function asCacheError(thrown: unknown, folder: string): unknown {
  const code = (thrown as NodeJS.ErrnoException | undefined)?.code;
  const programSaysFull = thrown instanceof AfterimageError && thrown.kind === 'no-space';
  if (code === 'ENOSPC' || code === 'EDQUOT' || programSaysFull) {
    const message = `The disk is full: the default guest needs about 200 MB in ${folder} while it is built`;
    return new AfterimageError('no-space', message, { folder }, { cause: thrown });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
    const message = `The cache folder ${folder} cannot be written: set AFTERIMAGE_CACHE to one that can`;
    return new AfterimageError('denied', message, { folder, code }, { cause: thrown });
  }
  return thrown;
}

function ignoreMissing(thrown: NodeJS.ErrnoException): void {
  if (thrown.code !== 'ENOENT') throw thrown;
}

/** Windows cannot sync a folder; there the rename alone must do. */
async function syncFile(file: string): Promise<void> {
  const isFolder = (await stat(file)).isDirectory();
  if (isFolder && process.platform === 'win32') return;
  const handle = await open(file, 'r+').catch(() => open(file, 'r'));
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
