// What all commands on machines of the library have in common: where the library is, results for people or as JSON,
// errors with the machine and the step in them.
import type { Command } from 'commander';
import type { CheckpointTreeView } from '../../engine/api/checkpoints.ts';
import type { GuestFiles } from '../../engine/api/control.ts';
import type { MachineRecord } from '../../engine/api/machine.ts';
import { AfterimageError, type PlainError } from '../../engine/base/errors.ts';
import type { MachineConnection } from '../engines/connection.ts';
import type { OpenedMachine } from '../engines/open-machine.ts';
import type { LibraryMachine, MachineLibrary } from '../machines/library.ts';
import { explain, printable } from './explain.ts';
import { STATUS } from './result.ts';

export interface CommonOptions {
  readonly library?: string;
  readonly json?: true;
}

/** What a command has to say. */
export interface Outcome {
  /** One object, printed with `--json`. */
  readonly json: unknown;
  /** Printed otherwise; names in them are made printable by whoever puts them there. */
  readonly lines: readonly string[];
  /** 0 unless given. */
  readonly status?: number;
}

export type Ended = (status: number) => void;

/** The operation did not succeed. */
const FAILED = 1;

/** Main module of machines' processes, if not the usual one. There is one command line in a process. */
let machineEntry: URL | undefined;

export function useMachineEntry(entry: URL): void {
  machineEntry = entry;
}

export function defineCommand(program: Command, words: string, description: string): Command {
  return program
    .command(words)
    .description(description)
    .option('--library <folder>', 'where machines are, instead of the usual place')
    .option('--json', 'print the result as JSON')
    .allowExcessArguments(false);
}

export async function openLibrary(options: CommonOptions): Promise<MachineLibrary> {
  // Loaded only now: `run` and `disk` have no library.
  const [{ MachineLibrary }, { libraryFolder }, { startWithNode }] = await Promise.all([
    import('../machines/library.ts'),
    import('../machines/location.ts'),
    import('../engines/fork-engine.ts'),
  ]);
  const startEngine = (folder: string | undefined) => startWithNode(folder, machineEntry);
  return new MachineLibrary({ folder: libraryFolder(options.library), startEngine });
}

/** Does a command and prints what comes of it. `what` is for errors: 'checkpoint', 'list the library'. */
export async function perform(
  what: string,
  machine: string | undefined,
  options: CommonOptions,
  work: (library: MachineLibrary) => Promise<Outcome>,
): Promise<number> {
  try {
    const { json, lines, status } = await work(await openLibrary(options));
    if (options.json) process.stdout.write(`${JSON.stringify(json, null, 2)}\n`);
    else for (const line of lines) process.stdout.write(`${line}\n`);
    return status ?? STATUS.ok;
  } catch (thrown) {
    return fail(what, machine, options, thrown);
  }
}

/** Tells an error; returns the exit status. */
export function fail(what: string, machine: string | undefined, options: CommonOptions, thrown: unknown): number {
  const error = AfterimageError.from(thrown).toPlain();
  process.stderr.write(`afterimage: ${explainStep(error, what, machine)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ kind: 'failed', error }, null, 2)}\n`);
  if (error.kind === 'usage') return STATUS.usage;
  return error.kind === 'internal' ? STATUS.failed : FAILED;
}

/** `cannot checkpoint 'web': disks/a.qcow2: no space is left on the host; make room and try again`. */
export function explainStep(error: PlainError, what: string, machine: string | undefined): string {
  const { during, lastWords, path, file } = error.context;
  const subject = machine === undefined ? '' : ` '${printable(machine)}'`;
  // Where the reason does not speak for itself.
  const unclear = ['io', 'corrupt', 'no-space', 'internal'].includes(error.kind) && during !== what;
  const step = typeof during === 'string' && unclear ? ` (${printable(during)})` : '';
  const named = { ...error, context: { ...error.context, path: path ?? file } };
  const words = typeof lastWords === 'string' ? `; it said: ${printable(lastWords)}` : '';
  return `cannot ${what}${subject}${step}: ${explain(named)}${words}`;
}

/** Does something with one machine, with its process. */
export function withMachine(
  what: string,
  name: string,
  options: CommonOptions,
  work: (connection: MachineConnection, machine: LibraryMachine, opened: OpenedMachine) => Promise<Outcome>,
): Promise<number> {
  return perform(what, name, options, async library => {
    const machine = await library.find(name);
    const opened = await library.open(machine.folder);
    try {
      return await work(opened.connection, machine, opened);
    } finally {
      opened.connection.close();
    }
  });
}

/** The default guest for a machine that boots it, built first if need be. */
export async function guestFor(record: MachineRecord): Promise<{ guest?: GuestFiles }> {
  if (record.boot.kind !== 'guest') return {};
  const [{ ensureGuest }, { GuestProgressLine }] = await Promise.all([
    import('../../assets/guest/guest.ts'),
    import('./guest-progress.ts'),
  ]);
  const progress = new GuestProgressLine(process.stderr);
  try {
    const { kernel, initrd, append } = await ensureGuest({ onProgress: step => progress.show(step) });
    return { guest: { kernel, initrd, append } };
  } finally {
    progress.clear();
  }
}

const SHOWN_CANDIDATES = 4;

/**
 * The identity of the checkpoint meant: its identity, its name if no other has it, the beginning of its identity,
 * `current` or `latest`. Errors: `missing`, `usage`.
 */
export function checkpointMeant(tree: CheckpointTreeView, text: string): string {
  const { nodes } = tree;
  const latest = nodes.reduce((newest, node) => Math.max(newest, node.takenAt), 0);
  const candidates = [
    nodes.filter(({ id }) => id === text),
    nodes.filter(({ name }) => name === text),
    nodes.filter(({ id }) => /^[0-9a-f]+$/i.test(text) && id.startsWith(text.toLowerCase())),
    text === 'current' ? nodes.filter(({ current }) => current) : [],
    text === 'latest' ? nodes.filter(({ takenAt }) => takenAt === latest).slice(-1) : [],
  ].find(list => list.length > 0);
  if (candidates === undefined) {
    throw new AfterimageError('missing', `There is no checkpoint '${text}'; see 'afterimage tree'`);
  }
  if (candidates.length > 1) {
    const some = candidates.slice(0, SHOWN_CANDIDATES).map(({ id }) => id.slice(0, SHORT_IDENTITY));
    const more = candidates.length > SHOWN_CANDIDATES ? ' and others' : '';
    throw new AfterimageError('usage', `'${text}' can be several checkpoints: ${some.join(', ')}${more}`);
  }
  return candidates[0]!.id;
}

/** Digits of an identity that people are shown; enough to be unique in any tree. */
export const SHORT_IDENTITY = 8;

export function usage(message: string): AfterimageError {
  return new AfterimageError('usage', message);
}
