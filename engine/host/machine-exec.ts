// Commands at the default guest's shell, typed at the serial console and read back from it. There is no agent in the
// guest: whoever is attached to the console sees it, and the shell must be waiting for a command.
import { randomBytes } from 'node:crypto';
import { AfterimageError } from '../base/errors.ts';
import type { ConsoleHub } from './console-hub.ts';
import { isAtPrompt, withoutEscapes } from './machine-stop.ts';

/** Output beyond it is not kept; a console is no way to copy files. */
const MOST_OUTPUT = 4 * 1024 * 1024;
/** The shell's line editor takes 1023 characters; longer commands are put together from pieces. */
const LONGEST_LINE = 600;
/** Each takes up to four characters of a line. */
const ESCAPES_A_LINE = 150;
const INTERRUPT = '\u0003';

export interface Executed {
  readonly status: number;
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
  async run(command: string, timeoutSeconds: number, over: () => Promise<void>): Promise<Executed> {
    const deadline = performance.now() + timeoutSeconds * 1000;
    const mine = this.#last.then(() => this.#run(command, deadline, over()));
    this.#last = mine.catch(() => undefined);
    return await mine;
  }

  async #run(command: string, deadline: number, over: Promise<void>): Promise<Executed> {
    const atPrompt = () => isAtPrompt(this.#console);
    const ready = await this.#until(atPrompt, deadline, over);
    if (!ready) {
      throw new AfterimageError(
        'state',
        'The guest’s shell does not wait for a command; something else runs or is typed',
      );
    }
    const [from, to] = [`<${randomBytes(6).toString('hex')}`, `>${randomBytes(6).toString('hex')}`];
    let text = '';
    const decoder = new TextDecoder();
    const end = new RegExp(`\\r?\\n${to} (\\d{1,3})\\r?\\n`);
    let found: RegExpExecArray | null = null;
    const stopListening = this.#console.tap(bytes => {
      text += decoder.decode(bytes, { stream: true });
      const at = text.indexOf(`${from}\r\n`);
      if (at > 0) text = text.slice(at);
      // The end may have come in two pieces.
      found ??= end.exec(text.slice(-Math.max(bytes.length * 2, 200)));
      if (text.length > MOST_OUTPUT) text = `${text.slice(0, from.length + 2)}${text.slice(-MOST_OUTPUT / 2)}`;
    });
    try {
      for (const line of linesFor(command, from, to)) {
        await this.#console.input(new TextEncoder().encode(`${line}\n`));
        if (line.includes(to.slice(1))) break;
        // The next piece is for the next prompt.
        if (!(await this.#until(atPrompt, deadline, over))) throw new AfterimageError('state', 'The shell is gone');
      }
      const done = await this.#until(() => found !== null, deadline, over);
      if (!done) {
        await this.#console.input(new TextEncoder().encode(INTERRUPT)).catch(() => undefined);
        throw new AfterimageError('state', 'The command did not end in time; it was interrupted');
      }
    } finally {
      stopListening();
    }
    const whole = end.exec(text) ?? found!;
    const output = text.slice(from.length, whole.index < from.length ? from.length : whole.index);
    // The shell's prompt comes back before the next command is typed.
    await this.#until(atPrompt, deadline, over);
    return { status: Number(whole[1]), output: plain(output) };
  }

  /** Whether it became so in time. */
  async #until(is: () => boolean, deadline: number, over: Promise<void>): Promise<boolean> {
    let ended = false;
    let wake = () => {};
    void over.then(() => {
      ended = true;
      wake();
    });
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

/** What is typed. The markers are split, so that the shell's echo of the line is not taken for them. */
function linesFor(command: string, from: string, to: string): string[] {
  const split = (marker: string) => `'${marker.slice(0, 4)}''${marker.slice(4)}'`;
  const frame = (run: string) =>
    ` printf '%s\\n' ${split(from)}; ${run} </dev/null; printf '\\n%s %s\\n' ${split(to)} $?`;
  const quoted = `sh -c '${command.replaceAll("'", "'\\''")}'`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the line editor would act on them
  const simple = !/[\u0000-\u001f\u007f]/.test(command) && quoted.length <= LONGEST_LINE;
  if (simple) return [frame(quoted)];
  const lines = [" _c=''"];
  const encoded = [...Buffer.from(command)].map(escaped);
  for (let at = 0; at < encoded.length; at += ESCAPES_A_LINE) {
    lines.push(` _c="$_c"'${encoded.slice(at, at + ESCAPES_A_LINE).join('')}'`);
  }
  lines.push(frame(`sh -c "$(printf "$_c")"`));
  return lines;
}

/** A byte as the shell's `printf` makes it. */
function escaped(byte: number): string {
  const text = String.fromCharCode(byte);
  return /[A-Za-z0-9 _./-]/.test(text) ? text : `\\${byte.toString(8).padStart(3, '0')}`;
}

function plain(output: string): string {
  return withoutEscapes(output).replaceAll('\r\n', '\n').replace(/^\n/, '');
}
