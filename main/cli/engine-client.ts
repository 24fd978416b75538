import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command, EngineEvent } from '../../engine/api/messages.ts';

/** Kept of what the engine says on its standard error: the end, where a crash explains itself. */
const LAST_WORDS = 4096;

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The end of what it wrote to its standard error. */
  readonly lastWords: string;
}

export interface EngineClientOptions {
  /** Main module of the engine process. */
  readonly entry: URL;
  readonly onEvent: (event: EngineEvent) => void;
  /** The process has ended, with or without having said so. Always the last call. */
  readonly onExit: (exit: EngineExit) => void;
}

/** The parent's end of an engine process. */
export class EngineClient {
  readonly #process: ChildProcess;

  constructor(options: EngineClientOptions) {
    this.#process = fork(fileURLToPath(options.entry), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // The parent's own flags are not for it.
      execArgv: [],
    });
    let lastWords = '';
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-LAST_WORDS);
    });
    this.#process.on('message', message => options.onEvent(message as EngineEvent));
    let exited = false;
    const exit = (code: number | null, signal: string | null) => {
      if (!exited) options.onExit({ code, signal, lastWords });
      exited = true;
    };
    // `close` comes after the last message and the last output, `exit` may come before them.
    this.#process.on('close', exit);
    this.#process.on('error', error => {
      // A process that could not be started has no end to wait for. Sending to one that ends fails too: `close` follows.
      lastWords = error.message;
      if (this.#process.pid === undefined) exit(null, null);
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  send(command: Command): void {
    if (this.#process.connected) this.#process.send(command, () => {});
  }

  /** Ends the process at once, whatever it is doing. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }
}
