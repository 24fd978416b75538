import { writeSync } from 'node:fs';
import type { FolderCalls } from '../api/control.ts';
import { checkFolderArguments, FOLDER_CALL_CHECKS } from '../api/control-checks.ts';
import { AfterimageError } from '../base/errors.ts';
import { type ControlChannel, ForkChannel, type MessagePortLike, PortChannel } from './control-channel.ts';
import { ControlClient } from './control-client.ts';
import type { EngineParts } from './engine-run.ts';
import { folderCalls } from './folder-calls.ts';
import { endWithFolder } from './folder-watch.ts';
import { MachineHost } from './machine-host.ts';

/** What went wrong before there was a machine is told to whoever asks first; then the process ends. */
const LAST_ANSWER_MILLISECONDS = 5000;

/** The whole of the process's main module; tests give it other engines. */
export function runMachineProcess(engine: EngineParts, folder: string | undefined): void {
  let host: MachineHost | undefined;
  surviveSignals(() => host);
  const opening = folder === undefined ? undefined : MachineHost.open({ folder, engine });
  const further: MessagePortLike[] = [];
  const parent = parentChannel(port => {
    if (host === undefined) further.push(port);
    else host.accept(new PortChannel(port));
  });
  if (opening === undefined) {
    serveFolderCalls(parent);
    return;
  }
  const early = new EarlyChannel(parent);
  opening.then(
    opened => {
      host = opened;
      opened.accept(early);
      early.begin();
      for (const port of further) opened.accept(new PortChannel(port));
      void opened.finished.then(() => process.exit(0));
      endWithFolder(opened, () => process.exit(1));
    },
    (thrown: unknown) => refuse(early, AfterimageError.from(thrown)),
  );
}

/** Electron's, where it is there; otherwise that of `child_process.fork`. */
function parentChannel(handedOver: (port: MessagePortLike) => void): ControlChannel {
  const { parentPort } = process as unknown as { parentPort?: MessagePortLike };
  return parentPort === undefined ? new ForkChannel(process) : new PortChannel(parentPort, handedOver);
}

type Handlers = Parameters<ControlChannel['listen']>[0];

/** Keeps what comes before the folder is open. */
class EarlyChannel implements ControlChannel {
  readonly #inner: ControlChannel;
  readonly #early: ((handlers: Handlers) => void)[] = [];
  #handlers: Handlers | undefined;

  constructor(inner: ControlChannel) {
    this.#inner = inner;
    inner.listen({
      message: message => this.#pass(handlers => handlers.message(message)),
      gone: () => this.#pass(handlers => handlers.gone()),
      drained: () => this.#pass(handlers => handlers.drained()),
    });
  }

  get congested(): boolean {
    return this.#inner.congested;
  }

  send(message: Parameters<ControlChannel['send']>[0]): void {
    this.#inner.send(message);
  }

  listen(handlers: Handlers): void {
    this.#handlers = handlers;
  }

  /** Passes on what came so far. */
  begin(): void {
    for (const step of this.#early.splice(0)) step(this.#handlers!);
  }

  flushed(): Promise<void> {
    return this.#inner.flushed();
  }

  close(): void {
    this.#inner.close();
  }

  #pass(step: (handlers: Handlers) => void): void {
    if (this.#handlers === undefined || this.#early.length > 0) this.#early.push(step);
    else step(this.#handlers);
  }
}

/** The folder cannot be had: the first call is answered with the reason. */
function refuse(channel: EarlyChannel, error: AfterimageError): void {
  const end = () => process.exit(0);
  setTimeout(end, LAST_ANSWER_MILLISECONDS);
  channel.listen({
    message: message => {
      const { id } = (typeof message === 'object' && message !== null ? message : {}) as { id?: unknown };
      if (typeof id !== 'number') return;
      channel.send({ id, error: error.toPlain() });
      void channel.flushed().then(end);
    },
    gone: end,
    drained: () => undefined,
  });
  channel.begin();
}

function serveFolderCalls(channel: ControlChannel): void {
  const calls = folderCalls();
  const client: ControlClient = new ControlClient({
    channel,
    answer: async (call, given) => {
      if (!Object.hasOwn(FOLDER_CALL_CHECKS, call)) {
        throw new AfterimageError('usage', 'There is no such call without a machine', { call: call.slice(0, 100) });
      }
      const name = call as keyof FolderCalls;
      const handler = calls[name] as (given: unknown) => Promise<unknown>;
      return await handler(checkFolderArguments(name, given));
    },
    gone: () => {
      if (!client.busy) process.exit(0);
    },
  });
}

function surviveSignals(host: () => MachineHost | undefined): void {
  // A terminal sends these to the whole group; what becomes of the machine is its clients' decision.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => {
    const found = host();
    if (found === undefined) process.exit(0);
    void found.close();
  });
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (thrown: unknown) => {
      if (thrown instanceof Error) writeSync(2, `${thrown.stack}\n`);
      const found = host();
      if (found === undefined) process.exit(1);
      found.fail(thrown);
    });
  }
}
