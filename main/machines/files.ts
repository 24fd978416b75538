// Small files of a library: read as what others may have put there, written so that they are whole or not there.
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';

/**
 * The text of a regular file of at most `most` bytes. Errors: `missing`, `denied`, `unsupported` for what is no regular
 * file or a link, `too-large`, `corrupt` for what is not UTF-8.
 */
export async function readSmallFile(file: string, most: number): Promise<string> {
  // Without O_NONBLOCK a pipe in that place would never be opened.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, flags);
    const info = await handle.stat();
    if (!info.isFile()) throw new AfterimageError('unsupported', 'It is not a regular file', { path: file });
    if (info.size > most) {
      throw new AfterimageError('too-large', `The file has more than ${most} bytes`, { path: file, size: info.size });
    }
    // It may grow meanwhile.
    const bytes = Buffer.alloc(most + 1);
    const { bytesRead } = await handle.read(bytes, 0, most + 1, 0);
    if (bytesRead > most)
      throw new AfterimageError('too-large', `The file has more than ${most} bytes`, { path: file });
    return decode(bytes.subarray(0, bytesRead), file);
  } catch (thrown) {
    if (codeOf(thrown) === 'ELOOP') {
      throw new AfterimageError('unsupported', 'It is a link, not a regular file', { path: file }, { cause: thrown });
    }
    throw hostError(thrown, file, 'read');
  } finally {
    await handle?.close();
  }
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AfterimageError('corrupt', 'The file is not UTF-8 text', { path: file }, { cause });
  }
}

/** Writes a new file, durably. It must not exist. */
export async function writeNewFile(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    throw hostError(thrown, file, 'write');
  }
}

/** Renames, durably. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(path.dirname(to));
}

/** Makes the names in a folder durable, where the platform can. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes a file or a folder with all that is in it; not being there is right too. */
export async function removeAll(name: string): Promise<void> {
  await rm(name, { recursive: true, force: true, maxRetries: 3 });
}
