// Messages in passing. Errors of what was asked for stay until they are read; the rest goes by itself, but not while one points at it.

export type Tone = 'info' | 'good' | 'warning' | 'error';

export interface ToastAction {
  readonly text: string;
  readonly run: () => void;
}

export interface Toast {
  readonly id: number;
  readonly tone: Tone;
  readonly title: string;
  readonly text?: string;
  /** Of measured things: the pause, sizes. */
  readonly figures?: string;
  readonly action?: ToastAction;
  /** Milliseconds; 0 until it is closed. */
  readonly stays: number;
}

export interface NewToast {
  readonly tone?: Tone;
  readonly title: string;
  readonly text?: string | undefined;
  readonly figures?: string | undefined;
  readonly action?: ToastAction | undefined;
  /** Milliseconds, where it is not as long as its tone says: what is shown elsewhere too need not stay. */
  readonly stays?: number | undefined;
  /** A toast with the same key takes the place of the former one. */
  readonly key?: string | undefined;
}

/** Long enough to read two lines, and to reach a button. */
const STAYS = { info: 5000, good: 5000, warning: 9000, error: 0 } as const;
const WITH_ACTION = 7000;
/** More than these nobody reads. */
const MOST = 4;

export class Notifications {
  #toasts = $state.raw<readonly Toast[]>([]);
  #keys = new Map<string, number>();
  #next = 1;

  get toasts(): readonly Toast[] {
    return this.#toasts;
  }

  show({ tone = 'info', key, stays: wished, ...rest }: NewToast): number {
    const former = key === undefined ? undefined : this.#keys.get(key);
    const id = this.#next++;
    if (key !== undefined) this.#keys.set(key, id);
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as typeof rest;
    const usual = STAYS[tone] !== 0 && rest.action !== undefined ? WITH_ACTION : STAYS[tone];
    const stays = wished ?? usual;
    const toast = { ...given, id, tone, stays } as Toast;
    this.#toasts = [...this.#toasts.filter(one => one.id !== former), toast].slice(-MOST);
    return id;
  }

  /** Those whose key begins so: what they say is over. */
  withdraw(beginning: string): void {
    for (const [key, id] of this.#keys) {
      if (!key.startsWith(beginning)) continue;
      this.#keys.delete(key);
      this.close(id);
    }
  }

  close(id: number): void {
    this.#toasts = this.#toasts.filter(toast => toast.id !== id);
  }
}
