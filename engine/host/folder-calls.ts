// Calls of a process without a machine: making machines' folders, and looking at files that may become one.
import path from 'node:path';
import type { FolderCalls } from '../api/control.ts';
import type { DiskConfiguration, MachineRecord, NewMachine } from '../api/machine.ts';
import { refuseOtherFiles, refuseOtherThanCheckpoint } from './expected-files.ts';
import { importFile, previewFile } from './machine-copies.ts';
import { createMachineFolder } from './machine-folder.ts';
import { newIdentity } from './machine-record.ts';
import { createDisk } from './new-disk-file.ts';

type FolderHandlers = {
  readonly [Name in keyof FolderCalls]: (given: FolderCalls[Name]['arguments']) => Promise<FolderCalls[Name]['result']>;
};

export function folderCalls(): FolderHandlers {
  return {
    create: async ({ folder, machine }) => {
      await refuseOtherFiles(machine);
      return await createMachine(folder, machine);
    },
    preview: async ({ file }) => {
      await refuseOtherThanCheckpoint(path.resolve(file));
      return await previewFile(path.resolve(file));
    },
    import: async given => {
      await refuseOtherThanCheckpoint(path.resolve(given.file));
      return await importFile(given);
    },
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
