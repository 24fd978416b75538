// The process that owns a machine's folder: all that clients ask of it comes here.
import type { Socket } from 'node:net';
import type { ControlEvent } from '../api/control.ts';
import { checkArguments, isCallName } from '../api/control-checks.ts';
import type { MachineStatus } from '../api/machine.ts';
import { AfterimageError } from '../base/errors.ts';
import type { CheckpointTree } from '../checkpoint/tree.ts';
import { ConsoleHub } from './console-hub.ts';
import { type ControlChannel, SocketChannel } from './control-channel.ts';
import { ControlClient } from './control-client.ts';
import { ControlServer } from './control-server.ts';
import type { EngineParts } from './engine-run.ts';
import { type Handlers, machineCalls } from './machine-calls.ts';
import { MachineCheckpoints } from './machine-checkpoints.ts';
import { MachineDeletions } from './machine-deletions.ts';
import { type ChainLimits, MachineDiskJobs } from './machine-disk-jobs.ts';
import { MachineDiskSet } from './machine-disk-set.ts';
import { MachineExec } from './machine-exec.ts';
import { MachineFolder } from './machine-folder.ts';
import { MachineJobs } from './machine-jobs.ts';
import { MachineLayers } from './machine-layers.ts';
import { MachineLeftovers } from './machine-leftovers.ts';
import { MachinePosition } from './machine-position.ts';
import { Power } from './machine-power.ts';
import { MachineRuns } from './machine-runs.ts';
import { MachineStores } from './machine-stores.ts';

/** Status events are at least so far apart; the last one always comes. */
const STATUS_MILLISECONDS = 50;
/** A client that goes may be followed by the next call of the same program. */
const LINGER_MILLISECONDS = 100;

export interface MachineHostParts {
  readonly folder: string;
  readonly engine: EngineParts;
  /** The usual ones unless given. */
  readonly chains?: ChainLimits;
}

/** Opened lazily: what a call does not need is not waited for. */
export class MachineHost {
  readonly folder: MachineFolder;
  readonly console = new ConsoleHub();
  readonly jobs = new MachineJobs(job => this.announce({ event: 'job', job }));
  readonly engineParts: EngineParts;
  readonly power: Power;
  readonly layers: MachineLayers;
  readonly stores: MachineStores;
  readonly position = new MachinePosition(this);
  readonly checkpoints = new MachineCheckpoints(this);
  readonly deletions = new MachineDeletions(this);
  readonly diskSet = new MachineDiskSet(this);
  readonly runs = new MachineRuns(this);
  readonly diskJobs: MachineDiskJobs;
  readonly exec = new MachineExec(this.console);
  /** Layers that a job reads, by its number. */
  readonly copying = new Map<number, readonly string[]>();
  /** Resolves when nobody needs this process any more, and everything is closed. */
  readonly finished: Promise<void>;
  #finish: () => void = () => undefined;
  readonly #clients = new Set<ControlClient>();
  readonly #handlers: Handlers;
  #server: ControlServer | undefined;
  #tree: Promise<CheckpointTree> | undefined;
  readonly #leftovers: MachineLeftovers;
  #swept: Promise<void> = Promise.resolve();
  #statusTimer: NodeJS.Timeout | undefined;
  #lastStatus = 0;
  #closing = false;
  /** What is being done that the machine's power depends on. */
  #transition: string | undefined;
  #lingering: NodeJS.Timeout | undefined;
  /** Parts of the status that others know. */
  readonly #facts: { -readonly [Name in 'taking' | 'absentPages']?: MachineStatus[Name] } = {};

  private constructor(folder: MachineFolder, stores: MachineStores, { engine, chains }: MachineHostParts) {
    this.folder = folder;
    this.stores = stores;
    this.engineParts = engine;
    this.#leftovers = new MachineLeftovers(folder);
    this.finished = new Promise(resolve => {
      this.#finish = resolve;
    });
    this.power = new Power({
      folder,
      engine,
      console: this.console,
      changed: () => this.statusChanged(),
      warn: error => this.announce({ event: 'warning', error: error.toPlain() }),
      restarted: () => this.announce({ event: 'restarted' }),
      diskJob: event => this.diskJobs.hear(event),
      absentPages: count => this.setFact('absentPages', count === 0 ? undefined : count),
      started: () => this.diskJobs.runStarted(),
      ended: () => {
        this.diskJobs.runEnded();
        return this.runs.ended();
      },
    });
    this.layers = new MachineLayers(
      folder,
      () => this.tree(),
      () => [...this.copying].flatMap(([job, layers]) => layers.map(layer => ({ job, layer }))),
    );
    this.diskJobs = new MachineDiskJobs(this, chains);
    this.#handlers = machineCalls(this);
  }

  /** Errors: `locked` when another process owns the folder, and those of its `machine.json`. */
  static async open(parts: MachineHostParts): Promise<MachineHost> {
    const opened = await MachineFolder.open(parts.folder);
    try {
      const host = new MachineHost(opened, await MachineStores.open(opened), parts);
      host.#server = await ControlServer.listen(opened.path, socket => host.#acceptSocket(socket));
      return host;
    } catch (thrown) {
      await opened.close();
      throw thrown;
    }
  }

