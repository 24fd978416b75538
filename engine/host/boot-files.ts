import { readFileSync, type Stats, statSync } from 'node:fs';
import type { BootSettings } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Software } from '../firmware/boot/plan.ts';
import type { GuestFile } from '../firmware/loaders/plan.ts';
import { hostError } from './host-errors.ts';

/** Far above any kernel or initial RAM disk; reading more would only fail later, with the host's memory full. */
const LARGEST_BOOT_FILE = 1024 * 1024 * 1024;

/**
 * Reads the files that the machine starts from, wholly: they are needed again when the guest restarts. At once, since the
 * hart's thread has no other way: it reads them at the first restart after a restore.
 * Errors: `missing`, `denied`, `unsupported` for what is not a regular file, `too-large`, `io`.
 */
export function readSoftware(boot: BootSettings): Software {
  if (boot.elf !== undefined) return { way: 'program', program: readGuestFile(boot.elf) };
  const kernel = boot.kernel === undefined ? undefined : readGuestFile(boot.kernel);
  const initrd = boot.initrd === undefined ? {} : { initrd: readGuestFile(boot.initrd) };
  if (boot.firmware !== undefined) {
    const firmware = readGuestFile(boot.firmware);
    return { way: 'firmware', firmware, ...(kernel === undefined ? {} : { kernel }), ...initrd };
  }
  if (kernel === undefined) throw new AfterimageError('usage', 'There is nothing to boot: no kernel and no firmware');
  return { way: 'linux', kernel, ...initrd };
}

function readGuestFile(path: string): GuestFile {
  const found = look(path);
  // Reading a pipe would wait for its other end.
  if (found.isDirectory()) throw new AfterimageError('unsupported', 'It is a folder, not a file', { path });
  if (!found.isFile()) throw new AfterimageError('unsupported', 'It is not a regular file', { path });
  const { size } = found;
  if (size > LARGEST_BOOT_FILE) {
    throw new AfterimageError('too-large', 'The file is larger than 1 GiB, too large for a kernel or program', {
      path,
      size,
    });
  }
  try {
    return { name: path, bytes: readFileSync(path) };
  } catch (thrown) {
    throw hostError(thrown, path, 'read');
  }
}

function look(path: string): Stats {
  try {
    return statSync(path);
  } catch (thrown) {
    throw hostError(thrown, path, 'find');
  }
}
