import type { MessagePort } from 'node:worker_threads';
import { AfterimageError } from '../base/errors.ts';
import type { Doorbell } from './doorbell.ts';
import type { HartCommand, LiveMessage } from './hart-commands.ts';

type Asked = Extract<HartCommand, { call: number }>;
type WithoutCall<Command> = Command extends Asked ? Omit<Command, 'call'> : never;
type Moment = Extract<LiveMessage, { kind: 'moment' }>;
type Settled = Extract<LiveMessage, { kind: 'settled' }>;

/** A checkpoint's moment as the hart announces it. */
export interface TakenMoment {
  readonly moment: Promise<Moment>;
  /** Resolves when all requests that were pending have ended. */
  readonly settled: Promise<Settled>;
}

/** The I/O thread's end of the hart's commands. */
export class HartPort {
  readonly #port: MessagePort;
  readonly #bell: Doorbell;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 0;
  #moment: PromiseWithResolvers<Moment> | undefined;
  #settled: PromiseWithResolvers<Settled> | undefined;
  #gone: AfterimageError | undefined;

  constructor(port: MessagePort, bell: Doorbell) {
    this.#port = port;
    this.#bell = bell;
  }

  /** Asks for a moment; one at a time. */
  take(options: Omit<Extract<HartCommand, { kind: 'take' }>, 'kind'>): TakenMoment {
    const moment = Promise.withResolvers<Moment>();
    const settled = Promise.withResolvers<Settled>();
    // Who awaits the moment learns of a failure there.
    settled.promise.catch(() => undefined);
    this.#moment = moment;
    this.#settled = settled;
    if (this.#gone === undefined) this.#send({ kind: 'take', ...options });
    else this.#failTake(this.#gone);
    return { moment: moment.promise, settled: settled.promise };
  }

  /** Asks and waits for the answer. */
  async call<Result>(command: WithoutCall<HartCommand>): Promise<Result> {
    if (this.#gone !== undefined) throw this.#gone;
    this.#next += 1;
    const answer = Promise.withResolvers<unknown>();
    this.#calls.set(this.#next, answer);
    this.#send({ ...command, call: this.#next } as HartCommand);
    return (await answer.promise) as Result;
  }

  hear(message: LiveMessage): void {
    switch (message.kind) {
      case 'moment':
        this.#moment?.resolve(message);
        break;
      case 'settled':
        this.#settled?.resolve(message);
        break;
      case 'take-failed':
        this.#failTake(AfterimageError.fromPlain(message.error));
        break;
      case 'answer':
        this.#take(message.call)?.resolve(message.value);
        break;
      case 'refusal':
        this.#take(message.call)?.reject(AfterimageError.fromPlain(message.error));
        break;
    }
  }

  /** The hart answers no more: whoever waits for it hears why. */
  close(error: AfterimageError): void {
    this.#gone = error;
    this.#failTake(error);
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
    this.#port.close();
  }

  #failTake(error: AfterimageError): void {
    this.#moment?.reject(error);
    this.#settled?.reject(error);
  }

  #take(call: number): PromiseWithResolvers<unknown> | undefined {
    const found = this.#calls.get(call);
    this.#calls.delete(call);
    return found;
  }

  #send(command: HartCommand): void {
    this.#port.postMessage(command);
    this.#bell.ring();
  }
}
