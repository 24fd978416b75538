import { CONSOLE_INPUT_WINDOW, type ConsoleMessage, type ConsolePort } from '../contract/console.ts';

export interface ConsoleWire {
  input(bytes: Uint8Array): void;
  taken(count: number): void;
  resize(size: { readonly rows: number; readonly columns: number }): void;
  close(): void;
}

/** A page's end of a console port, whatever carries its messages. Input waits until the machine has room for it. */
export class BridgeConsole {
  readonly #wire: ConsoleWire;
  #output: ((bytes: Uint8Array) => void) | undefined;
  #state: ((state: 'running' | 'idle') => void) | undefined;
  /** What came before anybody listened. */
  #early: Uint8Array[] = [];
  #lastState: 'running' | 'idle' | undefined;
  #inFlight = 0;
  readonly #waiting: { readonly bytes: Uint8Array; readonly done: () => void }[] = [];
  readonly #accepting: { rest: number; readonly done: () => void }[] = [];
  #closed = false;

  constructor(wire: ConsoleWire) {
    this.#wire = wire;
  }

  /** Plain functions, so that it crosses the isolation of Electron. */
  port(): ConsolePort {
    return {
      onOutput: listener => {
        this.#output = listener;
        for (const bytes of this.#early.splice(0)) listener(bytes);
      },
      onState: listener => {
        this.#state = listener;
        if (this.#lastState !== undefined) listener(this.#lastState);
      },
      taken: count => {
        if (!this.#closed) this.#wire.taken(count);
      },
      write: bytes => this.#write(bytes),
      resize: size => {
        if (!this.#closed) this.#wire.resize({ rows: size.rows, columns: size.columns });
      },
      close: () => {
        if (!this.#closed) this.#wire.close();
        this.end();
      },
    };
  }

  hear(message: ConsoleMessage): void {
    switch (message.kind) {
      case 'output':
        if (this.#output === undefined) this.#early.push(message.bytes);
        else this.#output(message.bytes);
        break;
      case 'accepted':
        this.#accepted(message.count);
        break;
      default:
        this.#lastState = message.kind;
        this.#state?.(message.kind);
    }
  }

  /** Nothing more will come; nobody is left waiting. */
  end(): void {
    this.#closed = true;
    for (const { done } of [...this.#accepting.splice(0), ...this.#waiting.splice(0)]) done();
  }

  /** The way to the host is new: what was on the way is lost, what waits goes now. */
  restart(): void {
    this.#inFlight = 0;
    for (const { done } of this.#accepting.splice(0)) done();
    this.#send();
  }

  #write(bytes: Uint8Array): Promise<void> {
    if (this.#closed || bytes.length === 0) return Promise.resolve();
    return new Promise(resolve => {
      for (let from = 0; from < bytes.length; from += CONSOLE_INPUT_WINDOW) {
        const part = bytes.slice(from, from + CONSOLE_INPUT_WINDOW);
        const last = from + CONSOLE_INPUT_WINDOW >= bytes.length;
        this.#waiting.push({ bytes: part, done: last ? resolve : () => {} });
      }
      this.#send();
    });
  }

  #send(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || (this.#inFlight > 0 && this.#inFlight + next.bytes.length > CONSOLE_INPUT_WINDOW))
        return;
      this.#waiting.shift();
      this.#inFlight += next.bytes.length;
      this.#accepting.push({ rest: next.bytes.length, done: next.done });
      this.#wire.input(next.bytes);
    }
  }

  #accepted(count: number): void {
    let rest = count;
    this.#inFlight = Math.max(0, this.#inFlight - count);
    while (rest > 0 && this.#accepting[0] !== undefined) {
      const first = this.#accepting[0];
      const part = Math.min(rest, first.rest);
      first.rest -= part;
      rest -= part;
      if (first.rest > 0) break;
      this.#accepting.shift();
      first.done();
    }
    this.#send();
  }
}
