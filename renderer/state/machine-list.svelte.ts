// The library: every machine, kept true by the host's announcements.
import type { Identity } from '../../engine/api/machine.ts';
import { AfterimageError, type PlainError } from '../../engine/base/errors.ts';
import type { Afterimage } from '../../preload/contract/client.ts';
import type { MachineEvent } from '../../preload/contract/events.ts';
import type { LibraryView } from '../../preload/contract/library.ts';
import { MachineSession } from './machine-session.svelte.ts';

export class MachineList {
  readonly #app: Afterimage;
  #sessions = $state.raw<readonly MachineSession[]>([]);
  #folder = $state('');
  #problem = $state.raw<PlainError>();
  #loaded = $state(false);

  constructor(app: Afterimage) {
    this.#app = app;
  }

  /** By name. */
  get items(): readonly MachineSession[] {
    return this.#sessions;
  }

  readonly running = $derived(this.#sessions.filter(session => session.on));

  /** Where the machines are, for a person. */
  get folder(): string {
    return this.#folder;
  }

  /** The folder itself cannot be used. */
  get problem(): PlainError | undefined {
    return this.#problem;
  }

  /** Whether the host has answered: an empty list means something only then. */
  get loaded(): boolean {
    return this.#loaded;
  }

  find(id: Identity | undefined): MachineSession | undefined {
    return this.#sessions.find(session => session.id === id);
  }

  async load(): Promise<void> {
    try {
      this.adopt(await this.#app.call('library', {}));
    } catch (error) {
      // What machines there are is not known by that: nothing is said to be missing.
      this.#problem = AfterimageError.from(error).toPlain();
    }
  }

  /** Machines that stay keep their session, and with it whatever listens to it. */
  adopt(library: LibraryView): void {
    this.#folder = library.folder;
    this.#problem = library.problem;
    const known = new Map(this.#sessions.map(session => [session.id, session]));
    this.#sessions = library.machines.map(summary => {
      const session = known.get(summary.id);
      if (session === undefined) return new MachineSession(this.#app, summary);
      session.adopt(summary);
      return session;
    });
    this.#loaded = true;
  }

  handle(id: Identity, event: MachineEvent): void {
    this.find(id)?.handle(event);
  }
}
