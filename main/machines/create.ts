// New machines: what a user wants, completed; a process without a machine makes the folder in one step.
import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type AutomaticCheckpoints,
  type BootConfiguration,
  type MachineRecord,
  type NewDisk,
  type NewMachine,
  USUAL_AUTOMATIC,
} from '../../engine/api/machine.ts';
import { MEMORY_LIMITS, MOST_DISKS } from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';
import { slugOf } from './slug.ts';

/** What is not given is as usual. Relative paths are relative to the working directory. */
export interface WantedMachine {
  readonly name: string;
  /** Bytes. */
  readonly memory?: number;
  /** The default guest unless given. */
  readonly boot?: BootConfiguration;
  readonly disks?: readonly NewDisk[];
  readonly automatic?: AutomaticCheckpoints;
}

const MOST_NUMBERS = 10_000;
/** How often another may take the folder that was just free. */
const ATTEMPTS = 20;

/** With absolute paths of files that are there. Errors: `usage`, `missing`, `denied`, `unsupported`. */
export async function complete(wanted: WantedMachine): Promise<NewMachine> {
  const disks = wanted.disks ?? [];
  if (disks.length > MOST_DISKS) throw new AfterimageError('usage', `A machine has at most ${MOST_DISKS} disks`);
  const boot = await checkedBoot(wanted.boot ?? { kind: 'guest' });
  for (const disk of disks) if (disk.kind === 'existing') await checkReadable(path.resolve(disk.path));
  return {
    name: wanted.name,
    memory: wanted.memory ?? MEMORY_LIMITS.usual,
    boot,
    disks: disks.map(disk => (disk.kind === 'existing' ? { ...disk, path: path.resolve(disk.path) } : disk)),
    automatic: wanted.automatic ?? USUAL_AUTOMATIC,
  };
}

/** With absolute paths of files that are there. Errors: `missing`, `denied`, `unsupported`. */
export async function checkedBoot(wanted: BootConfiguration): Promise<BootConfiguration> {
  const boot = resolvedBoot(wanted, process.cwd());
  for (const file of filesOf(boot)) await checkReadable(file);
  return boot;
}

/** A machine of the same make, with the disks of the original as they are now. */
export function copyOf(record: MachineRecord, folder: string, name: string): NewMachine {
  const { memory, boot, automatic } = record;
  const disks = record.disks.map(({ file, format, mode }): NewDisk => {
    return { kind: 'existing', path: path.join(folder, file), format, mode };
  });
  return { name, memory, boot: resolvedBoot(boot, folder), disks, automatic };
}

/** A path in the library that nothing has yet, for a machine of this name. */
export async function freeFolder(library: string, name: string): Promise<string> {
  const slug = slugOf(name);
  for (let number = 1; number <= MOST_NUMBERS; number++) {
    const folder = path.join(library, number === 1 ? slug : `${slug}-${number}`);
    if (!(await exists(folder))) return folder;
  }
  throw new AfterimageError('state', `The library has too many folders named after '${slug}'`, { path: library });
}

/** Does `work` with a free folder, and with another one if somebody else takes it meanwhile. */
export async function inFreeFolder<Result>(
  library: string,
  name: string,
  work: (folder: string) => Promise<Result>,
): Promise<{ readonly folder: string; readonly result: Result }> {
  for (let attempt = 1; ; attempt++) {
    const folder = await freeFolder(library, name);
    try {
      return { folder, result: await work(folder) };
    } catch (thrown) {
      const taken = AfterimageError.from(thrown).kind === 'state' && (await exists(folder));
      if (!taken || attempt === ATTEMPTS) throw thrown;
    }
  }
}

function resolvedBoot(boot: BootConfiguration, from: string): BootConfiguration {
  if (boot.kind === 'guest') return boot;
  const files = (['kernel', 'initrd', 'firmware', 'elf'] as const).flatMap(name => {
    const file = boot[name];
    return file === undefined ? [] : [[name, path.resolve(from, file)]];
  });
  return { ...boot, ...Object.fromEntries(files) };
}

function filesOf(boot: BootConfiguration): string[] {
  if (boot.kind === 'guest') return [];
  return [boot.kernel, boot.initrd, boot.firmware, boot.elf].filter(file => file !== undefined);
}

async function checkReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
    if ((await stat(file)).isDirectory()) {
      throw new AfterimageError('unsupported', 'It is a folder, not a file', { path: file });
    }
  } catch (thrown) {
    throw hostError(thrown, file, 'read');
  }
}

async function exists(name: string): Promise<boolean> {
  try {
    await access(name);
    return true;
  } catch (thrown) {
    return codeOf(thrown) !== 'ENOENT';
  }
}
