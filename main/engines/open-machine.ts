// The way to a machine: through the control socket of the process that owns its folder, or through a process of our own.
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { MachineStatus } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { EngineEnded, MachineConnection } from './connection.ts';
import { controlAddress } from './control-address.ts';
import { type ForkEngine, forkTransport, type StartEngine, startWithNode, wordsOf } from './fork-engine.ts';
import { connectTransport } from './socket-transport.ts';

/** A process that has the folder for one call only is soon done; one that starts needs a moment to listen. */
const PATIENCE_MILLISECONDS = 5000;
/** After this long another process is started to see whether the owner has left without removing its lock. */
const OWNER_MILLISECONDS = 2000;
/** A process that is alive answers for its state at once, however busy its machine is. */
const ANSWER_MILLISECONDS = 10_000;
/** Is there while a process owns the folder; see engine/host/machine-folder.ts. */
const LOCK = 'disks.lock';
const SHORTEST_WAIT = 10;
const LONGEST_WAIT = 200;

export interface OpenedMachine {
  readonly connection: MachineConnection;
  /** As it was when the process answered first. */
  readonly status: MachineStatus;
  /** The process, when we have started it; otherwise another program has. */
  readonly engine?: ForkEngine;
}

export interface OpenOptions {
  readonly startEngine?: StartEngine;
  readonly patienceMilliseconds?: number;
}

/**
 * Connects to the process that owns the machine's folder, or starts one. Any number of programs may do so at the same
 * time: one of their processes gets the folder, and all connect to that. Errors: `locked` when the folder stays in
 * somebody's hands who does not listen, EngineEnded, and what the process says of the folder.
 */
export async function openMachine(folder: string, options: OpenOptions = {}): Promise<OpenedMachine> {
  const startEngine = options.startEngine ?? startWithNode;
  const deadline = performance.now() + (options.patienceMilliseconds ?? PATIENCE_MILLISECONDS);
  for (;;) {
    const running = await connectMachine(folder);
    if (running !== undefined) return running;
    const own = await startMachine(folder, startEngine);
    if (!(own instanceof AfterimageError)) return own;
    const owned = await connectSoon(folder, Math.min(deadline, performance.now() + OWNER_MILLISECONDS));
    if (owned !== undefined) return owned;
    if (performance.now() > deadline) throw own;
  }
}

/** To a process that has the folder and does not listen yet; undefined when it has left, or it takes too long. */
async function connectSoon(folder: string, deadline: number): Promise<OpenedMachine | undefined> {
  for (let wait = SHORTEST_WAIT; performance.now() < deadline; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    const running = await connectMachine(folder);
    if (running !== undefined) return running;
    if (!existsSync(path.join(folder, LOCK))) return undefined;
    await new Promise(resolve => setTimeout(resolve, wait));
  }
  return undefined;
}

/** The machine's process if one listens. Errors: `io` when it does not answer. */
export async function connectMachine(
  folder: string,
  answerMilliseconds = ANSWER_MILLISECONDS,
): Promise<OpenedMachine | undefined> {
  const address = await controlAddress(folder);
  const transport = address && (await connectTransport(address, () => wordsOf(folder)));
  if (!transport) return undefined;
  const connection = new MachineConnection(transport, folder);
  try {
    return { connection, status: await statusWithin(answerMilliseconds, connection) };
  } catch (thrown) {
    connection.close();
    // It is about to end, as processes do when their machine is off and nobody needs them.
    if (thrown instanceof EngineEnded || AfterimageError.from(thrown).kind === 'state') return undefined;
    throw thrown;
  }
}

/** The `locked` error is returned: somebody else was faster. */
async function startMachine(folder: string, startEngine: StartEngine): Promise<OpenedMachine | AfterimageError> {
  const engine = startEngine(folder);
  const connection = new MachineConnection(forkTransport(engine), folder);
  try {
    return { connection, engine, status: await connection.call('status', {}) };
  } catch (thrown) {
    connection.close();
    const error = AfterimageError.from(thrown);
    if (error.kind === 'locked') return error;
    throw error;
  }
}

async function statusWithin(milliseconds: number, connection: MachineConnection): Promise<MachineStatus> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    const { folder } = connection;
    const error = new AfterimageError('io', "The machine's process does not answer", { folder, during: 'connect' });
    timer = setTimeout(() => reject(error), milliseconds);
  });
  try {
    return await Promise.race([connection.call('status', {}), silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Has a process do something that needs no machine's folder (FolderCalls). */
export async function withoutFolder<Result>(
  work: (connection: MachineConnection) => Promise<Result>,
  startEngine: StartEngine = startWithNode,
): Promise<Result> {
  using connection = new MachineConnection(forkTransport(startEngine(undefined)), undefined);
  return await work(connection);
}
