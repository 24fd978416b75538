// One client of a machine's process: its calls are answered, events reach it without ever piling up.
import type { ControlEvent } from '../api/control.ts';
import { AfterimageError } from '../base/errors.ts';
import type { ConsoleHub, ConsoleReader } from './console-hub.ts';
import { SCROLLBACK } from './console-hub.ts';
import type { ControlChannel } from './control-channel.ts';

/** Calls of one client that are not answered yet; more are refused. */
const MOST_CALLS = 256;
/** Events that a client that does not read keeps; of those that say "ask anew" one is enough. */
const MOST_EVENTS = 1000;
const LONGEST_CALL_NAME = 100;

export interface ClientParts {
  readonly channel: ControlChannel;
  /** Answers a call, or throws. */
  readonly answer: (call: string, arguments_: unknown, client: ControlClient) => Promise<unknown>;
  readonly gone: (client: ControlClient) => void;
}

/** The output of one command to one client. */
export interface ExecStream {
  /** Returns what ends it. */
  readonly listen: (parse: (bytes: Uint8Array) => string) => () => void;
  /** Bytes that were lost because the client did not take them. */
  readonly missed: () => number;
}

export class ControlClient {
  readonly #parts: ClientParts;
  /** Waiting while the channel is congested, by what they are about; later ones take the place of earlier ones. */
  readonly #events = new Map<string, ControlEvent>();
  #calls = 0;
  #eventNumber = 0;
  #reader: { readonly hub: ConsoleHub; readonly reader: ConsoleReader } | undefined;
  #gone = false;
  /** Of commands that run for it. */
  readonly #exec = new Set<ConsoleReader>();

  constructor(parts: ClientParts) {
    this.#parts = parts;
    parts.channel.listen({
      message: message => this.#hear(message),
      gone: () => this.#leave(),
      drained: () => this.#drain(),
    });
  }

  /** Calls that are being answered. */
  get busy(): boolean {
    return this.#calls > 0;
  }

  announce(event: ControlEvent): void {
    if (this.#gone) return;
    if (!this.#parts.channel.congested && this.#events.size === 0) {
      this.#parts.channel.send(event);
      return;
    }
    const about = this.#subjectOf(event);
    // In the order of the latest.
    this.#events.delete(about);
    this.#events.set(about, event);
    if (this.#events.size > MOST_EVENTS) this.#events.delete(this.#events.keys().next().value!);
  }

  attach(hub: ConsoleHub, scrollback = SCROLLBACK): void {
    this.detach();
    const { channel } = this.#parts;
    const send = (bytes: Uint8Array) => channel.send({ event: 'console-output', bytes });
    const reader = hub.attach(send, scrollback, () => channel.congested);
    this.#reader = { hub, reader };
  }

  detach(): void {
    if (this.#reader !== undefined) this.#reader.hub.detach(this.#reader.reader);
    this.#reader = undefined;
  }

  /** Hands on what `exec` makes of the console, and stops reading it while the client does not take that. */
  execOutput(hub: ConsoleHub): ExecStream {
    let reader: ConsoleReader | undefined;
    const { channel } = this.#parts;
    return {
      listen: parse => {
        const send = (bytes: Uint8Array) => {
          const text = parse(bytes);
          const count = bytes.length;
          if (text !== '' && !this.#gone) channel.send({ event: 'exec-output', text, count });
          // After this one has been counted as sent.
          else queueMicrotask(() => own.taken(count));
        };
        const own: ConsoleReader = hub.attach(send, 0, () => channel.congested && !this.#gone);
        reader = own;
        this.#exec.add(own);
        return () => {
          hub.detach(own);
          this.#exec.delete(own);
        };
      },
      missed: () => reader?.missed ?? 0,
    };
  }

  execTaken(count: number): void {
    for (const reader of this.#exec) reader.taken(count);
  }

  taken(count: number): void {
    this.#reader?.reader.taken(count);
  }

  async flushed(): Promise<void> {
    await this.#parts.channel.flushed();
  }

  close(): void {
    this.#parts.channel.close();
  }

  #hear(message: unknown): void {
    if (typeof message !== 'object' || message === null) return;
    const { id, call, arguments: given } = message as Readonly<Record<string, unknown>>;
    // Without a number nobody waits for an answer.
    if (typeof id !== 'number' || !Number.isSafeInteger(id)) return;
    if (typeof call !== 'string' || call.length > LONGEST_CALL_NAME) {
      this.#refuse(id, new AfterimageError('usage', 'The call has no name'));
      return;
    }
    if (this.#calls >= MOST_CALLS) {
      this.#refuse(id, new AfterimageError('usage', 'Too many calls are waiting for their answers'));
      return;
    }
    this.#calls += 1;
    this.#parts
      .answer(call, given ?? {}, this)
      .then(
        result => this.#parts.channel.send({ id, result: result ?? {} }),
        (thrown: unknown) => this.#refuse(id, AfterimageError.from(thrown)),
      )
      .finally(() => {
        this.#calls -= 1;
        if (this.#gone) this.#parts.gone(this);
      });
  }

  #refuse(id: number, error: AfterimageError): void {
    this.#parts.channel.send({ id, error: error.toPlain() });
  }

  #drain(): void {
    for (const [about, event] of this.#events) {
      if (this.#parts.channel.congested) return;
      this.#events.delete(about);
      this.#parts.channel.send(event);
    }
    this.#reader?.reader.pump();
    for (const reader of this.#exec) reader.pump();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.detach();
    // The command goes on, and nobody will say any more that its output was taken.
    for (const reader of this.#exec) reader.taken(Number.MAX_SAFE_INTEGER);
    this.#events.clear();
    this.#parts.gone(this);
  }

  #subjectOf(event: ControlEvent): string {
    switch (event.event) {
      case 'status':
      case 'machine':
      case 'tree':
      case 'disks':
        return event.event;
      case 'job':
        return `job ${event.job.job}`;
      default:
        this.#eventNumber += 1;
        return `${event.event} ${this.#eventNumber}`;
    }
  }
}
