// One machine as the pages see it: its record and status as last announced, and the calls of its process.
import type { TakeArguments, TakenCheckpoint } from '../../engine/api/checkpoints.ts';
import type { Identity, MachineRecord, MachineStatus } from '../../engine/api/machine.ts';
import type { PlainError } from '../../engine/base/errors.ts';
import type { Afterimage } from '../../preload/contract/client.ts';
import type { MachineEvent } from '../../preload/contract/events.ts';
import type { MachineSummary } from '../../preload/contract/library.ts';
import type { MachineArguments, MachineCallName, MachineResult } from '../../preload/contract/machine-calls.ts';
import type { ConsoleScreen } from './console-screen.ts';

export class MachineSession {
  readonly id: Identity;
  /** For calls that are the app's and not the machine's: export, clone, drag. */
  readonly app: Afterimage;
  #summary = $state.raw<MachineSummary>() as MachineSummary;
  #status = $state.raw<MachineStatus>() as MachineStatus;
  #record = $state.raw<MachineRecord>();
  #lastTaken = $state.raw<TakenCheckpoint>();
  #listeners = new Set<(event: MachineEvent) => void>();
  #screens = new Set<ConsoleScreen>();
  /** This window has asked for it: the library says so only a moment after the machine is off. */
  #asked = $state(false);

  constructor(app: Afterimage, summary: MachineSummary) {
    this.app = app;
    this.id = summary.id;
    this.adopt(summary);
  }

  get summary(): MachineSummary {
    return this.#summary;
  }

  get status(): MachineStatus {
    return this.#status;
  }

  /** Absent when the machine's folder cannot be understood; `problem` says why. */
  get record(): MachineRecord | undefined {
    return this.#record;
  }

  get problem(): PlainError | undefined {
    return this.#summary.problem;
  }

  get name(): string {
    return this.#record?.name ?? this.#summary.name;
  }

  /** The hart executes or could: there is a console to type at and a state to keep. */
  readonly on = $derived(this.#status.state !== 'off' && this.#status.state !== 'failed');
  /** Off, and its next start goes on where it was. */
  readonly suspended = $derived(this.#status.state === 'off' && (this.#asked || this.#summary.suspended !== undefined));
  /** What it is for a person. */
  readonly state = $derived(this.suspended ? 'suspended' : this.#status.state);
  /** A checkpoint can be taken now. */
  readonly canCheckpoint = $derived(
    (this.#status.state === 'running' || this.#status.state === 'paused') && this.#status.taking === undefined,
  );

  /** The last checkpoint that was completed while this window was open. */
  get lastTaken(): TakenCheckpoint | undefined {
    return this.#lastTaken;
  }

  /** Asks the machine's process. Failures are AfterimageErrors. */
  async call<Name extends MachineCallName>(
    name: Name,
    arguments_: MachineArguments<Name>,
  ): Promise<MachineResult<Name>> {
    if (name === 'suspend' || name === 'start') this.#asked = name === 'suspend';
    const result = await this.app.machine(this.id, name, arguments_).catch(error => {
      this.#asked = false;
      throw error;
    });
    // The answers of these are the status; the event about it may come later than the answer.
    if (STATUS_CALLS.has(name)) this.#status = result as MachineStatus;
    return result;
  }

  /** Returns what ends it. */
  onEvent(listener: (event: MachineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** With what the console shows, when a terminal of this window shows it. */
  async checkpoint(arguments_: TakeArguments = {}): Promise<TakenCheckpoint> {
    const screen = [...this.#screens][0]?.read();
    return await this.call('checkpoint', {
      ...arguments_,
      ...(screen && { screen }),
    } as MachineArguments<'checkpoint'>);
  }

  /** A terminal that shows this machine's console; returns what ends it. */
  addScreen(screen: ConsoleScreen): () => void {
    this.#screens.add(screen);
    return () => this.#screens.delete(screen);
  }

  /** Of the newest terminal of this window, for "fit guest" and search from outside it. */
  get screen(): ConsoleScreen | undefined {
    return [...this.#screens].at(-1);
  }

  /** What the library says of it now. */
  adopt(summary: MachineSummary): void {
    this.#summary = summary;
    if (summary.suspended !== undefined) this.#asked = false;
    this.#status = summary.status;
    this.#record = summary.record;
  }

  /** What its process announced. */
  handle(event: MachineEvent): void {
    if (event.event === 'status') this.#status = event.status;
    if (event.event === 'machine') this.#record = event.machine;
    if (event.event === 'checkpoint') this.#lastTaken = event.taken;
    for (const listener of this.#listeners) listener(event);
  }
}

const STATUS_CALLS: ReadonlySet<MachineCallName> = new Set([
  'status',
  'start',
  'stop',
  'suspend',
  'pause',
  'resume',
  'reset',
]);
