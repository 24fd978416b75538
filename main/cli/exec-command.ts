// `afterimage exec`: a command in the default guest, with its input, output and status.
import { isatty } from 'node:tty';
import type { Command } from 'commander';
import { MOST_EXEC_INPUT } from '../../engine/api/control.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { MachineConnection } from '../engines/connection.ts';
import { type CommonOptions, defineCommand, type Ended, usage, withMachine } from './machine-command.ts';
import { parsePatience } from './options.ts';

interface ExecOptions extends CommonOptions {
  readonly timeout: number;
  readonly promptTimeout: number;
  readonly input: boolean;
}

/** After its limits, a command is interrupted and what came of it told: that takes a moment. */
const ANSWER_SECONDS = 5;

const EXEC_HELP = `
The command is typed at the shell on the default guest's serial console. One argument is
a line for the shell; of several each stays one word. There is no agent in the guest:
the shell must be waiting for a command, which --prompt-timeout waits for; then the
command may take as long as --timeout says before it is interrupted, its input included.

Output is printed as it comes; a terminal's, so that error output is part of it, and with
line ends of this host; programs that ask find a terminal. Standard input that is no
terminal is given to the command byte for byte, up to ${MOST_EXEC_INPUT / 2 ** 20} MiB: it is read to its end first,
goes through the console as base64, and into a temporary file of the guest, which is the
command's input. --no-input leaves it alone. Exit status: the command's; 1 when it cannot
be run, takes too long or some of its output was lost.
`;

export function addExecCommand(program: Command, ended: Ended): Command {
  return defineCommand(
    program,
    'exec <name> <command...>',
    "run a command in the default guest, as 'exec NAME -- COMMAND'",
  )
    .option('--timeout <seconds>', 'how long the command may take', parsePatience, 60)
    .option('--prompt-timeout <seconds>', 'how long to wait for the shell', parsePatience, 60)
    .option('--no-input', 'the command has no input, whatever standard input is')
    .addHelpText('after', EXEC_HELP)
    .action(async (name: string, words: readonly string[], options: ExecOptions) =>
      ended(await execute(name, words, options)),
    );
}

function execute(name: string, words: readonly string[], options: ExecOptions): Promise<number> {
  return withMachine('run a command in', name, options, async connection => {
    const command = words.length === 1 ? words[0]! : words.map(quoted).join(' ');
    if (command === '') throw usage('there is no command to run');
    const { timeout, promptTimeout, json } = options;
    const input = options.input && !isatty(0) ? await readInput(process.stdin, promptTimeout) : undefined;
    const stream = json === undefined;
    using output = new StreamedOutput(connection);
    const limits = { promptSeconds: promptTimeout, timeoutSeconds: timeout };
    const {
      status,
      output: collected,
      missed,
    } = await answerWithin(
      timeout + promptTimeout,
      connection.call('exec', { command, ...limits, stream, ...(input === undefined ? {} : { input }) }),
    );
    await output.written();
    const lost = missed === undefined ? {} : { missed };
    if (missed !== undefined)
      process.stderr.write(`afterimage: ${missed} bytes of output were lost: they were not read\n`);
    return {
      json: { status, output: collected, ...lost },
      lines: [],
      status: missed === undefined ? status : status || 1,
    };
  });
}

/** Prints what comes, and says so when the reader of our output has taken it. */
class StreamedOutput implements Disposable {
  readonly #stop: () => void;
  #last: Promise<void> = Promise.resolve();

  constructor(connection: MachineConnection) {
    this.#stop = connection.on('exec-output', ({ text, count }) => {
      this.#last = new Promise(resolve => {
        // Output that nobody reads any more is taken all the same.
        process.stdout.write(text, () => {
          connection.call('exec-taken', { count }).catch(() => {});
          resolve();
        });
      });
    });
  }

  written(): Promise<void> {
    return this.#last;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

/** All of it. Undefined when there is nothing, so that the command is run as one without input. */
async function readInput(stream: NodeJS.ReadStream, seconds: number): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const late = setTimeout(() => {
    const message = 'Standard input has not ended in time; close it, or use --no-input';
    stream.destroy(new AfterimageError('state', message));
  }, seconds * 1000);
  try {
    for await (const piece of stream) {
      pieces.push(piece as Uint8Array);
      length += (piece as Uint8Array).length;
      if (length > MOST_EXEC_INPUT) {
        throw new AfterimageError('too-large', `The input is longer than ${MOST_EXEC_INPUT / 2 ** 20} MiB`);
      }
    }
  } catch (thrown) {
    // Closed by whoever started us.
    if ((thrown as NodeJS.ErrnoException).code !== 'EBADF') throw thrown;
  } finally {
    clearTimeout(late);
  }
  return length === 0 ? undefined : Buffer.concat(pieces);
}

/** The machine's process keeps to the limits itself, unless it stands still; nobody is to wait for that. */
async function answerWithin<Result>(seconds: number, answer: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    const message = 'The shell does not wait for a command: something runs or is typed there, or the machine is paused';
    timer = setTimeout(() => reject(new AfterimageError('state', message)), (seconds + ANSWER_SECONDS) * 1000);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** As one word of the shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
