// A command on a terminal of its own, by script(1).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from '../host/temporary-folder.ts';

const SMALL = path.join(import.meta.dirname, 'small-cli.ts');
const ROWS = 33;
const COLUMNS = 101;

/** A small machine on a terminal of 33 rows and 101 columns, whose settings are noted before and after. */
export class PseudoTerminal {
  readonly #script: ChildProcess;
  readonly #folder = temporaryFolder();
  #screen = Buffer.alloc(0);
  readonly #closed: Promise<unknown>;

  constructor(arguments_: readonly string[]) {
    const command = [process.execPath, SMALL, ...arguments_].map(quoted).join(' ');
    const steps = [
      `stty rows ${ROWS} cols ${COLUMNS}`,
      `stty -a >${this.#file('before')}`,
      // The number of the shell that becomes the command, for signals.
      `sh -c ${quoted(`echo $$ >${this.#file('pid')}; exec ${command}`)}`,
      `echo $? >${this.#file('status')}`,
      `stty -a >${this.#file('after')}`,
    ];
    this.#script = spawn('script', ['-qfec', steps.join('; '), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm' },
    });
    this.#script.stdout!.on('data', (bytes: Buffer) => {
      this.#screen = Buffer.concat([this.#screen, bytes]);
    });
    this.#closed = once(this.#script, 'close');
    onTestFinished(() => void this.#script.kill('SIGKILL'));
  }

  get screen(): string {
    return this.#screen.toString();
  }

  type(text: string): void {
    this.#script.stdin!.write(text);
  }

  async shows(text: string): Promise<void> {
    while (!this.screen.includes(text)) await once(this.#script.stdout!, 'data');
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(Number(this.#read('pid')), signal);
  }

  /** Waits for the end; the exit status, and whether the terminal's settings are as before. */
  async end(): Promise<{ status: number; restored: boolean; before: string; after: string }> {
    await this.#closed;
    const [before, after] = [this.#read('before'), this.#read('after')];
    return { status: Number(this.#read('status')), restored: before === after, before, after };
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  #read(name: string): string {
    return readFileSync(this.#file(name), 'utf8');
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
