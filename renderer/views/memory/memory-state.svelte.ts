// The picture of a running machine's memory, asked for again and again while somebody looks at it.
import type { MemoryView } from '../../../engine/api/memory.ts';
import { AfterimageError, type PlainError } from '../../../engine/base/errors.ts';
import type { MachineSession } from '../../state/machine-session.svelte.ts';

/** Between an answer and the next question: a few pictures per second, and never two questions at once. */
const REST_MILLISECONDS = 300;

export class MemoryState {
  readonly session: MachineSession;
  #view = $state.raw<MemoryView>();
  #problem = $state.raw<PlainError>();
  /** How many cells the picture has room for; nothing is asked for before that is known. */
  cells = $state(0);

  constructor(session: MachineSession) {
    this.session = session;
  }

  get view(): MemoryView | undefined {
    return this.#view;
  }

  /** Why there is no newer picture. */
  get problem(): PlainError | undefined {
    return this.#problem;
  }

  async load(): Promise<void> {
    if (this.cells === 0 || !this.session.on) return;
    try {
      this.#view = await this.session.call('memory', { groups: this.cells });
      this.#problem = undefined;
    } catch (error) {
      this.#problem = AfterimageError.from(error).toPlain();
    }
  }

  /** Until the signal; pauses while the page is hidden. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (document.visibilityState === 'visible') await this.load();
      await rest(signal);
    }
  }
}

function rest(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, REST_MILLISECONDS);
    signal.addEventListener('abort', end);
  });
}
