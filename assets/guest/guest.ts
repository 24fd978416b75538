// The default guest: found in the cache, or built into it.
import { AfterimageError } from '../../engine/base/errors.ts';
import { asCacheError, type CachedGuest, defaultCacheFolder, GuestCache } from './cache.ts';
import { takeLock } from './lock.ts';
import { APPEND, ownFiles, recipeHash } from './recipe.ts';

export interface GuestProgress {
  /** What is being done, in words for a person. */
  readonly step: string;
  /** Bytes, where they can be counted. */
  readonly done?: number;
  readonly total?: number;
}

export interface GuestOptions {
  /** Instead of the platform's cache folder. */
  readonly cacheDir?: string;
  /** Called during a build only: a guest from the cache is simply there. */
  readonly onProgress?: (progress: GuestProgress) => void;
  readonly signal?: AbortSignal;
  /** Build even if the cache has it. */
  readonly force?: boolean;
  /** Where this machine's apt sources are; /etc/apt if not given. */
  readonly aptFolder?: string;
}

export interface Guest {
  /** File of the kernel, an uncompressed RISC-V `Image`. */
  readonly kernel: string;
  /** File of the initramfs, an uncompressed cpio archive. */
  readonly initrd: string;
  /** The kernel's command line. */
  readonly append: string;
  /** Names the recipe: another recipe has another hash. */
  readonly hash: string;
}

/**
 * Returns the default guest, building it first if the cache does not hold this recipe's (issue "Machine", Guest). Needs
 * the network and apt only to build. Throws `unsupported` on a machine without apt or a Debian mirror, `io` when the
 * mirror cannot be reached, `no-space` when the disk is full; a failed or aborted build leaves nothing behind.
 */
export async function ensureGuest(options: GuestOptions = {}): Promise<Guest> {
  const own = ownFiles();
  const hash = recipeHash(own);
  const cache = new GuestCache(options.cacheDir ?? defaultCacheFolder());
  const toGuest = ({ kernel, initrd }: CachedGuest): Guest => ({ kernel, initrd, append: APPEND, hash });
  const ready = options.force ? undefined : await cache.find(hash);
  if (ready) {
    await cache.touch(hash, new Date());
    return toGuest(ready);
  }
  const report = options.onProgress ?? (() => {});
  try {
    await cache.prepare();
    await using _lock = await takeLock(cache.lockFile, {
      signal: options.signal,
      onWait: ({ pid }) => report({ step: `Waiting for process ${pid}, which is building the guest` }),
    });
    const built = options.force ? undefined : await cache.find(hash);
    if (built) return toGuest(built);
    // Loaded only now: a start with a guest in the cache has no use for the builder.
    const { buildGuest } = await import('./assemble.ts');
    await cache.removeLeftovers();
    await buildGuest({ cache, hash, own, report, signal: options.signal, aptFolder: options.aptFolder });
    await cache.removeUnused(hash, new Date());
    const guest = await cache.find(hash);
    if (!guest) throw new AfterimageError('internal', 'The guest that was just built is not in the cache');
    return toGuest(guest);
  } catch (thrown) {
    options.signal?.throwIfAborted();
    throw asCacheError(thrown, cache.folder);
  }
}
