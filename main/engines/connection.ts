import type { ArgumentsOf, CallName, ControlEvent, FolderCalls, ResultOf } from '../../engine/api/control.ts';
import { AfterimageError, type ErrorContext, type PlainError } from '../../engine/base/errors.ts';
import type { ControlTransport, TransportEnd } from './transport.ts';

type EventName = ControlEvent['event'];
type EventOf<Name extends EventName> = Extract<ControlEvent, { readonly event: Name }>;
type Listener<Name extends EventName> = (event: EventOf<Name>) => void;

interface Pending {
  readonly call: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: AfterimageError) => void;
}

const LONGEST_MESSAGE = 4096;
const MOST_CONTEXT = 30;

/** A machine's process ended, or the connection to it, while something was asked of it. */
export class EngineEnded extends AfterimageError {
  readonly end: TransportEnd;

  constructor(end: TransportEnd, context: ErrorContext) {
    const { code, signal, lastWords, problem } = end;
    const words = lastWords.trim().split('\n').at(-1) || undefined;
    const facts = { ...context, code: code ?? undefined, signal: signal ?? undefined, lastWords: words };
    const options = problem === undefined ? {} : { cause: problem };
    if (signal === 'SIGKILL') {
      super('io', "The machine's process was killed; somebody did it, or the host ran out of memory", facts, options);
    } else if (code === null && signal === null) {
      super('io', "The connection to the machine's process was lost", facts, options);
    } else {
      super('internal', `The machine's process ended unexpectedly (${signal ?? `status ${code}`})`, facts, options);
    }
    this.end = end;
  }
}

/**
 * Calls to a machine's process and what it announces, whatever way leads to it. Every answer is one of the process, which
 * reads files that nobody has checked: its results are to be shown, not trusted.
 */
export class MachineConnection implements Disposable {
  /** The machine's folder; undefined for calls that need none. */
  readonly folder: string | undefined;
  readonly #transport: ControlTransport;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<EventName, Set<(event: never) => void>>();
  readonly #ended = Promise.withResolvers<TransportEnd>();
  #end: TransportEnd | undefined;
  #closed = false;
  #lastCall = 0;

  constructor(transport: ControlTransport, folder: string | undefined) {
    this.#transport = transport;
    this.folder = folder;
    transport.open({ message: message => this.#hear(message), end: end => this.#finish(end) });
  }

  /** Resolves when the process has ended or cannot be reached any more; not after `close`. */
  get ended(): Promise<TransportEnd> {
    return this.#ended.promise;
  }

  get isOpen(): boolean {
    return this.#end === undefined && !this.#closed;
  }

  /** Errors are those of the process, or EngineEnded; `state` after `close`. */
  call<Name extends CallName>(name: Name, arguments_: ArgumentsOf<Name>): Promise<ResultOf<Name>> {
    return this.#ask(name, arguments_) as Promise<ResultOf<Name>>;
  }

  /** For a connection without a folder. */
  callWithoutFolder<Name extends keyof FolderCalls>(
    name: Name,
    arguments_: FolderCalls[Name]['arguments'],
  ): Promise<FolderCalls[Name]['result']> {
    return this.#ask(name, arguments_) as Promise<FolderCalls[Name]['result']>;
  }

  /** Returns what ends it. */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Lets go of the process. Calls that have no answer yet are done, but nobody hears of it. */
  close(): void {
    if (!this.isOpen) return;
    this.#closed = true;
    this.#transport.close();
    this.#rejectAll(({ call }) => this.#closedError(call));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #ask(call: string, arguments_: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closedError(call));
      if (this.#end !== undefined) return reject(this.#endedError(this.#end, call));
      this.#lastCall += 1;
      this.#pending.set(this.#lastCall, { call, resolve, reject });
      this.#transport.send({ id: this.#lastCall, call, arguments: arguments_ });
    });
  }

  #hear(message: unknown): void {
    if (this.#closed || typeof message !== 'object' || message === null) return;
    const { id, event } = message as { readonly id?: unknown; readonly event?: unknown };
    if (typeof event === 'string') this.#announce(event as EventName, message as ControlEvent);
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    if (typeof id !== 'number' || pending === undefined) return;
    this.#pending.delete(id);
    if ('error' in message) pending.reject(errorFrom(message.error));
    else pending.resolve('result' in message ? message.result : undefined);
  }

  #announce(name: EventName, event: ControlEvent): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(event as never);
  }

  #finish(end: TransportEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    if (this.#closed) return;
    this.#rejectAll(({ call }) => this.#endedError(end, call));
    this.#ended.resolve(end);
  }

  #rejectAll(reason: (pending: Pending) => AfterimageError): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of waiting) pending.reject(reason(pending));
  }

  #closedError(call: string): AfterimageError {
    return new AfterimageError('state', 'The connection to the machine is closed', { folder: this.folder, call });
  }

  #endedError(end: TransportEnd, call: string): EngineEnded {
    return new EngineEnded(end, { folder: this.folder, call });
  }
}

/** An error as the process gave it; what is out of shape is cut. */
function errorFrom(value: unknown): AfterimageError {
  const { kind, message, context } = (typeof value === 'object' && value !== null ? value : {}) as Partial<PlainError>;
  const known = typeof kind === 'string' && /^[a-z-]{1,30}$/.test(kind) ? kind : 'internal';
  const text = typeof message === 'string' ? message.slice(0, LONGEST_MESSAGE) : "The machine's process gave no reason";
  return new AfterimageError(known, text, plainContext(context));
}

function plainContext(context: unknown): ErrorContext {
  if (typeof context !== 'object' || context === null) return {};
  const entries = Object.entries(context)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .slice(0, MOST_CONTEXT)
    .map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, LONGEST_MESSAGE) : value]);
  return Object.fromEntries(entries) as ErrorContext;
}
