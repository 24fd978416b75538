// A terminal, or files, at the console of a machine that lives in a process of its own.
import type { MachineStatus } from '../../engine/api/machine.ts';
import type { ConsoleSize } from '../../engine/api/settings.ts';
import { AfterimageError, type PlainError } from '../../engine/base/errors.ts';
import { EngineEnded, type MachineConnection } from '../engines/connection.ts';
import { ConsoleInput, unwritable } from './console-input.ts';
import { ConsoleSink } from './console-sink.ts';
import { explain } from './explain.ts';
import type { ConsoleSource } from './input.ts';
import type { EndingSignal } from './result.ts';
import type { Terminal } from './terminal.ts';
import { ConsoleWatch } from './wait-for.ts';

/** Longest piece of input that goes in one call, so that a large paste is not one line of megabytes. */
const LONGEST_INPUT = 64 * 1024;
/** A machine that is told to power off flushes its disks; one that hangs must not hang us too. */
const STOP_PATIENCE_MILLISECONDS = 10_000;
/** Once it is over, output that nobody reads is not waited for. */
const FLUSH_PATIENCE_MILLISECONDS = 2000;

/** Why the session is over. */
export type SessionEnd =
  | { readonly kind: 'off'; readonly status: MachineStatus }
  | { readonly kind: 'seen' | 'detached' }
  /** By Ctrl-A x. */
  | { readonly kind: 'quit' }
  | { readonly kind: 'timeout'; readonly seconds: number }
  | { readonly kind: 'signal'; readonly signal: EndingSignal }
  | { readonly kind: 'failed'; readonly error: PlainError };

export interface MachineSessionOptions {
  readonly connection: MachineConnection;
  readonly source: ConsoleSource;
  readonly terminal: Terminal;
  readonly output: NodeJS.WriteStream;
  readonly waitFor: RegExp | undefined;
  readonly timeoutSeconds: number | undefined;
  /** Bytes of what was printed before. */
  readonly scrollback: number;
}

export class MachineSession {
  readonly #options: MachineSessionOptions;
  readonly #input: ConsoleInput;
  readonly #sink: ConsoleSink;
  readonly #watch: ConsoleWatch | undefined;
  readonly #over = Promise.withResolvers<SessionEnd>();
  readonly #undo: (() => void)[] = [];

  constructor(options: MachineSessionOptions) {
    this.#options = options;
    const { connection, source, terminal, output } = options;
    this.#watch = options.waitFor && new ConsoleWatch(options.waitFor);
    this.#input = new ConsoleInput({
      source,
      terminal,
      send: bytes => this.#send(bytes),
      wish: wish => this.end({ kind: wish === 'quit' ? 'quit' : 'detached' }),
      detach: true,
    });
    this.#sink = new ConsoleSink(output, {
      taken: count => void connection.call('console-taken', { count }).catch(() => {}),
      broken: error => this.end(unwritable(error, output.isTTY)),
    });
    this.#undo.push(
      connection.on('console-output', ({ bytes }) => this.#print(bytes)),
      connection.on('status', ({ status }) => this.#look(status)),
      connection.on('warning', ({ error }) => terminal.say(`afterimage: ${explain(error)}`)),
    );
    void connection.ended.then(end => this.#fail(new EngineEnded(end, {})));
  }

  /**
   * Shows the console until the machine is off or somebody ends the session. `begin` powers the machine on, once what
   * it prints is heard; its errors are thrown. The terminal is as before when this returns.
   */
  async run(begin: () => Promise<MachineStatus>): Promise<SessionEnd> {
    const { connection, source, terminal, output, timeoutSeconds } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    if (timeoutSeconds !== undefined) {
      timer = setTimeout(() => this.end({ kind: 'timeout', seconds: timeoutSeconds }), timeoutSeconds * 1000);
    }
    try {
      await connection.call('console-attach', { scrollback: this.#options.scrollback });
      const status = await begin();
      if (source.interactive) terminal.enter();
      this.#input.connect();
      output.on('resize', this.#resize);
      this.#resize();
      this.#look(status);
    } catch (thrown) {
      clearTimeout(timer);
      await this.#finish({ kind: 'detached' });
      throw thrown;
    }
    const end = await this.#over.promise;
    clearTimeout(timer);
    await this.#finish(end);
    terminal.restore();
    return end;
  }

  /** Ends the session from our side; the first reason counts. */
  end(end: SessionEnd): void {
    this.#over.resolve(end);
  }

  async #finish(end: SessionEnd): Promise<void> {
    const { connection, output } = this.#options;
    this.#input.disconnect();
    output.off('resize', this.#resize);
    if (end.kind === 'quit') await this.#powerOff();
    const patience = new Promise<void>(resolve => setTimeout(resolve, FLUSH_PATIENCE_MILLISECONDS).unref());
    await Promise.race([end.kind === 'off' ? this.#drained() : this.#sink.flushed(), patience]);
    for (const undo of this.#undo) undo();
    if (connection.isOpen) await Promise.race([connection.call('console-detach', {}).catch(() => {}), patience]);
  }

  /** What the machine printed last is still on its way when we hear that it is off. */
  async #drained(): Promise<void> {
    const { connection } = this.#options;
    for (let before = -1; before < this.#sink.bytes; ) {
      before = this.#sink.bytes;
      await this.#sink.flushed();
      // Answered after all output that there is room for now.
      await connection.call('status', {}).catch(() => {});
    }
    await this.#sink.flushed();
  }

  async #powerOff(): Promise<void> {
    const { connection, terminal } = this.#options;
    const patience = new Promise(resolve => setTimeout(resolve, STOP_PATIENCE_MILLISECONDS).unref());
    const stop = connection.call('stop', { force: true }).catch((thrown: unknown) => {
      terminal.say(`afterimage: ${explain(AfterimageError.from(thrown).toPlain())}`);
    });
    await Promise.race([stop, patience]);
  }

  #send(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += LONGEST_INPUT) {
      const piece = bytes.subarray(from, from + LONGEST_INPUT);
      const accepted = () => this.#input.accepted(piece.length);
      // What is typed at a machine that is off is lost, as with any machine.
      this.#options.connection.call('console-input', { bytes: piece }).then(accepted, accepted);
    }
  }

  #print(bytes: Uint8Array): void {
    this.#options.terminal.observe(bytes);
    this.#sink.write(bytes);
    if (this.#watch?.feed(bytes)) this.end({ kind: 'seen' });
  }

  #look(status: MachineStatus): void {
    if (status.state === 'off' || status.state === 'failed') this.end({ kind: 'off', status });
    if (status.state === 'paused' && status.pausedBy === 'disk-full') {
      this.#options.terminal.say('afterimage: the host has no room; the machine waits until there is some');
    }
  }

  #fail(error: AfterimageError): void {
    this.end({ kind: 'failed', error: error.toPlain() });
  }

  readonly #resize = (): void => {
    const size = consoleSize(this.#options.output);
    if (size !== undefined) this.#options.connection.call('console-resize', size).catch(() => {});
  };
}

/** The size of the window, where there is one. */
export function consoleSize({ isTTY, rows, columns }: NodeJS.WriteStream): ConsoleSize | undefined {
  return isTTY && rows > 0 && columns > 0 ? { rows, columns } : undefined;
}
