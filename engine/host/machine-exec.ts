// Commands at the default guest's shell, typed at the serial console and read back from it. There is no agent in the
// guest: whoever is attached to the console sees it, and the shell must be waiting for a command.
import { randomBytes } from 'node:crypto';
import { AfterimageError } from '../base/errors.ts';
import type { ConsoleHub } from './console-hub.ts';
import { ECHO_AGAIN, END_OF_INPUT, inputPiece, linesFor } from './exec-lines.ts';
import { ExecOutput } from './exec-output.ts';
import { isAtPrompt } from './machine-stop.ts';

/** Output that nobody takes as it comes is kept up to this; of more, the end of it. */
const MOST_OUTPUT = 4 * 1024 * 1024;
/** Bytes of input that are typed at a time. */
const INPUT_PIECE = 32 * 1024;
const INTERRUPT = '\u0003';

export interface ExecOptions {
  readonly command: string;
  readonly promptSeconds: number;
  readonly timeoutSeconds: number;
  readonly input?: Uint8Array | undefined;
  /**
   * Where output goes as it comes: called with what listens to the console, returns what ends that. Without it the
   * output is collected.
   */
  readonly stream?: ((parse: (bytes: Uint8Array) => string) => () => void) | undefined;
}

export interface Executed {
  readonly status: number;
  /** Empty when it went elsewhere. */
  readonly output: string;
}

/** One command at a time, in the order in which they were asked for. */
export class MachineExec {
  readonly #console: ConsoleHub;
  #last: Promise<unknown> = Promise.resolve();

  constructor(console: ConsoleHub) {
    this.#console = console;
  }

  /** @throws AfterimageError `state` when the shell is not there in time, or the command does not end in time */
  async run(options: ExecOptions, over: () => Promise<void>): Promise<Executed> {
    // What others run before is part of the way to the prompt.
    const deadline = deadlineIn(options.promptSeconds);
    const before = this.#last;
    const mine = inTime(before, deadline).then(() => this.#run(options, deadline, over()));
    // One that gave up waiting has typed nothing: the next one waits for those before it.
    this.#last = Promise.allSettled([before, mine]);
    return await mine;
  }

  async #run(options: ExecOptions, promptDeadline: number, over: Promise<void>): Promise<Executed> {
    const { command, timeoutSeconds, input, stream } = options;
    const atPrompt = () => isAtPrompt(this.#console);
    if (!(await this.#until(atPrompt, promptDeadline, over))) throw notAtPrompt();
    const [from, to] = [`<${randomBytes(6).toString('hex')}`, `>${randomBytes(6).toString('hex')}`];
    const output = new ExecOutput(from, to);
    let collected = '';
    let changed = () => {};
    const parse = (bytes: Uint8Array) => {
      const text = output.feed(bytes);
      changed();
      return text;
    };
    const collect = (bytes: Uint8Array) => {
      collected += parse(bytes);
      if (collected.length > MOST_OUTPUT) collected = collected.slice(-MOST_OUTPUT / 2);
    };
    const stopListening = stream === undefined ? this.#console.tap(collect) : stream(parse);
    const until = (is: () => boolean, deadline: number) =>
      this.#until(is, deadline, over, wake => {
        changed = wake;
      });
    try {
      const deadline = deadlineIn(timeoutSeconds);
      const lines = linesFor(command, from, to, input !== undefined);
      for (const [index, line] of lines.entries()) {
        await this.#type(`${line}\n`);
        if (index === lines.length - 1) break;
        // The next piece is for the next prompt.
        if (!(await until(atPrompt, deadline))) throw new AfterimageError('state', 'The shell is gone');
      }
      const ended = () => output.status !== undefined;
      const fed =
        input === undefined || (await this.#feed(input, () => until(() => output.started, deadline), deadline));
      if (!fed || !(await until(ended, deadline))) {
        await this.#interrupt(input !== undefined, over);
        throw new AfterimageError('state', 'The command did not end in time; it was interrupted');
      }
      // The shell's prompt comes back before the next command is typed.
      await until(atPrompt, deadlineIn(options.promptSeconds));
      return { status: output.status!, output: collected };
    } finally {
      stopListening();
    }
  }

  /** False when there was no time for all of it. */
  async #feed(input: Uint8Array, started: () => Promise<boolean>, deadline: number): Promise<boolean> {
    if (!(await started())) return false;
    for (let at = 0; at < input.length; ) {
      if (performance.now() > deadline) return false;
      const { text, next } = inputPiece(input, at, INPUT_PIECE);
      await this.#type(text);
      at = next;
    }
    await this.#type(END_OF_INPUT);
    return true;
  }

  async #interrupt(hadInput: boolean, over: Promise<void>): Promise<void> {
    try {
      await this.#type(INTERRUPT);
      if (!hadInput) return;
      const soon = deadlineIn(2);
      if (await this.#until(() => isAtPrompt(this.#console), soon, over)) await this.#type(`${ECHO_AGAIN}\n`);
    } catch {
      // The machine has ended; there is nothing to be interrupted.
    }
  }

  async #type(text: string): Promise<void> {
    await this.#console.input(new TextEncoder().encode(text));
  }

  /** Whether it became so in time. `wakeBy` gets what else may make it look. */
  async #until(
    is: () => boolean,
    deadline: number,
    over: Promise<void>,
    wakeBy: (wake: () => void) => void = () => {},
  ): Promise<boolean> {
    let ended = false;
    let wake = () => {};
    void over.then(() => {
      ended = true;
      wake();
    });
    wakeBy(() => wake());
    const stopListening = this.#console.tap(() => wake());
    try {
      while (!is()) {
        if (ended) throw new AfterimageError('state', 'The machine ended');
        const left = deadline - performance.now();
        if (left <= 0) return false;
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      return true;
    } finally {
      stopListening();
    }
  }
}

function notAtPrompt(): AfterimageError {
  const message = 'The guest’s shell does not wait for a command; something else runs or is typed';
  return new AfterimageError('state', message);
}

async function inTime(before: Promise<unknown>, deadline: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(notAtPrompt()), Math.max(0, deadline - performance.now()));
  });
  try {
    await Promise.race([before, late]);
  } finally {
    clearTimeout(timer);
  }
}

function deadlineIn(seconds: number): number {
  return performance.now() + seconds * 1000;
}
