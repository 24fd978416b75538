// The machines that a long-lived program (the app, its browser host) works with: a connection each while it is needed.
import type { ArgumentsOf, CallName, ControlEvent, ResultOf } from '../../engine/api/control.ts';
import type { MachineStatus } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { EngineEnded, type MachineConnection } from './connection.ts';
import { connectMachine, type OpenedMachine } from './open-machine.ts';

export interface Crash {
  readonly folder: string;
  /** Has what the process said last. */
  readonly error: EngineEnded;
  /** As it was before. */
  readonly status: MachineStatus;
  /** Milliseconds since 1970, of earlier crashes of the same machine, newest last. */
  readonly earlier: readonly number[];
}

export interface KeeperParts {
  /** Connects, or starts a process; see openMachine. */
  readonly open: (folder: string) => Promise<OpenedMachine>;
  readonly onEvent: (folder: string, event: ControlEvent) => void;
  /** There is a connection. `own` is false when another program has started the process. */
  readonly onUp: (folder: string, status: MachineStatus, own: boolean) => void;
  /** There is none any more; `error` when the process ended while its machine was on, or could not be restarted. */
  readonly onDown: (folder: string, error: AfterimageError | undefined) => void;
  /** Whether the machine is to be powered on again after its process crashed. Never, unless given. */
  readonly restart?: (crash: Crash) => boolean;
  /** Powers it on again. */
  readonly start?: (connection: MachineConnection) => Promise<unknown>;
  readonly now?: () => number;
}

interface Kept {
  readonly opened: OpenedMachine;
  status: MachineStatus;
  calls: number;
  idle: NodeJS.Timeout | undefined;
}

/** A machine that is off is let go soon after the last call, so that other programs find it free. */
const IDLE_MILLISECONDS = 2000;
const EVENTS: readonly ControlEvent['event'][] = [
  'status',
  'machine',
  'tree',
  'checkpoint',
  'checkpoint-failed',
  'disks',
  'job',
  'warning',
  'restarted',
  'console-output',
];

/** A policy: so many restarts within the time, then no more. */
export function restartAtMost(times: number, milliseconds: number, now = Date.now): (crash: Crash) => boolean {
  return ({ earlier }) => earlier.filter(at => now() - at < milliseconds).length < times;
}

export class EngineKeeper {
  readonly #parts: KeeperParts;
  readonly #kept = new Map<string, Kept>();
  readonly #opening = new Map<string, Promise<Kept>>();
  readonly #crashes = new Map<string, number[]>();
  #closed = false;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Asks the machine's process, starting one if there is none. */
  async call<Name extends CallName>(folder: string, name: Name, arguments_: ArgumentsOf<Name>) {
    const kept = await this.#keep(folder, this.#parts.open);
    kept.calls += 1;
    clearTimeout(kept.idle);
    try {
      return (await kept.opened.connection.call(name, arguments_)) as ResultOf<Name>;
    } finally {
      kept.calls -= 1;
      this.#letGoWhenIdle(folder, kept);
    }
  }

  /** The connection, if there is one now. */
  connection(folder: string): MachineConnection | undefined {
    return this.#kept.get(folder)?.opened.connection;
  }

  /** Connects to a machine's process that another program has started, if it is there. */
  async follow(folder: string): Promise<void> {
    if (this.#kept.has(folder) || this.#opening.has(folder) || this.#closed) return;
    const opened = await connectMachine(folder);
    if (opened === undefined) return;
    if (this.#kept.has(folder) || this.#opening.has(folder)) opened.connection.close();
    else this.#letGoWhenIdle(folder, await this.#keep(folder, async () => opened));
  }

  /** Lets go of all processes; machines that are on go on without us. */
  close(): void {
    this.#closed = true;
    for (const [folder, { opened }] of this.#kept) {
      opened.connection.close();
      this.#forget(folder, undefined);
    }
  }

  #keep(folder: string, open: KeeperParts['open']): Promise<Kept> {
    const kept = this.#kept.get(folder);
    if (kept?.opened.connection.isOpen) return Promise.resolve(kept);
    const opening = this.#opening.get(folder);
    if (opening !== undefined) return opening;
    const promise = this.#open(folder, open).finally(() => this.#opening.delete(folder));
    this.#opening.set(folder, promise);
    return promise;
  }

  async #open(folder: string, open: KeeperParts['open']): Promise<Kept> {
    const opened = await open(folder);
    const { connection } = opened;
    const kept: Kept = { opened, status: opened.status, calls: 0, idle: undefined };
    this.#kept.set(folder, kept);
    for (const name of EVENTS) {
      connection.on(name, event => {
        if (event.event === 'status') kept.status = event.status;
        this.#parts.onEvent(folder, event);
        if (event.event === 'status') this.#letGoWhenIdle(folder, kept);
      });
    }
    void connection.ended.then(end => this.#lost(folder, kept, new EngineEnded(end, { folder })));
    this.#parts.onUp(folder, kept.status, opened.engine !== undefined);
    return kept;
  }

  #letGoWhenIdle(folder: string, kept: Kept): void {
    clearTimeout(kept.idle);
    if (isOn(kept.status) || kept.calls > 0 || this.#kept.get(folder) !== kept) return;
    kept.idle = setTimeout(() => {
      kept.opened.connection.close();
      this.#forget(folder, undefined);
    }, IDLE_MILLISECONDS);
    kept.idle.unref();
  }

  #lost(folder: string, kept: Kept, error: EngineEnded): void {
    if (this.#kept.get(folder) !== kept) return;
    const crashed = isOn(kept.status);
    this.#forget(folder, crashed ? error : undefined);
    if (!crashed || this.#closed) return;
    const earlier = this.#crashes.get(folder) ?? [];
    const again = this.#parts.restart?.({ folder, error, status: kept.status, earlier }) ?? false;
    this.#crashes.set(folder, [...earlier, (this.#parts.now ?? Date.now)()]);
    if (again) void this.#restart(folder);
  }

  async #restart(folder: string): Promise<void> {
    try {
      const { opened } = await this.#keep(folder, this.#parts.open);
      await this.#parts.start?.(opened.connection);
    } catch (thrown) {
      this.#parts.onDown(folder, AfterimageError.from(thrown));
    }
  }

  #forget(folder: string, error: AfterimageError | undefined): void {
    const kept = this.#kept.get(folder);
    clearTimeout(kept?.idle);
    this.#kept.delete(folder);
    this.#parts.onDown(folder, error);
  }
}

function isOn({ state }: MachineStatus): boolean {
  return state !== 'off' && state !== 'failed';
}
