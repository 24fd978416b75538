// `afterimage configure`: memory, boot files, disks and automatic checkpoints of a machine.
import path from 'node:path';
import type { Command } from 'commander';
import type { DetachedDisk } from '../../engine/api/control.ts';
import type {
  BootConfiguration,
  DiskConfiguration,
  DiskMode,
  MachineConfiguration,
  MachineRecord,
  NewDisk,
} from '../../engine/api/machine.ts';
import type { MachineConnection } from '../engines/connection.ts';
import { type BootOptions, bootOf } from './boot-options.ts';
import { confirmed } from './confirm.ts';
import { printable } from './explain.ts';
import { JobLine } from './job-progress.ts';
import { collectNewDisks, parseMinutes } from './library-commands.ts';
import { type CommonOptions, defineCommand, type Ended, type Outcome, usage, withMachine } from './machine-command.ts';
import { parseMemory } from './options.ts';
import { counted, shortSize } from './texts.ts';

interface ConfigureOptions extends CommonOptions, BootOptions {
  readonly memory?: number;
  readonly every?: number;
  readonly guest?: true;
  readonly addDisk?: readonly NewDisk[];
  readonly attachDisk?: readonly string[];
  readonly removeDisk?: readonly number[];
  readonly diskMode?: readonly ModeChange[];
  readonly deleteFiles?: true;
  readonly deleteKept?: readonly string[];
  readonly yes?: true;
}

interface ModeChange {
  readonly disk: number;
  readonly mode: DiskMode;
}

const MODES: readonly DiskMode[] = ['persistent', 'temporary', 'readonly'];

const CONFIGURE_HELP = `
Only --every can be changed while the machine runs. What boots counts from the next
power-on; of --kernel, --initrd, --append and --firmware those that are not given stay,
and an empty one is taken away; --guest goes back to the default guest.

Disks have the numbers that 'afterimage disks' shows, before anything is changed; removed
ones go first, then modes change, then others are added behind those that are there. A
disk to add is given as for 'create'. A removed disk is kept in the machine's folder and
can be attached again, under the name that is printed, unless --delete-files is given;
checkpoints have the disks of their moment in any case, and going back to one brings them
back. To make a disk larger see 'afterimage disks NAME resize'.
`;

export function addConfigureCommand(program: Command, ended: Ended): Command {
  return defineCommand(program, 'configure <name>', 'change a machine that is off')
    .option('--memory <size>', 'RAM', parseMemory)
    .option('--every <minutes>', 'a checkpoint every so many minutes while it runs; 0 for none', parseMinutes)
    .option('--kernel <file>', 'kernel: a Linux Image for riscv64 or an ELF file')
    .option('--initrd <file>', 'initial RAM disk for the kernel')
    .option('--append <text>', "the kernel's command line, added to the default guest's")
    .option('--firmware <file>', 'machine-mode firmware instead of the built-in SBI')
    .option('--elf <file>', 'bare-metal ELF64, started in machine mode')
    .option('--guest', 'boot the default guest')
    .option('--add-disk <size|file[,option]...>', 'add a disk; can be given several times', collectNewDisks)
    .option('--attach-disk <layer>', 'add a disk that was removed and kept', collectWords)
    .option('--remove-disk <number>', 'remove a disk; can be given several times', collectNumbers)
    .option('--disk-mode <number=mode>', 'make a disk persistent, temporary or readonly', collectModes)
    .option('--delete-files', 'delete what checkpoints do not need of removed disks')
    .option('--delete-kept <layer>', 'delete a disk that was removed and kept', collectWords)
    .option('--yes', 'do not ask before something is deleted')
    .addHelpText('after', CONFIGURE_HELP)
    .action(async (name: string, options: ConfigureOptions) => ended(await configureMachine(name, options)));
}

function configureMachine(name: string, options: ConfigureOptions): Promise<number> {
  return withMachine('configure', name, options, async connection => {
    const before = await connection.call('machine', {});
    const change = await changeOf(before, options);
    const { addDisk = [], attachDisk = [], removeDisk = [], deleteKept = [] } = options;
    const steps = addDisk.length + attachDisk.length + removeDisk.length + deleteKept.length;
    if (Object.keys(change).length + steps === 0) throw usage('there is nothing to change');
    const numbers = [...new Set(removeDisk)].sort((one, other) => other - one);
    for (const number of numbers) checkNumber(before, number);
    if (!(await agreed(connection, numbers, options)))
      return { json: before, lines: ['Nothing is changed'], status: 1 };
    const lines: string[] = [];
    if (Object.keys(change).length > 0) await connection.call('configure', { change });
    // From the last on, so that the numbers of those before stay what they are.
    for (const disk of numbers) lines.push(await removeDiskOf(connection, before, disk, options));
    for (const file of deleteKept) await connection.call('delete-detached', { file });
    const progress = new JobLine(options);
    connection.on('job', ({ job }) => job.state === 'running' && progress.show(job));
    try {
      for (const disk of addDisk) await connection.call('add-disk', { disk: absolute(disk) });
      for (const file of attachDisk) await connection.call('add-disk', { disk: { kind: 'detached', file } });
    } finally {
      progress.clear();
    }
    return summary(await connection.call('machine', {}), await connection.call('detached-disks', {}), lines);
  });
}

