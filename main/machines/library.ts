import { randomBytes } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { ImportPreview } from '../../engine/api/checkpoints.ts';
import type { Identity, MachineRecord } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { hostError } from '../../engine/base/host-errors.ts';
import type { MachineConnection } from '../engines/connection.ts';
import { type StartEngine, startWithNode } from '../engines/fork-engine.ts';
import { connectMachine, type OpenedMachine, openMachine, withoutFolder } from '../engines/open-machine.ts';
import { complete, copyOf, inFreeFolder, type WantedMachine } from './create.ts';
import { isPowered, type MachineEntry, machineFolders, nameOf, readEntries } from './entries.ts';
import { withName } from './name-claim.ts';
import { checkMachineName, readRecord } from './record.ts';
import { slugOf } from './slug.ts';

export interface LibraryParts {
  /** Absolute; see location.ts. Made when the first machine is. */
  readonly folder: string;
  readonly startEngine?: StartEngine;
}

export interface RemoveOptions {
  /** Power it off, without asking the guest, if it runs. */
  readonly force?: boolean;
  /** Moves a folder to the platform's trash; without it the machine is gone at once. */
  readonly trash?: (folder: string) => Promise<void>;
}

export interface LibraryMachine {
  readonly folder: string;
  readonly record: MachineRecord;
}

/** Shortest part of an identity that stands for a machine. */
const SHORTEST_PREFIX = 4;

/**
 * The machines of a user: a folder with a folder for each. Nothing is kept in memory; others may change the library at
 * any time. Of a machine's folder only `machine.json` is read here, all else processes of the machines do.
 */
export class MachineLibrary {
  readonly folder: string;
  readonly #startEngine: StartEngine;

  constructor(parts: LibraryParts) {
    this.folder = parts.folder;
    this.#startEngine = parts.startEngine ?? startWithNode;
  }

  /** All of them by name, broken ones included. */
  list(): Promise<MachineEntry[]> {
    return readEntries(this.folder);
  }

