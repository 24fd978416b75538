// A machine's folder: `machine.json`, `disks/`, `checkpoints/`. One process owns it at a time.
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { MachineConfiguration, MachineRecord } from '../api/machine.ts';
import { checked, type ProcessState, type StoredMachine, storedMachine } from '../api/machine-checks.ts';
import { AfterimageError } from '../base/errors.ts';
import { FileLock } from './file-lock.ts';
import { codeOf, hostError } from './host-errors.ts';
import { partialRecord, readMachine, replaceMachine, syncFolder } from './machine-record.ts';
import { mayBeAlive, ownIdentity } from './process-identity.ts';

export const DISKS = 'disks';
export const CHECKPOINTS = 'checkpoints';

/** Names of layers that this program gave; others in the folder are never deleted by it. */
const OWN_LAYER = /^disks\/disk\d+-[0-9a-z]+(-[0-9a-z]+)*\.(qcow2|raw)$/;

/** What changes: parts of the configuration, and of what the process keeps for itself. */
export interface MachineChange {
  readonly configuration?: Partial<MachineConfiguration>;
  /** Fields that are there without a value are removed. */
  readonly process?: { readonly [Field in keyof ProcessState]: ProcessState[Field] | undefined };
}

/** The folder of one machine, owned by this process until it is closed. */
export class MachineFolder {
  readonly path: string;
  readonly #lock: FileLock;
  #machine: StoredMachine;
  /** The last change failed: the file may have it all the same. */
  #uncertain = false;
  #change: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, lock: FileLock, machine: StoredMachine) {
    this.path = folder;
    this.#lock = lock;
    this.#machine = machine;
  }

  /** Errors: `missing`, `locked` with the owner's process number, and those of `readMachine`. */
  static async open(folder: string): Promise<MachineFolder> {
    const absolute = path.resolve(folder);
    await readMachine(absolute);
    for (const name of [DISKS, CHECKPOINTS]) await makeFolder(path.join(absolute, name));
    // Not machine.json, which is replaced by other files all the time.
    const lock = await FileLock.take(path.join(absolute, DISKS), 'write');
    try {
      const machine = await readMachine(absolute);
      await rm(partialRecord(absolute), { force: true });
      return new MachineFolder(absolute, lock, machine);
    } catch (thrown) {
      lock.release();
      throw thrown;
    }
  }

  get record(): MachineRecord {
    const { process: _, ...record } = this.#machine;
    return record;
  }

  get process(): ProcessState {
    return this.#machine.process;
  }

  /** The layer that a disk runs on. */
  activeLayer(disk: number): string {
    return this.#machine.process.temporary?.[disk] ?? this.#machine.disks[disk]?.file ?? '';
  }

  /** Durable when it returns; after a failure the machine is as before. Changes follow each other in order. */
  async change(change: MachineChange | ((machine: StoredMachine) => MachineChange)): Promise<void> {
    const step = this.#change.then(async () => {
      const { configuration = {}, process = {} } = typeof change === 'function' ? change(this.#machine) : change;
      const state = Object.entries({ ...this.#machine.process, ...process }).filter(([, value]) => value !== undefined);
      const next = checked(
        storedMachine,
        { ...this.#machine, ...configuration, process: Object.fromEntries(state) },
        'usage',
        'The machine',
      );
      if (!this.#uncertain && isDeepStrictEqual(next, this.#machine)) return;
      this.#uncertain = true;
      await replaceMachine(this.path, next);
      this.#uncertain = false;
      this.#machine = next;
    });
    this.#change = step.catch(() => undefined);
    await step;
  }

  /** The host's path of a file that is named relative to the folder, with `/`. */
  inside(relative: string): string {
    return path.join(this.path, ...relative.split('/'));
  }

  /** False when the folder was deleted or moved, or its lock was. */
  isThere(): Promise<boolean> {
    return this.#lock.isThere();
  }

  async close(): Promise<void> {
    await this.#change;
    this.#lock.release();
  }
}

/** A name for a new layer of a disk. */
export function freshLayer(disk: number, format: 'raw' | 'qcow2' = 'qcow2'): string {
  return `${DISKS}/disk${disk}-${randomBytes(5).toString('hex')}.${format}`;
}

export function isOwnLayer(name: string): boolean {
  return OWN_LAYER.test(name);
}

/**
 * Makes a machine's folder in one step: `fill` puts disks and checkpoints into a folder beside it, which gets its name
 * when all of it is durable. What crashed attempts left is removed. Errors: `state` when there is something of the name,
 * `unsupported` for a machine that nobody could open.
 */
export async function createMachineFolder(
  folder: string,
  fill: (unfinished: string) => Promise<StoredMachine>,
): Promise<StoredMachine> {
  const absolute = path.resolve(folder);
  const parent = path.dirname(absolute);
  await refuseExisting(absolute);
  try {
    await mkdir(parent, { recursive: true });
    await removeLeftovers(parent);
    const unfinished = path.join(parent, unfinishedName());
    await mkdir(unfinished, { mode: 0o700 });
    try {
      for (const name of [DISKS, CHECKPOINTS]) await mkdir(path.join(unfinished, name));
      // What could not be opened again is not made.
      const machine = checked(storedMachine, await fill(unfinished), 'unsupported', 'The machine');
      await replaceMachine(unfinished, machine);
      for (const name of [DISKS, CHECKPOINTS]) await syncTree(path.join(unfinished, name));
      await syncFolder(unfinished);
      await refuseExisting(absolute);
      await rename(unfinished, absolute);
      await syncFolder(parent);
      return machine;
    } catch (thrown) {
      await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
      throw thrown;
    }
  } catch (thrown) {
    throw hostError(thrown, absolute, 'create');
  }
}

async function refuseExisting(folder: string): Promise<void> {
  const found = await lstat(folder).catch(thrown => {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw hostError(thrown, folder, 'find');
  });
  if (found !== undefined)
    throw new AfterimageError('state', 'There is something of this name already', { path: folder });
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw hostError(thrown, folder, 'create');
    const found = await lstat(folder);
    if (!found.isDirectory()) throw new AfterimageError('corrupt', 'It is not a folder', { path: folder });
  }
}

/** Makes the files of a folder durable, and its names. */
async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const handle = await open(path.join(folder, entry.name), 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
  await syncFolder(folder);
}

const UNFINISHED = /^\.new-(\d{1,10})-(\d+)-([0-9a-f]+)-([0-9a-f]+)-[0-9a-f]+$/;

/** It says who makes it, so that it can be told when nobody does any more. */
function unfinishedName(): string {
  const { pid, started, host, boot } = ownIdentity();
  return `.new-${pid}-${started}-${host}-${boot}-${randomBytes(4).toString('hex')}`;
}

async function removeLeftovers(parent: string): Promise<void> {
  const own = ownIdentity();
  for (const name of await readdir(parent)) {
    const match = UNFINISHED.exec(name);
    if (match === null) continue;
    const [, pid, started, host, boot] = match as unknown as [string, string, string, string, string];
    if (mayBeAlive({ pid: Number(pid), started, host, boot }, own)) continue;
    await rm(path.join(parent, name), { recursive: true, force: true });
  }
}
