// Calls of a process without a machine: making machines' folders, and looking at files that may become one.
import path from 'node:path';
import type { FolderCalls } from '../api/control.ts';
import type { DiskConfiguration, MachineRecord, NewDisk, NewMachine } from '../api/machine.ts';
import { runDiskCommand } from './disk-commands.ts';
import { importFile, previewFile } from './machine-copies.ts';
import { createMachineFolder, freshLayer } from './machine-folder.ts';
import { newIdentity } from './machine-record.ts';

type FolderHandlers = {
  readonly [Name in keyof FolderCalls]: (given: FolderCalls[Name]['arguments']) => Promise<FolderCalls[Name]['result']>;
};

export function folderCalls(): FolderHandlers {
  return {
    create: ({ folder, machine }) => createMachine(folder, machine),
    preview: ({ file }) => previewFile(path.resolve(file)),
    import: given => importFile(given),
  };
}

async function createMachine(folder: string, { disks, ...rest }: NewMachine): Promise<MachineRecord> {
  const { process: _, ...record } = await createMachineFolder(folder, async unfinished => {
    const made: DiskConfiguration[] = [];
    for (const [index, disk] of disks.entries()) made.push(await createDisk(unfinished, index, disk));
    return { id: newIdentity(), createdAt: Date.now(), ...rest, disks: made, process: {} };
  });
  return record;
}

async function createDisk(unfinished: string, index: number, disk: NewDisk): Promise<DiskConfiguration> {
  const file = freshLayer(index, disk.format);
  const to = path.join(unfinished, ...file.split('/'));
  if (disk.kind === 'new') {
    await runDiskCommand(
      { kind: 'create', file: to, format: disk.format, size: disk.size, options: {} },
      () => undefined,
    );
    return { file, format: disk.format, mode: 'persistent' };
  }
  // With all that it stands on, into one file: what was given stays as it is and may go.
  await runDiskCommand(
    {
      kind: 'convert',
      file: path.resolve(disk.path),
      format: disk.format,
      to,
      toFormat: disk.format,
      compress: false,
      options: {},
    },
    () => undefined,
  );
  return { file, format: disk.format, mode: disk.mode };
}