  /**
   * The machine of this name, else in the folder of this name, else whose identity begins so. Errors: `missing`;
   * `usage` when several have it; what is wrong with a broken one.
   */
  async find(name: string): Promise<LibraryMachine> {
    return (await this.#byUsualFolder(name)) ?? asMachine(await this.#bySearch(name));
  }

  /** The same, for those who can do with a broken one. */
  async findFolder(name: string): Promise<string> {
    return ((await this.#byUsualFolder(name)) ?? (await this.#bySearch(name))).folder;
  }

  /** Connects to the machine's process, or starts one. */
  open(folder: string): Promise<OpenedMachine> {
    return openMachine(folder, { startEngine: this.#startEngine });
  }

  /** Errors: `usage`, `state` when there is one of that name; `missing` and others for files that cannot be used. */
  async create(wanted: WantedMachine): Promise<LibraryMachine> {
    const machine = await complete({ ...wanted, name: checkMachineName(wanted.name) });
    return await this.#withNewName(wanted.name, name =>
      this.#make(name, (connection, folder) => connection.callWithoutFolder('create', { folder, machine })),
    );
  }

  /** At any time; the folder keeps its name. */
  async rename(folder: string, wanted: string): Promise<MachineRecord> {
    const rename = async (name: string) => {
      using opened = await this.#hold(folder);
      return await opened.connection.call('configure', { change: { name } });
    };
    return await this.#withNewName(wanted, rename, folder);
  }

  /**
   * A machine of the same make with its disks as they are, a new identity and no checkpoints. Errors: `state` when the
   * original runs, or is started meanwhile.
   */
  duplicate(folder: string, wanted: string): Promise<LibraryMachine> {
    return this.#withNewName(wanted, name => this.#duplicate(folder, name));
  }

  async #duplicate(folder: string, name: string): Promise<LibraryMachine> {
    // While we are connected no other process can have the folder, and this one tells when it is started.
    using opened = await this.#hold(folder);
    let { status } = opened;
    opened.connection.on('status', event => {
      status = event.status;
    });
    const check = () => {
      if (isPowered(status) || !opened.connection.isOpen) throw runs(folder, 'duplicate');
    };
    check();
    const { record } = await readRecord(folder);
    const machine = copyOf(record, folder, name);
    const copy = await this.#make(name, (connection, to) =>
      connection.callWithoutFolder('create', { folder: to, machine }),
    );
    try {
      check();
      return copy;
    } catch (thrown) {
      // Its disks are of no one moment.
      await this.remove(copy.folder);
      throw thrown;
    }
  }

  /** A new machine that goes on from a checkpoint of the machine in `from`. */
  clone(from: string, id: Identity, wanted: string): Promise<LibraryMachine> {
    return this.#withNewName(wanted, name => this.#clone(from, id, name));
  }

  async #clone(from: string, id: Identity, name: string): Promise<LibraryMachine> {
    using opened = await this.#hold(from);
    const { folder } = await inFreeFolder(this.folder, name, to =>
      opened.connection.call('clone', { id, folder: to, name }),
    );
    return { folder, record: (await readRecord(folder)).record };
  }

  /** What a checkpoint file says of itself. */
  preview(file: string): Promise<ImportPreview> {
    return withoutFolder(
      connection => connection.callWithoutFolder('preview', { file: path.resolve(file) }),
      this.#startEngine,
    );
  }

  /** A machine out of a self-contained checkpoint file: of that name, or of the one in the file, with a number if taken. */
  async import(file: string, wanted?: string): Promise<LibraryMachine> {
    const from = path.resolve(file);
    const make = (name: string) =>
      this.#make(name, async (connection, folder) => {
        await connection.callWithoutFolder('import', { file: from, folder, name });
        return (await readRecord(folder)).record;
      });
    if (wanted !== undefined) return await this.#withNewName(wanted, make);
    const own = checkMachineName((await this.preview(from)).machineName);
    // Two imports of one file at a time would choose the same number; the second is refused.
    return await withName(this.folder, own, async () => {
      const name = await this.#freeName(own);
      return name === own ? await make(name) : await this.#withNewName(name, make);
    });
  }

  /**
   * Deletes a machine, or what is left of one. Errors: `state` when it runs and `force` is not set; `usage` for a folder
   * that is none of this library.
   */
  async remove(folder: string, { force, trash }: RemoveOptions = {}): Promise<void> {
    if (!(await machineFolders(this.folder)).includes(folder)) {
      throw new AfterimageError('usage', 'It is no folder of this library', { path: folder });
    }
    const opened = await connectMachine(folder);
    try {
      if (opened !== undefined && isPowered(opened.status)) {
        if (!force) throw runs(folder, 'delete');
        await opened.connection.call('stop', { force: true });
      }
    } finally {
      opened?.connection.close();
    }
    try {
      if (trash !== undefined) {
        await trash(folder);
        return;
      }
      // It vanishes at once, and a process that is about to start it finds nothing.
      const hidden = path.join(this.folder, `.deleted-${randomBytes(6).toString('hex')}`);
      await rename(folder, hidden);
      await rm(hidden, { recursive: true, force: true, maxRetries: 3 });
    } catch (thrown) {
      throw hostError(thrown, folder, 'delete');
    }
  }

  async #hold(folder: string): Promise<OpenedMachine & Disposable> {
    const opened = await this.open(folder);
    return { ...opened, [Symbol.dispose]: () => opened.connection.close() };
  }

  async #make(
    name: string,
    make: (connection: MachineConnection, folder: string) => Promise<MachineRecord>,
  ): Promise<LibraryMachine> {
    const { folder, result } = await inFreeFolder(this.folder, name, to =>
      withoutFolder(connection => make(connection, to), this.#startEngine),
    );
    return { folder, record: result };
  }

  /** Nobody else makes a machine of this name meanwhile. */
  #withNewName<Result>(wanted: string, work: (name: string) => Promise<Result>, own?: string): Promise<Result> {
    const name = checkMachineName(wanted);
    return withName(this.folder, name, async () => work(await this.#newName(name, own)));
  }

  /** No other machine's; upper and lower case are the same. */
  async #newName(name: string, own?: string): Promise<string> {
    const others = (await this.list()).filter(entry => entry.folder !== own);
    if (others.some(entry => nameOf(entry).toLowerCase() === name.toLowerCase())) {
      throw new AfterimageError('state', `There is a machine '${name}' already; give another name`, { name });
    }
    return name;
  }

  /** The same name with a number, if it is taken. */
  async #freeName(wanted: string): Promise<string> {
    const taken = new Set((await this.list()).map(entry => nameOf(entry).toLowerCase()));
    for (let number = 1; ; number++) {
      const name = number === 1 ? wanted : `${wanted} ${number}`;
      if (!taken.has(name.toLowerCase())) return checkMachineName(name);
    }
  }

  /** Without reading all the others, whose number may be large. */
  async #byUsualFolder(name: string): Promise<LibraryMachine | undefined> {
    const folder = path.join(this.folder, slugOf(name));
    try {
      const { record } = await readRecord(folder);
      return record.name === name ? { folder, record } : undefined;
    } catch {
      return undefined;
    }
  }

  async #bySearch(name: string): Promise<MachineEntry> {
    const entries = await this.list();
    const machines = entries.filter(entry => entry.kind === 'machine');
    const prefix = name.length >= SHORTEST_PREFIX ? name.toLowerCase() : undefined;
    const candidates = [
      machines.filter(({ record }) => record.name === name),
      entries.filter(({ folder }) => path.basename(folder) === name),
      machines.filter(({ record }) => prefix !== undefined && record.id.startsWith(prefix)),
    ];
    const [found, another] = candidates.find(list => list.length > 0) ?? [];
    if (found === undefined) {
      const context = { name, library: this.folder };
      throw new AfterimageError('missing', `There is no machine '${name}'; see 'afterimage list'`, context);
    }
    if (another !== undefined) {
      const folders = [found, another].map(({ folder }) => `'${path.basename(folder)}'`).join(' or ');
      throw new AfterimageError('usage', `'${name}' can be several machines; give a folder, such as ${folders}`);
    }
    return found;
  }
}

function asMachine(entry: MachineEntry): LibraryMachine {
  if (entry.kind === 'broken') throw AfterimageError.fromPlain(entry.problem);
  return entry;
}

function runs(folder: string, during: string): AfterimageError {
  return new AfterimageError('state', 'The machine runs; stop it first', { path: folder, during });
}
