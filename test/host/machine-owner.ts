// Machines' processes for tests: started as main starts them, and ended with the test.
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { ControlEvent, FolderCalls } from '../../engine/api/control.ts';
import { type MachineRecord, type NewMachine, USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { MEMORY_LIMITS } from '../../engine/api/settings.ts';
import { MachineConnection } from '../../main/engines/connection.ts';
import { type ForkEngine, forkTransport, startWithNode } from '../../main/engines/fork-engine.ts';
import { connectTransport } from '../../main/engines/socket-transport.ts';
import { kernelHeader } from '../framework/machine-library.ts';
import { temporaryFolder } from './temporary-folder.ts';

const MACHINE_PROCESS = new URL('../../engine/host/machine-process.ts', import.meta.url);
export const SMALL_OWNER = new URL('./small-machine-process.ts', import.meta.url);

export interface Owner {
  readonly engine: ForkEngine;
  readonly connection: MachineConnection;
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly events: ControlEvent[];
  output(): string;
  /** Resolves when the console shows the text. */
  shows(text: string): Promise<void>;
  /** Resolves when it is so, which is looked at after every event. */
  until(what: string, done: () => boolean): Promise<void>;
}

/** A machine with a small machine in it, in the given mode. */
export async function smallMachine(mode: string, more: Partial<NewMachine> = {}): Promise<string> {
  const folder = path.join(temporaryFolder(), 'machine');
  const kernel = `${folder}-kernel`;
  writeFileSync(kernel, kernelHeader());
  await createMachine(folder, { boot: { kind: 'files', kernel, append: mode }, ...more });
  return folder;
}

export async function createMachine(folder: string, more: Partial<NewMachine>): Promise<MachineRecord> {
  return await folderCall('create', {
    folder,
    machine: {
      name: 'Machine',
      memory: MEMORY_LIMITS.smallest,
      boot: { kind: 'guest' },
      disks: [],
      automatic: USUAL_AUTOMATIC,
      ...more,
    },
  });
}

export async function folderCall<Name extends keyof FolderCalls>(
  name: Name,
  given: FolderCalls[Name]['arguments'],
): Promise<FolderCalls[Name]['result']> {
  using connection = new MachineConnection(forkTransport(startWithNode(undefined)), undefined);
  return await connection.callWithoutFolder(name, given);
}

/** Starts the process that owns a machine's folder. It is killed at the end of the test if it is still there. */
export function own(folder: string, entry?: URL): Owner {
  const owner = ownUntilEnd(folder, entry);
  onTestFinished(() => owner.engine.kill());
  return owner;
}

/** For several tests; whoever calls it ends it. */
export function ownUntilEnd(folder: string, entry: URL = MACHINE_PROCESS): Owner {
  const child = fork(fileURLToPath(entry), [folder], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  });
  // Not `close`: that does not come for a process that was let go.
  const exit = new Promise<{ code: number | null; signal: string | null }>(resolve => {
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  const engine: ForkEngine = {
    pid: child.pid,
    send: message => {
      if (child.connected) child.send(message as object, () => {});
    },
    onMessage: listener => void child.on('message', listener),
    onExit: listener => void exit.then(listener),
    kill: () => void child.kill('SIGKILL'),
    letGo: () => {
      if (child.connected) child.disconnect();
    },
    lastWords: () => '',
  };
  const connection = new MachineConnection(forkTransport(engine), folder);
  return { engine, exit, ...listening(connection) };
}

/** Another client, at the control socket. */
export async function connect(folder: string): Promise<Omit<Owner, 'engine' | 'exit'>> {
  const transport = await connectTransport(path.join(folder, 'control.sock'), () => '');
  if (transport === undefined) throw new Error('Nobody listens');
  const connection = new MachineConnection(transport, folder);
  onTestFinished(() => connection.close());
  return listening(connection);
}

function listening(connection: MachineConnection) {
  const events: ControlEvent[] = [];
  const chunks: Buffer[] = [];
  let look = () => {};
  for (const name of ['status', 'machine', 'tree', 'checkpoint', 'disks', 'job', 'warning', 'restarted'] as const) {
    connection.on(name, event => {
      events.push(event);
      look();
    });
  }
  connection.on('console-output', ({ bytes }) => {
    chunks.push(Buffer.from(bytes));
    void connection.call('console-taken', { count: bytes.length }).catch(() => undefined);
    look();
  });
  const output = () => Buffer.concat(chunks).toString('latin1');
  const until = async (what: string, done: () => boolean) => {
    while (!done()) {
      if (!connection.isOpen) throw new Error(`The process ended before ${what}: ${output().slice(-2000)}`);
      await new Promise<void>(resolve => {
        look = resolve;
        void connection.ended.then(() => resolve());
      });
    }
  };
  const shows = (text: string) => until(`it showed ${text}`, () => output().includes(text));
  return { connection, events, output, shows, until };
}
