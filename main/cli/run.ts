// `afterimage run`.
import {
  type BootSettings,
  type ConsoleSize,
  type DiskSettings,
  type MachineSettings,
  MEMORY_LIMITS,
  MIB,
  type SignatureGranularity,
} from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { explain } from './explain.ts';
import { GuestProgressLine } from './guest-progress.ts';
import { openInput } from './input.ts';
import { whenLauncherEnds } from './launcher.ts';
import { type Decision, type EndingSignal, type RunFacts, resultOf, toJson } from './result.ts';
import { Session } from './session.ts';
import { Terminal } from './terminal.ts';

/** The options of `run`, parsed. */
export interface RunOptions {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly firmware?: string;
  readonly elf?: string;
  readonly memory: number;
  readonly disk?: readonly DiskSettings[];
  readonly waitFor?: RegExp;
  readonly timeout?: number;
  readonly input?: string;
  readonly json?: true;
  readonly signature?: string;
  readonly signatureGranularity: SignatureGranularity;
  readonly maxInstructions?: number;
  readonly trace?: string;
}

const ENDING_SIGNALS: readonly EndingSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A second signal is impatience, but terminals and `timeout` signal the launcher too, and it passes its copy on. */
const COPY_MILLISECONDS = 500;

/** Runs a machine; returns the exit status. Everything that a person is to read has been written by then. */
export async function run(options: RunOptions, engineEntry: URL): Promise<number> {
  // With --json standard output is for the result alone.
  const output = options.json ? process.stderr : process.stdout;
  const startedAt = performance.now();
  const nothing = { decision: undefined, summary: undefined, failure: undefined, consoleBytes: 0 };
  const early = (facts: Partial<RunFacts>): RunFacts => ({
    ...nothing,
    waitFor: options.waitFor !== undefined,
    milliseconds: performance.now() - startedAt,
    ...facts,
  });

  const signals = new SignalWatch();
  let facts: RunFacts;
  try {
    checkCombination(options);
    const source = await openInput(options.input, process.stdin);
    const consoleSize = sizeOf(output);
    const boot = await bootSettings(options, consoleSize, signals);
    const terminal = new Terminal({ stdin: process.stdin, stderr: process.stderr, output });
    const session = new Session({
      engineEntry,
      settings: machineSettings(options, boot, consoleSize),
      source,
      terminal,
      output,
      waitFor: options.waitFor,
      timeoutSeconds: options.timeout,
    });
    signals.handle(decision => session.end(decision));
    facts = await session.run();
  } catch (thrown) {
    const decision = signals.received;
    const failure = { during: 'start', error: AfterimageError.from(thrown).toPlain() } as const;
    facts = early(decision === undefined ? { failure } : { decision });
  }
  return report(facts, options);
}

function report(facts: RunFacts, options: RunOptions): number {
  const result = resultOf(facts);
  if (result.line !== undefined) process.stderr.write(`afterimage: ${result.line}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(toJson(facts, result))}\n`);
  return result.status;
}

/** What options do not go together, said before anything is opened. */
function checkCombination(options: RunOptions): void {
  checkFiles(options);
  const { elf, kernel, initrd, append, firmware, signature } = options;
  if (elf !== undefined && (kernel ?? initrd ?? append ?? firmware) !== undefined) {
    throw usage('--elf runs a program alone; it does not go with --kernel, --initrd, --append or --firmware');
  }
  if (initrd !== undefined && kernel === undefined) throw usage('--initrd needs the --kernel that it is for');
  if (signature !== undefined && elf === undefined) throw usage('--signature needs the --elf that writes it');
}

const FILE_OPTIONS = ['kernel', 'initrd', 'firmware', 'elf', 'input', 'signature', 'trace'] as const;
/** Names of what this process has open, which the engine's process has not. */
const OWN_STREAM = /^(-|\/dev\/(stdin|stdout|stderr|fd\/.*)|\/proc\/(self|\d+)\/fd\/.*)$/;

function checkFiles(options: RunOptions): void {
  const empty = FILE_OPTIONS.find(name => options[name] === '');
  if (empty !== undefined) throw usage(`--${empty} needs the name of a file`);
  for (const name of ['trace', 'signature'] as const) {
    const file = options[name];
    if (file !== undefined && OWN_STREAM.test(file)) {
      throw usage(`--${name} needs a file of its own, not '${file}': standard output is the console's`);
    }
  }
}

async function bootSettings(
  options: RunOptions,
  consoleSize: ConsoleSize | undefined,
  signals: SignalWatch,
): Promise<BootSettings> {
  const { kernel, initrd, append, firmware, elf } = options;
  if (elf !== undefined) return { elf };
  if (kernel !== undefined || firmware !== undefined) return defined({ kernel, initrd, append, firmware });
  if (options.memory < MEMORY_LIMITS.guest) {
    throw usage(`the default guest needs a memory of ${MEMORY_LIMITS.guest / MIB}M at least`);
  }
  // Loaded only now: most scripts bring their own files.
  const { ensureGuest } = await import('../../assets/guest/guest.ts');
  const progress = new GuestProgressLine(process.stderr);
  try {
    const guest = await ensureGuest({ signal: signals.abort, onProgress: step => progress.show(step) });
    const size = consoleSize && `afterimage.rows=${consoleSize.rows} afterimage.cols=${consoleSize.columns}`;
    const words = [guest.append, size, append].filter(part => part !== undefined);
    return { kernel: guest.kernel, initrd: guest.initrd, append: words.join(' ') };
  } finally {
    progress.clear();
  }
}

function machineSettings(options: RunOptions, boot: BootSettings, consoleSize: ConsoleSize | undefined) {
  const { signature: path, signatureGranularity: granularity, maxInstructions, trace } = options;
  const signature = path === undefined ? undefined : { path, granularity };
  const settings: MachineSettings = {
    memory: options.memory,
    boot,
    disks: options.disk ?? [],
    ...defined({ consoleSize, maxInstructions, trace, signature }),
  };
  return settings;
}

function sizeOf(output: NodeJS.WriteStream): ConsoleSize | undefined {
  const { rows, columns } = output;
  return output.isTTY && rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

/** The same object without the fields that are undefined. */
function defined<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Signals that end the run, from the first moment on: first they abort the preparation, then they end the session. */
class SignalWatch {
  readonly #abort = new AbortController();
  #received: Decision | undefined;
  #receivedAt = 0;
  #handle: ((decision: Decision) => void) | undefined;

  constructor() {
    for (const signal of ENDING_SIGNALS) process.on(signal, () => this.#take({ kind: 'signal', signal }));
    // It can be killed only alone, and nobody could end the machine after it.
    whenLauncherEnds(() => this.#take({ kind: 'signal', signal: 'SIGHUP' }));
  }

  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  get received(): Decision | undefined {
    return this.#received;
  }

  handle(handle: (decision: Decision) => void): void {
    this.#handle = handle;
    if (this.#received !== undefined) handle(this.#received);
  }

  #take(decision: Decision): void {
    const now = performance.now();
    if (this.#received !== undefined && now - this.#receivedAt < COPY_MILLISECONDS) return;
    this.#receivedAt = now;
    this.#received ??= decision;
    this.#abort.abort();
    this.#handle?.(decision);
  }
}

function usage(message: string): AfterimageError {
  return new AfterimageError('usage', message);
}

/** For errors outside a run. */
export function complain(thrown: unknown): void {
  process.stderr.write(`afterimage: ${explain(AfterimageError.from(thrown).toPlain())}\n`);
}
