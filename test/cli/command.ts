// The command line as a child process, as scripts use it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from '../host/temporary-folder.ts';

const REAL = path.join(import.meta.dirname, '../../main/cli/afterimage.mjs');
const SMALL = path.join(import.meta.dirname, 'small-cli.ts');

/** Arguments that run a small machine in the given mode. */
export function small(mode: string, ...more: string[]): string[] {
  const kernel = path.join(temporaryFolder(), 'kernel');
  writeFileSync(kernel, 'any file will do');
  return ['run', '--kernel', kernel, '--append', mode, ...more];
}

export interface Ending {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export class Command {
  readonly process: ChildProcess;
  readonly #stdout: Buffer[] = [];
  #stderr = '';

  private constructor(child: ChildProcess) {
    this.process = child;
    child.stdout?.on('data', (bytes: Buffer) => this.#stdout.push(bytes));
    child.stderr?.on('data', (bytes: Buffer) => {
      this.#stderr += bytes;
    });
    onTestFinished(() => void child.kill('SIGKILL'));
  }

  /** The real engine. */
  static real(arguments_: readonly string[]): Command {
    return new Command(spawn(process.execPath, [REAL, ...arguments_]));
  }

  static small(arguments_: readonly string[]): Command {
    const [program, ...words] = Command.line(arguments_);
    return new Command(spawn(program, words));
  }

  /** The words that start the command with a small machine. */
  static line(arguments_: readonly string[]): [string, ...string[]] {
    return [process.execPath, SMALL, ...arguments_];
  }

  /** Resolves when standard output contains the text. */
  async shows(text: string): Promise<void> {
    while (!Buffer.concat(this.#stdout).includes(text)) await once(this.process.stdout!, 'data');
  }

  async showsError(text: string): Promise<void> {
    while (!this.#stderr.includes(text)) await once(this.process.stderr!, 'data');
  }

  async end(): Promise<Ending> {
    const [status, signal] = (await once(this.process, 'close')) as [number | null, string | null];
    return { status, signal, stdout: Buffer.concat(this.#stdout), stderr: this.#stderr };
  }
}

/** Runs to the end with the given input (none: an empty one). */
export async function endOf(command: Command, input: string | Uint8Array = ''): Promise<Ending> {
  command.process.stdin?.on('error', () => {});
  command.process.stdin?.end(input);
  return await command.end();
}
