// `afterimage start`, `console`, `stop`, `suspend`, `pause`, `resume`, and `reset`.
import type { Command } from 'commander';
import type { MachineStatus } from '../../engine/api/machine.ts';
import type { MachineConnection } from '../engines/connection.ts';
import type { ConsoleOptions, StartOptions } from './console-command.ts';
import { parseSize } from './disk-options.ts';
import { addExecCommand } from './exec-command.ts';
import { explain, printable } from './explain.ts';
import { type CommonOptions, defineCommand, type Ended, type Outcome, withMachine } from './machine-command.ts';
import { parseExpression, parsePatience, parseSeconds } from './options.ts';
import { stateText } from './texts.ts';

interface StopOptions extends CommonOptions {
  readonly force?: true;
  readonly timeout?: number;
}

/** As much as the machine's process keeps. */
const SCROLLBACK = 256 * 1024;
const TIMED_OUT = 124;
/** A page or a full disk is tried again within a moment: two seconds are patience enough. */
const LOOK_MILLISECONDS = 100;
const MOST_LOOKS = 20;

const START_HELP = `
The machine has a process of its own and goes on without this command: after Ctrl-A d,
when the terminal closes, and when this command is killed. Exit status: that of the
guest when it powers off; 0 for --detach, Ctrl-A d and Ctrl-A x, and when --wait-for was
seen; 124 for --timeout, after which the machine goes on; 1 when it cannot be started; 125
when it has failed.

Keys at a terminal:
  Ctrl-A d       leave the console; the machine goes on
  Ctrl-A x       power the machine off at once and quit
  Ctrl-A h       help
  Ctrl-A Ctrl-A  send Ctrl-A to the guest
`;

export function addPowerCommands(program: Command, ended: Ended): Command[] {
  const define = (words: string, description: string) => defineCommand(program, words, description);
  const withConsole = (command: Command) =>
    command
      .option('--wait-for <expression>', 'leave with status 0 when the console shows it', parseExpression)
      .option('--timeout <seconds>', 'leave with status 124 after so long', parseSeconds)
      .option('--input <file>', 'type the bytes of a file at the console; - is standard input');
  const start = withConsole(define('start <name>', 'power a machine on'))
    .option('--detach', 'do not stay at its console')
    .option('--fresh', 'do not go on from where it was suspended')
    .option('--paused', 'wait before the first instruction')
    .addHelpText('after', START_HELP)
    .action(async (name: string, options: Omit<StartOptions, 'scrollback'>) => {
      const { startMachine } = await import('./console-command.ts');
      ended(await startMachine(name, { ...options, scrollback: 0 }));
    });
  const console = withConsole(define('console <name>', 'go to the console of a machine that runs'))
    .option('--scrollback <size>', 'of what was printed before, show so much first', parseSize, SCROLLBACK)
    .addHelpText('after', START_HELP.slice(START_HELP.indexOf('\nKeys')))
    .action(async (name: string, options: ConsoleOptions) => {
      const { showConsole } = await import('./console-command.ts');
      ended(await showConsole(name, options));
    });
  const stop = define('stop <name>', 'ask the guest to power off, and wait until it has')
    .option('--force', 'power off at once, without asking')
    .option('--timeout <seconds>', 'how long to wait', parsePatience)
    .action(async (name: string, options: StopOptions) => ended(await stopMachine(name, options)));
  const simple = (['suspend', 'pause', 'resume', 'reset'] as const).map(call =>
    define(`${call} <name>`, SIMPLE[call]).action(async (name: string, options: CommonOptions) =>
      ended(await withMachine(call, name, options, connection => SIMPLE_CALLS[call](name, connection))),
    ),
  );
  return [start, console, stop, ...simple, addExecCommand(program, ended)];
}

const SIMPLE = {
  suspend: 'take a checkpoint and power off; the next start goes on from it',
  pause: 'make a machine stand still',
  resume: 'let a machine go on that stands still',
  reset: 'press the reset button',
} as const;

const SIMPLE_CALLS: Readonly<Record<keyof typeof SIMPLE, (name: string, own: MachineConnection) => Promise<Outcome>>> =
  {
    suspend: async (name, connection) => {
      const status = await connection.call('suspend', {});
      return { json: status, lines: [`${printable(name)} is suspended`] };
    },
    pause: async (name, connection) => told(name, await connection.call('pause', {})),
    resume: resumeMachine,
    reset: async (name, connection) => told(name, await connection.call('reset', {})),
  };

function told(name: string, status: MachineStatus): Outcome {
  return { json: status, lines: [`${printable(name)} is ${stateText(status)}`] };
}

/** What the host could not do before it tries once more; that it still cannot is a failure. */
async function resumeMachine(name: string, connection: MachineConnection): Promise<Outcome> {
  let status = await connection.call('resume', {});
  for (let looks = MOST_LOOKS; looks > 0 && status.state === 'paused'; looks--) {
    await new Promise(resolve => setTimeout(resolve, LOOK_MILLISECONDS));
    status = await connection.call('status', {});
  }
  return status.state === 'paused' ? { ...told(name, status), status: 1 } : told(name, status);
}

function stopMachine(name: string, options: StopOptions): Promise<number> {
  return withMachine('stop', name, options, async connection => {
    const { force, timeout } = options;
    const status = await connection.call('stop', {
      ...(force ? { force } : {}),
      ...(timeout === undefined ? {} : { timeoutSeconds: timeout }),
    });
    const off = status.state === 'off' || status.state === 'failed';
    if (!off) process.stderr.write(`afterimage: ${printable(name)} has not powered off; try --force\n`);
    else if (status.error !== undefined) process.stderr.write(`afterimage: ${explain(status.error)}\n`);
    return { ...told(name, status), status: off ? 0 : TIMED_OUT };
  });
}
