// What is typed at a machine's console, by a person or from a file, whatever way leads to the machine.
import type { PlainError } from '../../engine/base/errors.ts';
import { ConsoleFeed } from './console-feed.ts';
import { EscapeKeys, KEYS_HELP, KEYS_HELP_WITH_DETACH } from './escape-keys.ts';
import type { ConsoleSource } from './input.ts';
import type { EndingSignal } from './result.ts';
import type { Terminal } from './terminal.ts';

/** Keys are still read when the guest takes none, so that Ctrl-A is heard even behind a large paste. */
const TYPED_AHEAD = 1024 * 1024;

export interface ConsoleInputParts {
  readonly source: ConsoleSource;
  readonly terminal: Terminal;
  /** Bytes for the guest; `accepted` says when it has taken them. */
  readonly send: (bytes: Uint8Array) => void;
  /** A wish of the person at the keys. */
  readonly wish: (wish: 'quit' | 'detach') => void;
  /** Whether there is something to come back to. */
  readonly detach: boolean;
}

export class ConsoleInput {
  readonly #parts: ConsoleInputParts;
  readonly #feed: ConsoleFeed;
  readonly #keys: EscapeKeys;

  constructor(parts: ConsoleInputParts) {
    const { source, send, detach } = parts;
    this.#parts = parts;
    this.#keys = new EscapeKeys({ detach });
    this.#feed = new ConsoleFeed({ source: source.stream, spare: source.interactive ? TYPED_AHEAD : 0, send });
  }

  connect(): void {
    const { source, terminal } = this.#parts;
    source.stream.on('data', (bytes: Uint8Array) => {
      if (source.interactive) this.#type(bytes);
      else this.#feed.write(bytes);
    });
    // Input that ends early is input that ends; the machine goes on, as at its regular end.
    source.stream.on('error', error => {
      terminal.say(`afterimage: the console input cannot be read any further (${error.message})`);
    });
  }

  disconnect(): void {
    const { stream } = this.#parts.source;
    stream.removeAllListeners('data');
    stream.pause();
  }

  /** The guest has taken so many bytes. */
  accepted(count: number): void {
    this.#feed.accepted(count);
  }

  #type(bytes: Uint8Array): void {
    const { terminal, wish, detach } = this.#parts;
    for (const keys of this.#keys.feed(bytes)) {
      if (keys.kind === 'bytes') this.#feed.write(keys.bytes);
      else if (keys.kind === 'help') terminal.say((detach ? KEYS_HELP_WITH_DETACH : KEYS_HELP).join('\r\n'));
      else wish(keys.kind);
    }
  }
}

export type Unwritable =
  | { readonly kind: 'signal'; readonly signal: EndingSignal }
  | { readonly kind: 'failed'; readonly error: PlainError };

/** A reader or a terminal that has gone is what a program that knows nothing of it would die of. */
export function unwritable({ code, message }: NodeJS.ErrnoException, isTerminal: boolean): Unwritable {
  if (code === 'EPIPE') return { kind: 'signal', signal: 'SIGPIPE' };
  if (code === 'EIO' && isTerminal) return { kind: 'signal', signal: 'SIGHUP' };
  const kind = code === 'ENOSPC' ? 'no-space' : 'io';
  return { kind: 'failed', error: { kind, message: `The console output cannot be written (${message})`, context: {} } };
}
