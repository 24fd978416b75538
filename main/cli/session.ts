// One run of a machine on the command line: engine on one side, terminal or files on the other.
import type { EngineEvent, RunSummary } from '../../engine/api/messages.ts';
import type { MachineSettings } from '../../engine/api/settings.ts';
import type { PlainError } from '../../engine/base/errors.ts';
import { ConsoleInput, unwritable } from './console-input.ts';
import { ConsoleSink } from './console-sink.ts';
import { EngineClient, type EngineExit } from './engine-client.ts';
import { explain, printable } from './explain.ts';
import type { ConsoleSource } from './input.ts';
import type { Decision, Failure, RunFacts } from './result.ts';
import type { Terminal } from './terminal.ts';
import { ConsoleWatch } from './wait-for.ts';

/** An engine told to stop flushes its disks and ends; a disk that hangs must not hang us too. */
const STOP_PATIENCE_MILLISECONDS = 10_000;
/** Disks are flushed in less; a person who waits longer is told for what. */
const SILENCE_MILLISECONDS = 1000;
/** After the run was cut short, output that nobody reads is not waited for. */
const FLUSH_PATIENCE_MILLISECONDS = 1000;

export interface SessionOptions {
  /** Main module of the engine process. */
  readonly engineEntry: URL;
  readonly settings: MachineSettings;
  readonly source: ConsoleSource;
  readonly terminal: Terminal;
  /** Where console output goes. */
  readonly output: NodeJS.WriteStream;
  readonly waitFor: RegExp | undefined;
  readonly timeoutSeconds: number | undefined;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #client: EngineClient;
  readonly #input: ConsoleInput;
  readonly #sink: ConsoleSink;
  readonly #watch: ConsoleWatch | undefined;
  readonly #startedAt = performance.now();
  readonly #exited = Promise.withResolvers<EngineExit>();
  /** Resolves when output that is still on its way is not to be waited for. */
  readonly #cutShort = Promise.withResolvers<void>();
  #decision: Decision | undefined;
  #summary: RunSummary | undefined;
  #failure: Failure | undefined;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#watch = options.waitFor && new ConsoleWatch(options.waitFor);
    this.#client = new EngineClient({
      entry: options.engineEntry,
      onEvent: event => this.#hear(event),
      onExit: exit => this.#exited.resolve(exit),
    });
    this.#input = new ConsoleInput({
      source: options.source,
      terminal: options.terminal,
      send: bytes => this.#client.send({ kind: 'console-input', bytes }),
      wish: () => this.end({ kind: 'quit' }),
      detach: false,
    });
    this.#sink = new ConsoleSink(options.output, {
      taken: count => this.#client.send({ kind: 'console-taken', count }),
      broken: error => this.end(unwritable(error, options.output.isTTY)),
    });
  }

  /** Runs the machine to its end, whoever ends it. The terminal is as before when this returns. */
  async run(): Promise<RunFacts> {
    const { settings, source, terminal, timeoutSeconds } = this.#options;
    this.#client.send({ kind: 'start', settings });
    if (timeoutSeconds !== undefined) {
      const timeout = () => this.end({ kind: 'timeout', seconds: timeoutSeconds });
      this.#timers.push(setTimeout(timeout, timeoutSeconds * 1000));
    }
    if (source.interactive) terminal.enter();
    this.#input.connect();
    this.#options.output.on('resize', this.#resize);
    const exit = await this.#exited.promise;
    const milliseconds = performance.now() - this.#startedAt;
    this.#disconnect();
    await Promise.race([this.#sink.flushed(), this.#cutShort.promise]);
    for (const timer of this.#timers) clearTimeout(timer);
    terminal.restore();
    return {
      decision: this.#decision,
      summary: this.#summary,
      failure: this.#failure ?? this.#unexpected(exit),
      waitFor: this.#watch !== undefined,
      milliseconds,
      consoleBytes: this.#sink.bytes,
    };
  }

  /** Ends the run from our side; the first decision counts, a second one does not wait any longer. */
  end(decision: Decision): void {
    if (this.#decision !== undefined) {
      if (decision.kind !== 'signal' && decision.kind !== 'quit') return;
      // A terminal that goes away tells it in more than one way.
      if (decision.kind === 'signal' && decision.signal === 'SIGHUP') return;
      this.#client.kill();
      this.#cutShort.resolve();
      return;
    }
    this.#decision = decision;
    this.#client.send({ kind: 'stop' });
    this.#timers.push(
      setTimeout(() => this.#tellWaiting(), SILENCE_MILLISECONDS),
      setTimeout(() => this.#client.kill(), STOP_PATIENCE_MILLISECONDS),
      setTimeout(() => this.#cutShort.resolve(), FLUSH_PATIENCE_MILLISECONDS),
    );
  }

  #tellWaiting(): void {
    const { source, terminal } = this.#options;
    const keys = source.interactive ? '; Ctrl-A x again ends it at once' : '';
    const seconds = STOP_PATIENCE_MILLISECONDS / 1000;
    terminal.say(`afterimage: waiting up to ${seconds} s for the machine to write its disks and end${keys}`);
  }

  #hear(event: EngineEvent): void {
    switch (event.kind) {
      case 'console-output':
        this.#print(event.bytes);
        break;
      case 'console-accepted':
        this.#input.accepted(event.count);
        break;
      case 'warning':
        this.#options.terminal.say(`afterimage: ${explain(event.error)}`);
        break;
      case 'disk-full':
        this.#options.terminal.say(
          `afterimage: ${printable(diskName(event.error))}the host has no room for it; the machine waits until there is some`,
        );
        break;
      case 'disk-active':
      case 'disk-job':
        // Nobody here asks for jobs.
        break;
      case 'disk-resumed':
        this.#options.terminal.say('afterimage: there is room again, the machine goes on');
        break;
      case 'stopped':
        this.#summary = event.summary;
        break;
      case 'failed':
        this.#failure = event;
        break;
      case 'started':
      case 'restarted':
      case 'description':
        break;
    }
  }

  #print(bytes: Uint8Array): void {
    this.#options.terminal.observe(bytes);
    this.#sink.write(bytes);
    if (this.#decision === undefined && this.#watch?.feed(bytes)) this.end({ kind: 'seen' });
  }

  readonly #resize = (): void => {
    const { rows, columns } = this.#options.output;
    if (rows > 0 && columns > 0) this.#client.send({ kind: 'resize', size: { rows, columns } });
  };

  #disconnect(): void {
    this.#options.output.off('resize', this.#resize);
    this.#input.disconnect();
  }

  /** The engine is gone without having said why. */
  #unexpected(exit: EngineExit): Failure | undefined {
    if (this.#summary !== undefined || this.#decision !== undefined) return undefined;
    const message = `The engine ended unexpectedly (${exit.signal ?? `status ${exit.code}`})`;
    if (exit.signal === 'SIGKILL') {
      const cause = 'somebody killed it, or the host ran out of memory';
      return { during: 'run', error: { kind: 'io', message: `${message}; ${cause}`, context: {} } };
    }
    const lastWords = exit.lastWords.trim().split('\n').at(-1);
    return { during: 'run', error: { kind: 'internal', message, context: { lastWords } } };
  }
}

function diskName({ context }: PlainError): string {
  return context.path === undefined ? '' : `${context.path}: `;
}
