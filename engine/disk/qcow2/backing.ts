// Reading from the disk below. Which file that is, and whether it may be opened, is for the opener of chains to judge.
import { AfterimageError } from '../../base/errors.ts';
import { sliceBuffers, totalLength } from '../buffers.ts';
import type { Disk } from '../disk.ts';
import type { BackingName } from './header.ts';

/** The formats that a backing file can have here. */
export type BackingFormat = 'raw' | 'qcow2';

/**
 * The format of a backing file: as recorded, or else as given. Never guessed from the content, which its guest wrote.
 * Throws `unsupported` for other formats and for none.
 */
export function backingFormat(backing: BackingName, given: BackingFormat | undefined, file: string): BackingFormat {
  const format = backing.format ?? given;
  if (format === 'raw' || format === 'qcow2') return format;
  const context = { file, backing: backing.name, format, during: 'open backing file' };
  if (format === undefined) {
    throw new AfterimageError('unsupported', 'The image does not record the format of its backing file', context);
  }
  throw new AfterimageError('unsupported', `Backing files of format “${format}” are not supported`, context);
}

/** Reads from the backing disk, which may be shorter than the image: past its end there are zeroes. */
export async function readBacking(
  backing: Disk | undefined,
  offset: number,
  into: readonly Uint8Array[],
  file: string,
): Promise<void> {
  if (backing === undefined) {
    throw new AfterimageError('missing', 'The image reads from a backing file that was not opened with it', { file });
  }
  const length = totalLength(into);
  const within = Math.max(0, Math.min(length, backing.size - offset));
  for (const buffer of sliceBuffers(into, within, length - within)) buffer.fill(0);
  if (within > 0) await backing.read(offset, sliceBuffers(into, 0, within));
}
