import { spawnSync } from 'node:child_process';
import type { ReadStream } from 'node:tty';
import { ScreenModes } from './screen-modes.ts';

const LINE_FEED = 0x0a;

export interface TerminalStreams {
  readonly stdin: NodeJS.ReadStream;
  readonly stderr: NodeJS.WriteStream;
  /** Where console output goes. */
  readonly output: NodeJS.WriteStream;
}

/** The user's terminal: raw while the guest has it, and put back as it was whatever happens. */
export class Terminal {
  readonly #streams: TerminalStreams;
  readonly #modes = new ScreenModes();
  #raw = false;
  /** The guest's last line has no end yet, and the next prompt is to stand in a line of its own. */
  #inLine = false;
  readonly #restoreAtExit = () => this.restore();
  /** After a stop the shell may have changed the terminal's mode. */
  readonly #continue = () => {
    if (!this.#raw) return;
    this.#stdin.setRawMode(false);
    this.#makeRaw();
  };

  constructor(streams: TerminalStreams) {
    this.#streams = streams;
    process.on('exit', this.#restoreAtExit);
  }

  /** Hands the keyboard to the guest: every key arrives as typed. */
  enter(): void {
    this.#raw = true;
    this.#makeRaw();
    process.on('SIGCONT', this.#continue);
  }

  /** Console output on its way to the terminal. */
  observe(output: Uint8Array): void {
    if (!this.#streams.output.isTTY || output.length === 0) return;
    this.#modes.feed(output);
    this.#inLine = output.at(-1) !== LINE_FEED;
  }

  /** As it was before; may be called any number of times. */
  restore(): void {
    if (this.#streams.output.isTTY) {
      const undo = this.#modes.undo() + (this.#inLine ? '\r\n' : '');
      if (undo !== '') this.#streams.output.write(undo);
      this.observe(Buffer.from(undo));
    }
    if (!this.#raw) return;
    this.#raw = false;
    this.#stdin.setRawMode(false);
    process.off('SIGCONT', this.#continue);
  }

  /** A line of our own, beside the guest's output. */
  say(text: string): void {
    // A raw terminal does not return the carriage by itself, and the guest's cursor may stand anywhere in its line.
    this.#streams.stderr.write(this.#raw ? `\r\n${text}\r\n` : `${text}\n`);
    this.#inLine = false;
  }

  /**
   * Node's raw mode is about input; the terminal still puts a carriage return before each line feed of the output, which
   * spoils what full-screen programs of the guest draw. Leaving the mode puts that back too.
   */
  #makeRaw(): void {
    this.#stdin.setRawMode(true);
    // Without stty (not on every system) output is merely less exact.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }

  get #stdin(): ReadStream {
    return this.#streams.stdin as ReadStream;
  }
}
