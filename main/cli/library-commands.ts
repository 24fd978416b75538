// `afterimage create`, `list`, `rename`, `duplicate` and `delete`.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { type AutomaticCheckpoints, type NewDisk, USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { MEMORY_LIMITS, MIB, MOST_DISKS } from '../../engine/api/settings.ts';
import type { FoundMachine, MachineEntry } from '../machines/entries.ts';
import type { LibraryMachine } from '../machines/library.ts';
import { type BootOptions, bootOf } from './boot-options.ts';
import { confirmed } from './confirm.ts';
import { machineDiskSize } from './disk-options.ts';
import { explain, printable } from './explain.ts';
import { type CommonOptions, defineCommand, type Ended, perform, usage } from './machine-command.ts';
import { parseDisk, parseMemory } from './options.ts';
import { counted, shortSize, stateText, table } from './texts.ts';

interface CreateOptions extends CommonOptions, BootOptions {
  readonly memory: number;
  readonly disk?: readonly NewDisk[];
  readonly every?: number;
}

interface DeleteOptions extends CommonOptions {
  readonly force?: true;
  readonly yes?: true;
  readonly dryRun?: true;
}

const CREATE_HELP = `
A disk is a size, such as 8G, for a new empty one (qcow2; 8G,format=raw for raw), or
FILE[,readonly][,temporary][,format=raw|qcow2], which is copied into the machine's
folder together with all that it stands on. Without --kernel, --firmware and --elf the
machine boots the default guest, which formats its first empty disk and mounts it at
/data. Machines are kept in the user's data folder, in --library, or AFTERIMAGE_LIBRARY.
`;

/** Like a size, whether it can be one or not. */
const SIZE = /^[-+]?\d[\d.,]*([a-z]{0,4}|e\d+)(,format=(raw|qcow2))?$/i;
const LONGEST_EVERY = 7 * 24 * 60;

export function addLibraryCommands(program: Command, ended: Ended): Command[] {
  const create = defineCommand(program, 'create <name>', 'make a machine')
    .addOption(
      new Option('--memory <size>', 'RAM, such as 512M or 2G')
        .argParser(parseMemory)
        .default(MEMORY_LIMITS.usual, `${MEMORY_LIMITS.usual / MIB}M`),
    )
    .option('--disk <size|file[,option]...>', 'a disk; can be given several times', collectNewDisks)
    .option('--kernel <file>', 'kernel: a Linux Image for riscv64 or an ELF file')
    .option('--initrd <file>', 'initial RAM disk for the kernel')
    .option('--append <text>', "the kernel's command line, added to the default guest's")
    .option('--firmware <file>', 'machine-mode firmware instead of the built-in SBI')
    .option('--elf <file>', 'bare-metal ELF64, started in machine mode')
    .option('--every <minutes>', 'a checkpoint every so many minutes while it runs', parseMinutes)
    .addHelpText('after', CREATE_HELP)
    .action(async (name: string, options: CreateOptions) => ended(await createMachine(name, options)));
  const list = defineCommand(program, 'list', 'list all machines')
    .alias('ls')
    .action(async (options: CommonOptions) => ended(await listMachines(options)));
  const rename = defineCommand(program, 'rename <name> <new>', 'give a machine another name').action(
    async (name: string, wanted: string, options: CommonOptions) =>
      ended(
        await perform('rename', name, options, async library => {
          const { folder } = await library.find(name);
          return { json: { folder, ...(await library.rename(folder, wanted)) }, lines: [] };
        }),
      ),
  );
  const duplicate = defineCommand(program, 'duplicate <name> <new>', 'copy a machine that is off, without checkpoints')
    .addHelpText('after', "\nTo copy one that runs, take a checkpoint and use 'clone'.\n")
    .action(async (name: string, wanted: string, options: CommonOptions) =>
      ended(
        await perform('duplicate', name, options, async library =>
          made(await library.duplicate((await library.find(name)).folder, wanted)),
        ),
      ),
    );
  const remove = defineCommand(program, 'delete <name>', 'delete a machine with its disks and checkpoints')
    .option('--force', 'also while it runs')
    .option('--yes', 'do not ask; needed where there is no terminal to ask at')
    .option('--dry-run', 'only say what would go')
    .action(async (name: string, options: DeleteOptions) => ended(await deleteMachine(name, options)));
  return [create, list, rename, duplicate, remove];
}

