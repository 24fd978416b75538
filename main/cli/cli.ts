// The command line: options, help, and how errors in them are told.
import { Command, CommanderError, Option } from 'commander';
import { GIB, MEMORY_LIMITS, MIB, MOST_DISKS } from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { addApp } from '../serve/command.ts';
import { addDisk } from './disk.ts';
import { printable } from './explain.ts';
import { useMachineEntry } from './machine-command.ts';
import { addMachineCommands } from './machine-commands.ts';
import { collectDisks, parseCount, parseExpression, parseGranularity, parseMemory, parseSeconds } from './options.ts';
import { STATUS } from './result.ts';
import { complain, type RunOptions, run } from './run.ts';
import { versionJson, versionLine } from './version.ts';

export interface CommandLineParts {
  /** Main module of the engine process. */
  readonly engineEntry: URL;
  /** Main module of the process that owns a machine of the library, if not the usual one. */
  readonly machineEntry?: URL;
}

const RUN_HELP = `
Without --kernel, --firmware and --elf the default guest runs: Debian's kernel and a
shell, built on the first start. The guest's serial console is on standard output,
byte for byte; what is typed comes from the terminal, from --input, or from standard
input when that is not a terminal. When the input ends the machine runs on.

Keys at a terminal:
  Ctrl-A x       power the machine off at once and quit
  Ctrl-A h       help
  Ctrl-A Ctrl-A  send Ctrl-A to the guest

A machine has up to ${MOST_DISKS} disks, /dev/vda and so on in the order given. Each is FILE
with any of ,readonly ,temporary (writes are dropped at the end) and ,format=raw
or ,format=qcow2. Without a format it is qcow2 if its name ends in
.qcow2, and raw otherwise: what is in it is never asked, for a guest can write
anything into a raw disk. When the host runs out of room the machine waits for some.

Memory is from ${MEMORY_LIMITS.smallest / MIB}M to ${MEMORY_LIMITS.largest / GIB}G in steps of 1M, ${MEMORY_LIMITS.usual / MIB}M if not given;
the default guest needs ${MEMORY_LIMITS.guest / MIB}M.

With --json the console is on standard error, and standard output gets one object at
the end: outcome (poweroff, fail, exit, limit, seen, not-seen, timeout, quit, signal,
failed), status, code (the guest's), signal, instructions, milliseconds, consoleBytes,
guestErrors (counted by device and kind) and error (kind, message, context).

Exit status:
  0        the guest powered off, --wait-for was seen, or Ctrl-A x
  N        the guest powered off with code N, or a program ended with code N
           (255 for codes that do not fit)
  1        the guest stopped before --wait-for was seen
  2        bad arguments or files that cannot be used
  124      --timeout or --max-instructions
  125      the engine failed
  128+N    ended by signal N
`;

/** Parses the arguments and does what they say; returns the exit status. */
export async function commandLine(arguments_: readonly string[], parts: CommandLineParts): Promise<number> {
  let status: number = STATUS.ok;
  if (parts.machineEntry !== undefined) useMachineEntry(parts.machineEntry);
  const program = new Command('afterimage')
    .description('Runs RV64GC machines.')
    .option('-V, --version', 'print the version')
    .option('--json', 'with --version: everything about version and machine, as JSON')
    .helpCommand('help [command]', 'print help for a command')
    // Options after a command are the command's own.
    .enablePositionalOptions()
    .allowExcessArguments()
    .action(async (options: { version?: true; json?: true }) => {
      const [unknown] = program.args;
      if (unknown !== undefined) program.error(`there is no command '${unknown}'`);
      if (options.version === undefined) program.error('there is nothing to do');
      process.stdout.write(`${options.json ? await versionJson(parts.engineEntry) : versionLine()}\n`);
    });
  const runCommand = addRun(program).action(async (options: RunOptions) => {
    status = await run(options, parts.engineEntry);
  });
  const ended = (result: number) => {
    status = result;
  };
  const others = [...addApp(program, ended), ...addDisk(program, ended), ...addMachineCommands(program, ended)];
  for (const command of [program, runCommand, ...others]) {
    const help = command === program ? 'afterimage --help' : `afterimage ${wordsOf(command)} --help`;
    command.exitOverride().configureOutput({ outputError: (text, write) => write(oneLine(text, help)) });
  }
  try {
    await program.parseAsync(arguments_, { from: 'user' });
    return status;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return STATUS.ok;
    const error = asError(thrown);
    const failed = error.kind === 'usage' ? STATUS.usage : STATUS.failed;
    // Commander has told its own errors.
    if (!(thrown instanceof CommanderError)) complain(thrown);
    if (wantsJson(arguments_)) process.stdout.write(`${JSON.stringify(failureJson(arguments_, failed, error))}\n`);
    return failed;
  }
}

function asError(thrown: unknown): AfterimageError {
  if (!(thrown instanceof CommanderError)) return AfterimageError.from(thrown);
  return new AfterimageError('usage', thrown.message.replace(/^error: /, ''));
}

/** A script that asked for JSON gets it for mistakes in the arguments, too. */
function wantsJson(arguments_: readonly string[]): boolean {
  const end = arguments_.indexOf('--');
  return (end < 0 ? arguments_ : arguments_.slice(0, end)).includes('--json');
}

/** In the form that the command gives its other failures. */
function failureJson(arguments_: readonly string[], status: number, error: AfterimageError) {
  const plain = error.toPlain();
  if (arguments_[0] === 'run') return { outcome: 'failed', status, error: plain };
  return { kind: 'failed', error: plain };
}

function addRun(program: Command): Command {
  return program
    .command('run')
    .description('run a machine with its serial console on the terminal')
    .option('--kernel <file>', 'kernel: a Linux Image for riscv64 or an ELF file')
    .option('--initrd <file>', 'initial RAM disk for the kernel')
    .option('--append <text>', "the kernel's command line, added to the default guest's")
    .option('--firmware <file>', 'machine-mode firmware instead of the built-in SBI')
    .option('--elf <file>', 'bare-metal ELF64, started in machine mode; HTIF is honoured')
    .addOption(
      new Option('--memory <size>', 'RAM, such as 512M or 2G')
        .argParser(parseMemory)
        .default(MEMORY_LIMITS.usual, `${MEMORY_LIMITS.usual / MIB}M`),
    )
    .option('--disk <file[,option]...>', 'disk; can be given several times', collectDisks)
    .option('--wait-for <expression>', 'end with status 0 when the console shows it', parseExpression)
    .option('--timeout <seconds>', 'end with status 124 after so long', parseSeconds)
    .option('--input <file>', 'type the bytes of a file at the console; - is standard input')
    .option('--json', 'print the result as JSON; the console goes to standard error')
    .option('--signature <file>', 'write the signature of the --elf to a file')
    .option('--signature-granularity <bytes>', 'bytes per line: 4, 8 or 16', parseGranularity, 4)
    .option('--max-instructions <number>', 'end with status 124 after so many instructions', parseCount)
    .option('--trace <file>', 'write a commit log: pc, instruction and register writes')
    .allowExcessArguments(false)
    .addHelpText('after', RUN_HELP);
}

/** A command's name with that of the command it belongs to. */
function wordsOf(command: Command): string {
  const parent = command.parent?.name();
  return parent === 'disk' ? `disk ${command.name()}` : command.name();
}

/** Commander's own errors in our form. */
function oneLine(text: string, help: string): string {
  const message = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll(/\s*\n\s*/g, ' ');
  return `afterimage: ${printable(message)}; see '${help}'\n`;
}
