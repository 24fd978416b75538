// What happened, for the activity view: jobs as they go on, and what machines did. Kept over restarts.
import type { ControlEvent } from '../../engine/api/control.ts';
import type { Identity, MachineState } from '../../engine/api/machine.ts';
import type { ActivityEntry } from '../../preload/contract/library.ts';
import type { JsonFile } from './json-file.ts';

/** What a person would scroll through. */
const MOST_ENTRIES = 500;
/** History is not worth a write for each step of a job. */
const WRITE_MILLISECONDS = 2000;

export interface ActivityParts {
  readonly now: () => number;
  readonly nameOf: (machine: Identity) => string | undefined;
  readonly changed: (entry: ActivityEntry) => void;
}

export class Activity {
  readonly #file: JsonFile;
  readonly #parts: ActivityParts;
  /** Oldest first. */
  readonly #entries: Map<string, ActivityEntry>;
  readonly #states = new Map<Identity, MachineState>();
  #number = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(file: JsonFile, parts: ActivityParts, entries: readonly ActivityEntry[]) {
    this.#file = file;
    this.#parts = parts;
    this.#entries = new Map(entries.map(entry => [entry.entry, entry]));
  }

  /** With the history of earlier runs. */
  static async read(file: JsonFile): Promise<(parts: ActivityParts) => Activity> {
    const entries = ended(await file.read());
    return parts => new Activity(file, parts, entries);
  }

  /** Newest first. */
  list(): readonly ActivityEntry[] {
    return [...this.#entries.values()].reverse();
  }

  clear(): Promise<void> {
    for (const [key, { what }] of this.#entries) {
      if (what.kind !== 'job' || what.job.state !== 'running') this.#entries.delete(key);
    }
    return this.#write();
  }

  add(machine: Identity | undefined, what: ActivityEntry['what'], key?: string): void {
    this.#number += 1;
    const at = this.#parts.now();
    const entry = key ?? `${at}-${this.#number}`;
    const known = this.#entries.get(entry);
    const machineName = machine === undefined ? undefined : (this.#parts.nameOf(machine) ?? known?.machineName);
    const added: ActivityEntry = {
      entry,
      at,
      ...(machine === undefined ? {} : { machine }),
      ...(machineName === undefined ? {} : { machineName }),
      what,
    };
    this.#entries.set(entry, added);
    if (this.#entries.size > MOST_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!);
    this.#parts.changed(added);
    this.#timer ??= setTimeout(() => void this.#write(), WRITE_MILLISECONDS).unref();
  }

  happened(machine: Identity, event: ControlEvent): void {
    switch (event.event) {
      case 'job':
        this.add(machine, { kind: 'job', job: event.job }, `${machine}-${event.job.startedAt}-${event.job.job}`);
        break;
      case 'checkpoint':
        this.add(machine, { kind: 'checkpoint', taken: event.taken });
        break;
      case 'checkpoint-failed':
      case 'warning':
        this.add(machine, { kind: event.event, error: event.error });
        break;
      case 'status':
        this.#status(machine, event.status);
        break;
      default:
    }
  }

  async close(): Promise<void> {
    await this.#write();
  }

  #status(machine: Identity, status: Extract<ControlEvent, { event: 'status' }>['status']): void {
    const before = this.#states.get(machine);
    this.#states.set(machine, status.state);
    const runs = (state: MachineState | undefined) => state === 'running' || state === 'paused' || state === 'stopping';
    if (status.state === 'running' && !runs(before)) this.add(machine, { kind: 'started' });
    if ((status.state === 'off' || status.state === 'failed') && (runs(before) || before === 'starting')) {
      const reason = status.ended?.reason ?? status.state;
      this.add(machine, { kind: 'ended', reason, ...(status.error === undefined ? {} : { error: status.error }) });
    }
  }

  async #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // History that cannot be kept is no reason to bother anybody.
    await this.#file.write([...this.#entries.values()]).catch(() => {});
  }
}

/** Entries of an earlier run, in which no job goes on any more. */
function ended(value: unknown): readonly ActivityEntry[] {
  if (!Array.isArray(value)) return [];
  return value.slice(-MOST_ENTRIES).flatMap((entry: ActivityEntry | null): readonly ActivityEntry[] => {
    if (typeof entry?.entry !== 'string' || typeof entry.at !== 'number' || typeof entry.what?.kind !== 'string')
      return [];
    const { what } = entry;
    if (what.kind !== 'job' || what.job?.state !== 'running') return [entry];
    return [{ ...entry, what: { kind: 'job', job: { ...what.job, state: 'cancelled' } } }];
  });
}
