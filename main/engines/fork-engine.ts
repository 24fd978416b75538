// Starting a machine's process. Electron's way of doing it has the same shape, in main/app.
import { fork } from 'node:child_process';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlTransport } from './transport.ts';

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process of engine/host/machine-process.ts that this process has started. */
export interface ForkEngine {
  readonly pid: number | undefined;
  send(message: unknown): void;
  /** Listeners are set before anything can have come. */
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, after the last message. */
  onExit(listener: (exit: EngineExit) => void): void;
  /** Ends it at once, whatever it is doing. */
  kill(): void;
  /** Closes the channel and waits for it no longer; it ends by itself when its machine is off. */
  letGo(): void;
  /** The end of what it wrote to its standard error. */
  lastWords(): string;
}

/** With a machine's folder; without one the process serves calls that need none (FolderCalls). */
export type StartEngine = (folder: string | undefined) => ForkEngine;

const ENTRY = new URL('../../engine/host/machine-process.ts', import.meta.url);

/** What processes of a machine wrote to their standard error; they may outlive those who could read it from a pipe. */
const WORDS_FILE = 'last-words.log';
const MOST_WORDS = 256 * 1024;
/** Kept of what a process says: the end, where a crash explains itself. */
const LAST_WORDS = 4096;

/** Starts it with Node; it is in a process group of its own, so that keys at a terminal do not reach it. */
export function startWithNode(folder: string | undefined, entry: URL = ENTRY): ForkEngine {
  const words = folder === undefined ? undefined : openWords(folder);
  const child = fork(fileURLToPath(entry), folder === undefined ? [] : [folder], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', words?.descriptor ?? 'ignore', 'ipc'],
    // The parent's own flags are not for it.
    execArgv: [],
    detached: true,
    windowsHide: true,
  });
  if (words !== undefined) closeSync(words.descriptor);
  let problem = '';
  return {
    pid: child.pid,
    send: message => {
      if (child.connected) child.send(message as object, () => {});
    },
    onMessage: listener => void child.on('message', listener),
    onExit: listener => {
      let exited = false;
      const exit = (code: number | null, signal: string | null) => {
        if (!exited) listener({ code, signal });
        exited = true;
      };
      // `close` comes after the last message and the last output, `exit` may come before them.
      child.on('close', exit);
      child.on('error', error => {
        // A process that could not be started has no end to wait for. Sending to one that ends fails too: `close` follows.
        problem = error.message;
        if (child.pid === undefined) exit(null, null);
      });
    },
    kill: () => void child.kill('SIGKILL'),
    letGo: () => {
      if (child.connected) child.disconnect();
      child.unref();
    },
    lastWords: () => (folder === undefined ? problem : wordsOf(folder, words?.from) || problem),
  };
}

/** What a machine's process wrote last, at most `LAST_WORDS` of it; empty when nothing is known. */
export function wordsOf(folder: string, from = 0): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path.join(folder, WORDS_FILE), safely(constants.O_RDONLY));
    const info = fstatSync(descriptor);
    if (!info.isFile()) return '';
    const start = Math.max(from, info.size - LAST_WORDS);
    const bytes = Buffer.alloc(LAST_WORDS);
    const length = readSync(descriptor, bytes, 0, LAST_WORDS, start);
    return bytes.toString('utf8', 0, length);
  } catch {
    return '';
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function openWords(folder: string): { descriptor: number; from: number } | undefined {
  let descriptor: number | undefined;
  try {
    const flags = safely(constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT);
    descriptor = openSync(path.join(folder, WORDS_FILE), flags, 0o600);
    const info = fstatSync(descriptor);
    if (!info.isFile()) throw new Error('not a regular file');
    if (info.size > MOST_WORDS) ftruncateSync(descriptor);
    return { descriptor, from: info.size > MOST_WORDS ? 0 : info.size };
  } catch {
    // A folder that cannot be written, or something else in that place: it runs all the same.
    if (descriptor !== undefined) closeSync(descriptor);
    return undefined;
  }
}

/** Neither through a link nor waiting for the other end of a pipe. */
function safely(flags: number): number {
  return flags | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
}

/** A forked process as a transport. */
export function forkTransport(engine: ForkEngine): ControlTransport {
  return {
    open: ({ message, end }) => {
      engine.onMessage(message);
      engine.onExit(exit => end({ ...exit, lastWords: engine.lastWords() }));
    },
    send: message => engine.send(message),
    close: () => engine.letGo(),
  };
}
