// `afterimage start` and `afterimage console`: powering a machine on, and its console in this terminal.
import type { MachineStatus } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { MachineConnection } from '../engines/connection.ts';
import type { LibraryMachine } from '../machines/library.ts';
import { explain, printable } from './explain.ts';
import { openInput } from './input.ts';
import { type CommonOptions, fail, guestFor, openLibrary } from './machine-command.ts';
import { consoleSize, MachineSession, type SessionEnd } from './machine-session.ts';
import { type EndingSignal, STATUS } from './result.ts';
import { Terminal } from './terminal.ts';

export interface ConsoleOptions extends CommonOptions {
  readonly waitFor?: RegExp;
  readonly timeout?: number;
  readonly input?: string;
  readonly scrollback: number;
}

export interface StartOptions extends ConsoleOptions {
  readonly detach?: true;
  readonly fresh?: true;
  readonly paused?: true;
}

const SIGNALS: Readonly<Record<EndingSignal, number>> = { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 };

/** Powers a machine on. Its process goes on without this one. */
export async function startMachine(name: string, options: StartOptions): Promise<number> {
  return await atConsole('start', name, options, async (connection, { record }) => {
    const { fresh, paused } = options;
    const guest = await guestFor(record);
    const size = consoleSize(outputOf(options));
    const start = () =>
      connection.call('start', {
        ...guest,
        ...(fresh ? { fresh } : {}),
        ...(paused ? { paused } : {}),
        ...(size === undefined ? {} : { consoleSize: size }),
      });
    if (options.detach && options.waitFor === undefined) return await start();
    return await session(connection, options, start);
  });
}

/** The console of a machine that runs. */
export async function showConsole(name: string, options: ConsoleOptions): Promise<number> {
  return await atConsole('show the console of', name, options, async connection => {
    const { state } = await connection.call('status', {});
    if (state === 'off' || state === 'failed') {
      throw new AfterimageError('state', "The machine is off; power it on with 'afterimage start'");
    }
    return await session(connection, options, () => connection.call('status', {}));
  });
}

type AtConsole = (connection: MachineConnection, machine: LibraryMachine) => Promise<MachineStatus | SessionEnd>;

async function atConsole(what: string, name: string, options: StartOptions, work: AtConsole): Promise<number> {
  try {
    const library = await openLibrary(options);
    const machine = await library.find(name);
    using connection = (await library.open(machine.folder)).connection;
    return report(await work(connection, machine), name, options);
  } catch (thrown) {
    return fail(what, name, options, thrown);
  }
}

async function session(connection: MachineConnection, options: StartOptions, begin: () => Promise<MachineStatus>) {
  const output = outputOf(options);
  // A machine that stays behind is not for what is typed here.
  const source = options.detach
    ? await openInput('/dev/null', process.stdin)
    : await openInput(options.input, process.stdin);
  const terminal = new Terminal({ stdin: process.stdin, stderr: process.stderr, output });
  const { waitFor, timeout: timeoutSeconds, scrollback } = options;
  const one = new MachineSession({ connection, source, terminal, output, waitFor, timeoutSeconds, scrollback });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => one.end({ kind: 'signal', signal }));
  return await one.run(begin);
}

function outputOf({ json }: CommonOptions): NodeJS.WriteStream {
  // With --json standard output is for the result alone.
  return json ? process.stderr : process.stdout;
}

function report(result: MachineStatus | SessionEnd, name: string, options: CommonOptions): number {
  const end: SessionEnd | undefined = 'kind' in result ? result : undefined;
  const { status, line } = end === undefined ? { status: STATUS.ok, line: undefined } : resultOf(end, name);
  if (line !== undefined) process.stderr.write(`afterimage: ${line}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ ...result, exitStatus: status }, null, 2)}\n`);
  return status;
}

function resultOf(end: SessionEnd, name: string): { status: number; line: string | undefined } {
  const machine = printable(name);
  switch (end.kind) {
    case 'seen':
    case 'quit':
      return { status: STATUS.ok, line: undefined };
    case 'detached':
      return { status: STATUS.ok, line: `${machine} goes on; 'afterimage console' comes back to it` };
    case 'timeout':
      return { status: STATUS.limit, line: `the time limit of ${end.seconds} s is over; ${machine} goes on` };
    case 'signal':
      return { status: STATUS.signal + SIGNALS[end.signal], line: undefined };
    case 'failed':
      return { status: STATUS.failed, line: `${machine}: ${explain(end.error)}` };
    case 'off':
      return ofMachine(end.status, machine);
  }
}

function ofMachine(
  { state, error, ended }: MachineStatus,
  machine: string,
): { status: number; line: string | undefined } {
  if (state === 'failed') {
    return { status: STATUS.failed, line: `${machine} has failed${error === undefined ? '' : `: ${explain(error)}`}` };
  }
  if (ended === undefined) return { status: STATUS.ok, line: `${machine} is off` };
  // Exit statuses have eight bits: what does not fit must not look like success.
  const code = ended.code >= 0 && ended.code <= 255 ? ended.code : 255;
  if (ended.reason === 'requested') return { status: STATUS.ok, line: `${machine} was powered off` };
  return { status: ended.reason === 'fail' ? code || 1 : code, line: undefined };
}
