// The file of a disk that comes into a machine: a new one, or a copy of one that is there.
import path from 'node:path';
import type { DiskConfiguration, NewDisk } from '../api/machine.ts';
import { type Progress, runDiskCommand } from './disk-commands.ts';
import { refuseOtherDisk } from './expected-files.ts';
import { freshLayer } from './machine-folder.ts';

/** In the machine's folder, of which `index` is only for the name. Errors are those of creating and reading disks. */
export async function createDisk(
  folder: string,
  index: number,
  disk: NewDisk,
  progress: Progress = () => undefined,
): Promise<DiskConfiguration> {
  const { format } = disk;
  const file = freshLayer(index, format);
  const to = path.join(folder, ...file.split('/'));
  if (disk.kind === 'new') {
    await runDiskCommand({ kind: 'create', file: to, format, size: disk.size, options: {} }, progress);
    return { file, format, mode: 'persistent' };
  }
  await refuseOtherDisk(disk);
  // With all that it stands on, into one file: what was given stays as it is and may go.
  const from = path.resolve(disk.path);
  await runDiskCommand(
    { kind: 'convert', file: from, format, to, toFormat: format, compress: false, options: {} },
    progress,
  );
  return { file, format, mode: disk.mode };
}
