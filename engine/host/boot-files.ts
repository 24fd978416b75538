import { readFile } from 'node:fs/promises';
import type { BootSettings } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Software } from '../firmware/boot/plan.ts';
import type { GuestFile } from '../firmware/loaders/plan.ts';
import { hostError } from './host-errors.ts';
import { checkRegular } from './node-file.ts';

/** Far above any kernel or initial RAM disk; reading more would only fail later, with the host's memory full. */
const LARGEST_BOOT_FILE = 1024 * 1024 * 1024;

/**
 * Reads the files that the machine starts from, wholly: they are needed again when the guest restarts.
 * Errors: `missing`, `denied`, `unsupported` for what is not a regular file, `too-large`, `io`.
 */
export async function readSoftware(boot: BootSettings): Promise<Software> {
  if (boot.elf !== undefined) return { way: 'program', program: await readGuestFile(boot.elf) };
  const kernel = boot.kernel === undefined ? undefined : await readGuestFile(boot.kernel);
  const initrd = boot.initrd === undefined ? {} : { initrd: await readGuestFile(boot.initrd) };
  if (boot.firmware !== undefined) {
    const firmware = await readGuestFile(boot.firmware);
    return { way: 'firmware', firmware, ...(kernel === undefined ? {} : { kernel }), ...initrd };
  }
  if (kernel === undefined) throw new AfterimageError('usage', 'There is nothing to boot: no kernel and no firmware');
  return { way: 'linux', kernel, ...initrd };
}

async function readGuestFile(path: string): Promise<GuestFile> {
  const { size } = await checkRegular(path);
  if (size > LARGEST_BOOT_FILE) {
    throw new AfterimageError('too-large', 'The file is larger than 1 GiB, too large for a kernel or program', {
      path,
      size,
    });
  }
  try {
    return { name: path, bytes: await readFile(path) };
  } catch (thrown) {
    throw hostError(thrown, path, 'read');
  }
}
