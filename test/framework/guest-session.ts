import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';

const cli = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');
/** The default guest's prompt, at the start of a line. */
export const PROMPT = 'root@afterimage:~# ';
/** Long enough for anything that works on a busy machine; only a hang meets it. */
const PATIENCE = 240_000;

/** `afterimage run` as a child process, driven through its console as a person would. */
export class GuestSession implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #chunks: Buffer[] = [];
  #errors = '';
  /** Output that no expectation has consumed yet. */
  #fresh = '';
  #changed: () => void = () => {};
  readonly #exit: Promise<number>;
  #exited = false;

  constructor(words: readonly string[], options: { readonly cwd?: string } = {}) {
    this.#child = spawn(process.execPath, [cli, 'run', ...words], { stdio: 'pipe', ...options });
    this.#child.stdout!.on('data', (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#fresh += bytes.toString('latin1');
      this.#changed();
    });
    this.#child.stderr!.on('data', (bytes: Buffer) => {
      this.#errors += bytes.toString();
    });
    this.#exit = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => {
        this.#exited = true;
        this.#changed();
        resolve(code ?? (signal === null ? -1 : -2));
      });
    });
  }

  /** Everything the console showed. */
  get output(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get errors(): string {
    return this.#errors;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Types bytes; returns when they are on their way. */
  async send(bytes: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#child.stdin!.write(bytes, error => (error ? reject(error) : resolve()));
    });
  }

  endInput(): void {
    this.#child.stdin!.end();
  }

  /** Waits until the console shows the text, and returns what came before it since the last wait. */
  async waitFor(text: string | RegExp): Promise<string> {
    const deadline = performance.now() + PATIENCE;
    for (;;) {
      const found = typeof text === 'string' ? findText(this.#fresh, text) : findExpression(this.#fresh, text);
      if (found !== undefined) {
        const before = this.#fresh.slice(0, found.at);
        this.#fresh = this.#fresh.slice(found.at + found.length);
        return before;
      }
      if (this.#exited || performance.now() > deadline) {
        const why = this.#exited ? 'The guest ended' : 'Nothing came';
        throw new Error(`${why} while waiting for ${text}; last output: ${this.#fresh.slice(-2000)}${this.#errors}`);
      }
      await this.#change(deadline);
    }
  }

  /** Waits for the first prompt. */
  async ready(): Promise<void> {
    await this.waitFor(PROMPT);
  }

  /** Runs a command at the prompt; returns what it printed, without carriage returns. */
  async command(line: string): Promise<string> {
    await this.send(`${line}\n`);
    const printed = await this.waitFor(PROMPT);
    const text = printed.replaceAll('\r', '');
    // The shell's echo of the line comes first.
    return text.slice(text.indexOf('\n') + 1);
  }

  /** Waits for the process to end; its exit status. */
  exit(): Promise<number> {
    return this.#exit;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#exited) this.#child.kill('SIGKILL');
    await this.#exit;
  }

  #change(deadline: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()));
      this.#changed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

interface Found {
  readonly at: number;
  readonly length: number;
}

function findText(text: string, wanted: string): Found | undefined {
  const at = text.indexOf(wanted);
  return at < 0 ? undefined : { at, length: wanted.length };
}

function findExpression(text: string, wanted: RegExp): Found | undefined {
  const match = wanted.exec(text);
  return match === null ? undefined : { at: match.index, length: match[0].length };
}
