// Which disk is which, where disks of a machine come and go: by identities in its record, and in the copy of the record
// that each checkpoint has.
import { randomBytes } from 'node:crypto';
import type { DiskConfiguration } from '../api/machine.ts';
import { checked, storedMachine } from '../api/machine-checks.ts';
import { aboutTable } from '../checkpoint/about.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';

/** As long as a machine's disks have never changed, their places say which they are. */
export function diskIdentity(disk: DiskConfiguration | undefined, index: number): string {
  return disk?.id ?? `disk${index}`;
}

/** Said by each disk itself: to be recorded before places change. */
export function withIdentities(disks: readonly DiskConfiguration[]): DiskConfiguration[] {
  return disks.map((disk, index) => ({ ...disk, id: diskIdentity(disk, index) }));
}

export function newDiskIdentity(): string {
  return randomBytes(8).toString('hex');
}

/** The disks as the machine had them; the text may be anybody's. */
export async function recordedDisks(reader: CheckpointReader): Promise<readonly DiskConfiguration[] | undefined> {
  const about = await reader.table(aboutTable);
  try {
    return checked(storedMachine, JSON.parse(about?.machine ?? ''), 'corrupt', reader.id).disks;
  } catch {
    return undefined;
  }
}
