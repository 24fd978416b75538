import { AfterimageError } from '../base/errors.ts';
import type { Disk } from './disk.ts';

export type DiskOperation = 'read' | 'write' | 'discard' | 'write zeroes';

/** What is wrong with a request that no disk would take: an error of kind `usage`. */
export function refusal(
  disk: Disk,
  during: DiskOperation,
  offset: number,
  length: number,
): AfterimageError | undefined {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!inside || offset + length > disk.size) {
    return new AfterimageError('usage', 'Request is outside the disk', { during, offset, length, size: disk.size });
  }
  if (during !== 'read' && disk.readonly) {
    return new AfterimageError('usage', 'Disk is read-only', { during, offset, length });
  }
  return undefined;
}

/** What every disk checks of every request. @throws AfterimageError `usage`. */
export function checkRequest(disk: Disk, during: DiskOperation, offset: number, length: number): void {
  const refused = refusal(disk, during, offset, length);
  if (refused !== undefined) throw refused;
}