async function changeOf(before: MachineRecord, options: ConfigureOptions): Promise<Partial<MachineConfiguration>> {
  const { memory, every, diskMode = [] } = options;
  const boot = newBoot(before.boot, options);
  for (const { disk } of diskMode) checkNumber(before, disk);
  const disks = before.disks.map((disk, number): DiskConfiguration => {
    const mode = diskMode.findLast(one => one.disk === number)?.mode;
    return mode === undefined ? disk : { ...disk, mode };
  });
  const { checkedBoot } = await import('../machines/create.ts');
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(every === undefined ? {} : { automatic: { ...before.automatic, everyMinutes: every } }),
    ...(boot === undefined ? {} : { boot: await checkedBoot(boot) }),
    ...(diskMode.length === 0 ? {} : { disks }),
  };
}

/** Undefined when nothing of it is to change. */
function newBoot(before: BootConfiguration, options: ConfigureOptions): BootConfiguration | undefined {
  const { kernel, initrd, append, firmware, elf, guest } = options;
  const given = Object.entries({ kernel, initrd, append, firmware, elf }).filter(([, value]) => value !== undefined);
  if (guest !== undefined) {
    if (given.some(([option]) => option !== 'append'))
      throw usage('--guest boots the default guest, without own files');
    const said = append ?? before.append;
    return said === undefined || said === '' ? { kind: 'guest' } : { kind: 'guest', append: said };
  }
  if (given.length === 0) return undefined;
  // A program alone and a kernel exclude each other: what is given last counts.
  const stays = Object.entries(elf === undefined && kernel === undefined ? before : { ...before, elf, kernel });
  const alone = elf === undefined ? [] : ['initrd', 'firmware', 'append'];
  const all = new Map<string, unknown>(stays.filter(([option]) => option !== 'kind' && !alone.includes(option)));
  for (const [option, value] of given) all.set(option, value);
  return bootOf(Object.fromEntries([...all].filter(([, value]) => value !== undefined && value !== '')));
}

/** What goes for good is said before. */
async function agreed(
  connection: MachineConnection,
  numbers: readonly number[],
  { deleteFiles, deleteKept = [], yes, json }: ConfigureOptions,
): Promise<boolean> {
  const going: string[] = [];
  for (const disk of deleteFiles ? numbers : []) {
    const { device, layers, bytes, checkpoints } = await connection.call('disk-removal', { disk });
    const stays = checkpoints === 0 ? 'no checkpoint has it' : `${counted(checkpoints, 'checkpoint')} keep their own`;
    going.push(`disk ${disk} (${printable(device)}): ${counted(layers, 'layer')}, ${shortSize(bytes)}; ${stays}`);
  }
  for (const file of deleteKept) going.push(`the kept disk ${printable(file)}`);
  if (going.length === 0 || yes) return true;
  if (!process.stdin.isTTY || json) throw usage(`say --yes if this is to be deleted: ${going.join(', ')}`);
  return await confirmed(`Delete ${going.join(', ')}? It cannot be undone. [y/N] `);
}

async function removeDiskOf(
  connection: MachineConnection,
  before: MachineRecord,
  disk: number,
  { deleteFiles }: ConfigureOptions,
): Promise<string> {
  await connection.call('remove-disk', { disk, files: deleteFiles ? 'delete' : 'keep' });
  if (deleteFiles) return `Disk ${disk} is deleted`;
  const file = printable(before.disks[disk]!.file);
  return `Disk ${disk} is kept as ${file}; --attach-disk ${file} adds it again`;
}

function summary(machine: MachineRecord, detached: readonly DetachedDisk[], lines: readonly string[]): Outcome {
  const { memory, boot, disks, automatic } = machine;
  const files = Object.entries(boot).filter(([option]) => option !== 'kind');
  const words = files.map(([option, value]) => `${option} ${printable(String(value))}`);
  const starts = [boot.kind === 'guest' ? 'the default guest' : 'own files', ...words].join(', ');
  const every = automatic.everyMinutes === 0 ? [] : [`checkpoint every ${counted(automatic.everyMinutes, 'minute')}`];
  return {
    json: { ...machine, detached },
    lines: [
      ...lines,
      `Memory ${shortSize(memory)}; boots ${starts}${every.map(text => `; ${text}`).join('')}`,
      ...disks.map(({ file, format, mode }, number) => `disk ${number}: ${printable(file)}, ${format}, ${mode}`),
    ],
  };
}

function checkNumber({ disks }: MachineRecord, number: number): void {
  if (number < disks.length) return;
  const there = disks.length === 0 ? 'it has none' : `the last one is ${disks.length - 1}`;
  throw usage(`the machine has no disk ${number}; ${there}`);
}

function absolute(disk: NewDisk): NewDisk {
  return disk.kind === 'new' ? disk : { ...disk, path: path.resolve(disk.path) };
}

function collectWords(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

function collectNumbers(text: string, previous: readonly number[] = []): number[] {
  if (!/^\d$/.test(text)) throw usage(`--remove-disk: '${text}' is no number of a disk; the first is 0`);
  return [...previous, Number(text)];
}

function collectModes(text: string, previous: readonly ModeChange[] = []): ModeChange[] {
  const [, disk, word] = /^(\d)=(\w+)$/.exec(text) ?? [];
  const mode = MODES.find(one => one === word);
  if (disk === undefined || mode === undefined) {
    throw usage(`--disk-mode: '${text}' is no change; give a disk and a mode, such as 1=temporary or 0=readonly`);
  }
  return [...previous, { disk: Number(disk), mode }];
}