/** The outcome of making a machine, however it was made. */
export function made({ folder, record }: LibraryMachine) {
  return { json: { ...record, folder }, lines: [`${printable(record.name)} is in ${printable(folder)}`] };
}

function createMachine(name: string, options: CreateOptions): Promise<number> {
  return perform('create', name, options, async library => {
    const { memory, disk, every } = options;
    const automatic = every === undefined ? {} : { automatic: everyMinutes(every, USUAL_AUTOMATIC) };
    return made(await library.create({ name, memory, boot: bootOf(options), disks: disk ?? [], ...automatic }));
  });
}

function everyMinutes(everyMinutes: number, others: AutomaticCheckpoints): AutomaticCheckpoints {
  return { ...others, everyMinutes };
}

function listMachines(options: CommonOptions): Promise<number> {
  return perform('list the library', undefined, options, async library => {
    const entries = await library.list();
    const lines = table([['NAME', 'STATE', 'MEMORY', 'DISKS', 'FOLDER'], ...entries.map(rowOf)]);
    return {
      json: { library: library.folder, machines: entries.map(entryJson) },
      lines: entries.length === 0 ? [`There are no machines in ${printable(library.folder)}`] : lines,
    };
  });
}

function rowOf(entry: MachineEntry): string[] {
  const folder = printable(path.basename(entry.folder));
  if (entry.kind === 'broken') return [folder, 'broken', '', '', explain(entry.problem)];
  const { record, status } = entry;
  const state = stateOf(entry);
  const words = state === 'suspended' ? state : stateText(status);
  return [printable(record.name), words, shortSize(record.memory), String(record.disks.length), folder];
}

function stateOf({ status, suspended }: FoundMachine) {
  return status.state === 'off' && suspended !== undefined ? 'suspended' : status.state;
}

function entryJson(entry: MachineEntry) {
  if (entry.kind === 'broken') return { name: path.basename(entry.folder), state: 'broken', ...entry };
  const { folder, record, status, suspended } = entry;
  return { ...record, folder, state: stateOf(entry), status, ...(suspended === undefined ? {} : { suspended }) };
}

function deleteMachine(name: string, options: DeleteOptions): Promise<number> {
  return perform('delete', name, options, async library => {
    const folder = await library.findFolder(name);
    const { measureFolder } = await import('../machines/measure.ts');
    const contents = await measureFolder(folder);
    const { bytes, disks, checkpoints, others } = contents;
    const parts = [counted(disks, 'layer'), counted(checkpoints, 'checkpoint')];
    if (others > 0) parts.push(`${counted(others, 'file')} that Afterimage has not made`);
    const what = `${printable(folder)} with ${parts.join(', ')}: ${shortSize(bytes)}`;
    const json = { folder, ...contents };
    if (options.dryRun) return { json: { ...json, deleted: false }, lines: [`Would delete ${what}`] };
    if (!options.yes && !process.stdin.isTTY) throw usage('there is no terminal to ask at; say --yes if it is to go');
    if (!options.yes && !(await confirmed(`Delete ${what}? It cannot be undone. [y/N] `))) {
      return { json: { ...json, deleted: false }, lines: ['Nothing is deleted'], status: 1 };
    }
    await library.remove(folder, options.force ? { force: true } : {});
    return { json: { ...json, deleted: true }, lines: [`Deleted ${what}`] };
  });
}

/** `8G`, `8G,format=raw`, or a file as `run` has it. */
export function collectNewDisks(text: string, previous: readonly NewDisk[] = []): NewDisk[] {
  if (previous.length === MOST_DISKS) throw usage(`a machine has at most ${MOST_DISKS} disks`);
  return [...previous, parseNewDisk(text)];
}

function parseNewDisk(text: string): NewDisk {
  if (SIZE.test(text) && !existsSync(text)) {
    const [size, format] = text.split(/,format=/i) as [string, string | undefined];
    return {
      kind: 'new',
      size: machineDiskSize(size, '--disk'),
      format: format?.toLowerCase() === 'raw' ? 'raw' : 'qcow2',
    };
  }
  const { path: file, format, readonly, temporary } = parseDisk(text);
  const mode = readonly ? 'readonly' : temporary ? 'temporary' : 'persistent';
  return { kind: 'existing', path: file, format: format ?? 'raw', mode };
}

export function parseMinutes(text: string): number {
  const minutes = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(minutes <= LONGEST_EVERY))
    throw usage(`--every: '${text}' is no number of minutes; give one from 0 to ${LONGEST_EVERY}`);
  return minutes;
}
