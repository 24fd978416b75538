import { constants } from 'node:fs';
import { copyFile, open, rm } from 'node:fs/promises';
import { AfterimageError } from '../base/errors.ts';
import { codeOf, hostError } from './host-errors.ts';

const PIECE = 1024 * 1024;
/** Zeroes of this length and more become holes. */
const HOLE = 64 * 1024;

/**
 * Copies a file that nobody writes to: by the host's storage itself where it can (reflink), otherwise without its holes.
 * `to` must not exist. Durable when it returns.
 */
export async function copyHostFile(
  from: string,
  to: string,
  options: { readonly signal: AbortSignal; readonly copied: (bytes: number) => void },
): Promise<void> {
  try {
    if (!(await reflink(from, to))) await copySparse(from, to, options);
    const handle = await open(to, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    throw hostError(thrown, to, 'copy');
  }
}

async function reflink(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch (thrown) {
    if (['EEXIST', 'ENOENT', 'EACCES', 'ENOSPC'].includes(codeOf(thrown))) throw thrown;
    await rm(to, { force: true });
    return false;
  }
}

async function copySparse(
  from: string,
  to: string,
  { signal, copied }: { readonly signal: AbortSignal; readonly copied: (bytes: number) => void },
): Promise<void> {
  const source = await open(from, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const { size } = await source.stat();
    const target = await open(to, 'wx');
    try {
      await target.truncate(size);
      const buffer = Buffer.alloc(PIECE);
      for (let at = 0; at < size; ) {
        if (signal.aborted) throw new AfterimageError('state', 'It was cancelled', { cancelled: true });
        const { bytesRead } = await source.read(buffer, 0, PIECE, at);
        if (bytesRead === 0) break;
        for (let start = 0; start < bytesRead; start += HOLE) {
          const part = buffer.subarray(start, Math.min(start + HOLE, bytesRead));
          if (!isZero(part)) await target.write(part, 0, part.length, at + start);
        }
        at += bytesRead;
        copied(bytesRead);
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes[0] === 0 && bytes.compare(bytes, 1, bytes.length, 0, bytes.length - 1) === 0;
}
