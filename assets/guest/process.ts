// Runs the host's programs: output collected or streamed, failures as AfterimageError with the program's own words.
import { type ChildProcess, spawn } from 'node:child_process';
import { AfterimageError, type ErrorContext } from '../../engine/base/errors.ts';

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string;
  /** Called with each whole line that the program writes to file descriptor 3. */
  readonly onStatus?: (line: string) => void;
}

/** The last lines of a program's errors are enough to understand it; apt can write thousands. */
const ERROR_TAIL = 4096;

/** Runs a program and returns its standard output. Messages come in English whatever the user's language. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const chunks: Uint8Array[] = [];
  await stream(program, args, options, chunk => {
    chunks.push(chunk);
  });
  return Buffer.concat(chunks).toString('utf8');
}

/** Runs a program and hands over its standard output piece by piece; a slow `consume` slows the program. */
export async function stream(
  program: string,
  args: readonly string[],
  options: RunOptions,
  consume: (chunk: Uint8Array) => void | Promise<void>,
): Promise<void> {
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C', LANGUAGE: 'C' },
    stdio: ['ignore', 'pipe', 'pipe', options.onStatus ? 'pipe' : 'ignore'],
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const ended = exitOf(child);
  ended.catch(() => {}); // awaited below; until then a failure must not count as unhandled
  const errors = tailOf(child);
  if (options.onStatus) watchLines(child, options.onStatus);
  try {
    for await (const chunk of child.stdout!) await consume(chunk as Uint8Array);
  } catch (thrown) {
    child.kill();
    await ended.catch(() => {});
    options.signal?.throwIfAborted();
    throw thrown;
  }
  let code: number | null;
  try {
    code = await ended;
  } catch (thrown) {
    options.signal?.throwIfAborted();
    throw cannotStart(program, thrown);
  }
  if (code !== 0) throw failure(program, code, errors());
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}

function tailOf(child: ChildProcess): () => string {
  let tail = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-ERROR_TAIL);
  });
  return () => tail;
}

function watchLines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = '';
  const pipe = child.stdio[3] as NodeJS.ReadableStream;
  pipe.setEncoding('utf8');
  pipe.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
}

function cannotStart(program: string, thrown: unknown): AfterimageError {
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return new AfterimageError('missing', `The program ${program} is not installed`, { program });
  return new AfterimageError('io', `The program ${program} could not be started`, { program, code }, { cause: thrown });
}

/** A full disk is told apart because the user can mend it; every other reason is given in the program's words. */
function failure(program: string, code: number | null, errors: string): AfterimageError {
  const context: ErrorContext = { program, exit: code ?? -1, output: errors.trim() };
  if (/No space left on device|enough free space|Disk quota exceeded/i.test(errors)) {
    return new AfterimageError('no-space', `The disk is full: ${program} could not write its files`, context);
  }
  const lines = errors.split('\n').filter(line => line.trim() !== '');
  const telling = lines.filter(line => /^(E:|Err|dpkg-deb: error)/.test(line));
  const reason = (telling.length > 0 ? telling : lines).slice(-2).join('; ') || `exit status ${code}`;
  return new AfterimageError('io', `${program} failed: ${reason}`, context);
}