  accept(channel: ControlChannel): void {
    clearTimeout(this.#lingering);
    const client: ControlClient = new ControlClient({
      channel,
      answer: (call, given, from) => this.#answer(call, given, from),
      gone: one => this.#forget(one),
    });
    this.#clients.add(client);
  }

  announce(event: ControlEvent): void {
    for (const client of this.#clients) client.announce(event);
  }

  /** The machine's checkpoints; opened when they are needed first. */
  tree(): Promise<CheckpointTree> {
    this.#tree ??= this.#openTree().then(
      tree => {
        this.#swept = this.#sweep();
        return tree;
      },
      thrown => {
        this.#tree = undefined;
        throw thrown;
      },
    );
    return this.#tree;
  }

  /** Resolves when what an earlier process left over in the folder is gone, as far as it can be. */
  async swept(): Promise<void> {
    await this.tree();
    await this.#swept;
  }

  async status(): Promise<MachineStatus> {
    // A tree that cannot be read must not keep a machine's state from being known.
    const tree = await this.tree().catch(() => undefined);
    const position = tree?.nodes.some(({ current }) => current) ? tree.current : undefined;
    return {
      ...this.power.status,
      pid: process.pid,
      ...this.#facts,
      ...(position === undefined ? {} : { position }),
    };
  }

  /** Sets or clears parts of the status. */
  setFact<Name extends 'taking' | 'absentPages'>(name: Name, value: MachineStatus[Name] | undefined): void {
    if (value === undefined) delete this.#facts[name];
    else this.#facts[name] = value;
    this.statusChanged();
  }

  statusChanged(): void {
    if (this.#statusTimer !== undefined) return;
    const wait = Math.max(0, this.#lastStatus + STATUS_MILLISECONDS - performance.now());
    this.#statusTimer = setTimeout(() => {
      this.#statusTimer = undefined;
      this.#lastStatus = performance.now();
      void this.status().then(status => {
        this.announce({ event: 'status', status });
        this.#lookForEnd();
      });
    }, wait);
  }

  /** Does something that begins or ends runs; one at a time. @throws AfterimageError `state` while another is done */
  async transition<Result>(what: string, step: () => Promise<Result>): Promise<Result> {
    if (this.#transition !== undefined) {
      throw new AfterimageError('state', `The machine is busy: ${this.#transition}`);
    }
    this.#transition = what;
    try {
      return await step();
    } finally {
      this.#transition = undefined;
    }
  }

  /** Ends the machine and this process. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearTimeout(this.#statusTimer);
    clearTimeout(this.#lingering);
    // First: whoever comes now must start a process of their own, and wait for the folder.
    await this.#server?.close();
    await this.power.cut();
    await this.jobs.finish();
    await this.#swept;
    await this.stores.close();
    await this.folder.close();
    for (const client of this.#clients) {
      await client.flushed();
      client.close();
    }
    this.#finish();
  }

  /** Something went wrong in this process itself. */
  fail(thrown: unknown): void {
    this.announce({ event: 'warning', error: AfterimageError.from(thrown).toPlain() });
    this.power.fail(thrown);
  }

  async #openTree(): Promise<CheckpointTree> {
    const tree = await this.stores.openTree(error => this.#warn(error));
    await this.#leftovers.adopt(tree).catch(thrown => this.#warn(thrown));
    const { restored } = this.folder.process;
    // A restore that was cut off after it had happened, and before the tree knew.
    if (restored !== undefined && tree.current === restored.from && tree.current !== restored.checkpoint) {
      await tree.setCurrent(restored.checkpoint).catch(() => undefined);
    }
    if (restored !== undefined) await this.folder.change({ process: { restored: undefined } });
    return tree;
  }

  /** Nobody waits for it, but who wants to know what is left over. */
  async #sweep(): Promise<void> {
    // Whoever has just asked for the tree has it first.
    await Promise.resolve();
    await this.#leftovers.sweep(this.layers).catch(thrown => this.#warn(thrown));
  }

  #warn(thrown: unknown): void {
    this.announce({ event: 'warning', error: AfterimageError.from(thrown).toPlain() });
  }

  #acceptSocket(socket: Socket): void {
    if (this.#closing) socket.destroy();
    else this.accept(new SocketChannel(socket));
  }

  async #answer(call: string, given: unknown, client: ControlClient): Promise<unknown> {
    if (!isCallName(call)) throw new AfterimageError('usage', 'There is no such call', { call: call.slice(0, 100) });
    if (this.#closing) throw new AfterimageError('state', 'The machine’s process is ending');
    return await this.#handlers.call(call, checkArguments(call, given), client);
  }

  #forget(client: ControlClient): void {
    // What it asked for is done; it counts until then.
    if (client.busy) return;
    this.#clients.delete(client);
    this.#lookForEnd();
  }

  #lookForEnd(): void {
    clearTimeout(this.#lingering);
    const needed = () => this.#clients.size > 0 || this.power.on || this.jobs.busy || this.#transition !== undefined;
    if (this.#closing || needed()) return;
    this.#lingering = setTimeout(() => {
      if (!needed()) void this.close();
    }, LINGER_MILLISECONDS);
  }
}
