// What has happened and what is under way, of all machines, kept true while somebody looks at it.
import { AfterimageError, type PlainError } from '../../../engine/base/errors.ts';
import type { Afterimage } from '../../../preload/contract/client.ts';
import type { ActivityEntry } from '../../../preload/contract/library.ts';
import { type Importance, isRunning, shownEntries, withEntry } from './entries.ts';

export class ActivityState {
  readonly #app: Afterimage;
  #entries = $state.raw<readonly ActivityEntry[]>();
  #problem = $state.raw<PlainError>();
  importance = $state<Importance>('all');
  /** Only this machine's. */
  machine = $state<string>();

  constructor(app: Afterimage, machine: string | undefined) {
    this.#app = app;
    this.machine = machine;
  }

  /** Undefined until the host has answered. */
  get entries(): readonly ActivityEntry[] | undefined {
    return this.#entries;
  }

  get problem(): PlainError | undefined {
    return this.#problem;
  }

  readonly shown = $derived.by(() =>
    shownEntries(this.#entries ?? [], {
      importance: this.importance,
      ...(this.machine !== undefined && { machine: this.machine }),
    }),
  );
  readonly running = $derived.by(() => this.shown.filter(isRunning));
  readonly earlier = $derived.by(() => this.shown.filter(entry => !isRunning(entry)));

  async load(): Promise<void> {
    try {
      this.#entries = await this.#app.call('activity', {});
      this.#problem = undefined;
    } catch (error) {
      this.#problem = AfterimageError.from(error).toPlain();
    }
  }

  async clear(): Promise<void> {
    await this.#app.call('clear-activity', {});
    await this.load();
  }

  /** Returns what ends it. */
  follow(): () => void {
    void this.load();
    return this.#app.onEvent(event => {
      if (event.event === 'activity' && this.#entries !== undefined) {
        this.#entries = withEntry(this.#entries, event.entry);
      }
      if (event.event === 'connection' && event.state === 'back') void this.load();
    });
  }
}
