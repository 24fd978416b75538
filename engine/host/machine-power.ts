// Power, as its machine's owner sees it: one engine a run, from power-on or a checkpoint to its end.
import path from 'node:path';
import type { GuestFiles } from '../api/control.ts';
import type { MachineRecord, MachineState, MachineStatus } from '../api/machine.ts';
import type { Command, DiskJobEvent, EngineEvent, RunSummary } from '../api/messages.ts';
import type { BootSettings, ConsoleSize, MachineSettings } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { ConsoleHub } from './console-hub.ts';
import { Engine } from './engine.ts';
import type { EngineParts } from './engine-run.ts';
import type { MachineFolder } from './machine-folder.ts';
import type { ParentLink } from './parent-link.ts';
import type { Resume } from './resume.ts';

export interface PowerParts {
  readonly folder: MachineFolder;
  readonly engine: EngineParts;
  readonly console: ConsoleHub;
  /** The status is another one. */
  readonly changed: () => void;
  readonly warn: (error: AfterimageError) => void;
  readonly restarted: () => void;
  readonly diskJob: (event: DiskJobEvent) => void;
  readonly absentPages: (count: number) => void;
  readonly started: () => void;
  /** The run is over, and all of it closed. */
  readonly ended: () => Promise<void>;
}

export interface PowerOn {
  readonly guest?: GuestFiles | undefined;
  readonly consoleSize?: ConsoleSize | undefined;
  /** The hart waits before its first instruction. */
  readonly paused?: boolean | undefined;
  /** Goes on from a checkpoint instead. */
  readonly resume?: Resume | undefined;
}

/** When the start itself is over, so that the spare thread does not slow it down. */
const SPARE_MILLISECONDS = 1000;

/** What is known of the present run, or of the last one. */
type PowerStatus = Pick<MachineStatus, 'state' | 'pausedBy' | 'error' | 'startedAt' | 'ended' | 'consoleSize'>;

interface Run {
  readonly engine: Engine;
  send(command: Command): void;
  readonly started: PromiseWithResolvers<void>;
  /** Resolves when everything is closed, however it ended. */
  readonly over: Promise<void>;
}

export class Power {
  readonly #parts: PowerParts;
  #state: MachineState = 'off';
  #byWish = false;
  #byHost: 'disk-full' | 'page' | undefined;
  #error: AfterimageError | undefined;
  #startedAt: number | undefined;
  #ended: RunSummary | undefined;
  #consoleSize: ConsoleSize | undefined;
  /** The default guest's files as they were given last. */
  #guest: GuestFiles | undefined;
  #run: Run | undefined;

  constructor(parts: PowerParts) {
    this.#parts = parts;
  }

  get status(): PowerStatus {
    const paused =
      this.#state === 'running' ? (this.#byHost ?? (this.#byWish ? ('wish' as const) : undefined)) : undefined;
    return {
      state: paused === undefined ? this.#state : 'paused',
      ...(paused === undefined ? {} : { pausedBy: paused }),
      ...(this.#error === undefined ? {} : { error: this.#error.toPlain() }),
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(this.#ended === undefined ? {} : { ended: { reason: this.#ended.reason, code: this.#ended.code } }),
      ...(this.#consoleSize === undefined ? {} : { consoleSize: this.#consoleSize }),
    };
  }

  /** Whether an engine is there, from its start to its very end. */
  get on(): boolean {
    return this.#run !== undefined;
  }

  /** By wish, or for want of room on the host. */
  get paused(): boolean {
    return this.#state === 'running' && (this.#byWish || this.#byHost !== undefined);
  }

  /** The default guest's files as the last start had them. */
  get guest(): GuestFiles | undefined {
    return this.#guest;
  }

  /** Of the running machine. @throws AfterimageError `state` */
  get engine(): Engine {
    if (this.#run === undefined || this.#state !== 'running') throw notRunning(this.#state);
    return this.#run.engine;
  }

  /** To the running machine. @throws AfterimageError `state` */
  send(command: Command): void {
    if (this.#run === undefined || this.#state !== 'running') throw notRunning(this.#state);
    this.#run.send(command);
  }

  /** Resolves when the machine runs. @throws AfterimageError of the start; `state` when it is on already */
  async start(options: PowerOn): Promise<void> {
    if (this.#run !== undefined) throw new AfterimageError('state', 'The machine is on already');
    this.#guest = options.guest ?? this.#guest;
    this.#consoleSize = options.consoleSize ?? this.#consoleSize;
    const settings = machineSettings(this.#parts.folder, this.#guest, this.#consoleSize);
    this.#byWish = options.paused === true;
    this.#byHost = undefined;
    this.#error = undefined;
    this.#ended = undefined;
    this.#become('starting');
    const run = this.#createRun();
    this.#run = run;
    if (this.#byWish) run.send({ kind: 'pause' });
    if (options.resume === undefined) run.send({ kind: 'start', settings });
    else run.engine.restore(settings, options.resume);
    await run.started.promise;
  }

  pause(): void {
    this.send({ kind: 'pause' });
    this.#byWish = true;
    this.#parts.changed();
  }

  resume(): void {
    this.send({ kind: 'resume' });
    this.#byWish = false;
    this.#parts.changed();
  }

  resize(size: ConsoleSize): void {
    this.#consoleSize = size;
    if (this.#run !== undefined && this.#state === 'running') this.#run.send({ kind: 'resize', size });
    this.#parts.changed();
  }

  /** Powers off without asking the guest; disks are flushed when it returns. */
  async cut(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    if (this.#state !== 'stopping') this.#become('stopping');
    run.send({ kind: 'stop' });
    await run.over;
  }

  /** Resolves when the present run is over, however it ends. */
  async over(): Promise<void> {
    await this.#run?.over;
  }

  /** Something went wrong in this process itself: the machine ends with what it has. */
  fail(thrown: unknown): void {
    this.#run?.engine.fail(thrown);
  }

  #createRun(): Run {
    let obey: (command: Command) => void = () => undefined;
    const link: ParentLink = {
      send: event => this.#hear(event),
      listen: handlers => {
        obey = command => handlers.command(command);
      },
      flushed: async () => undefined,
    };
    const engine = new Engine(link, this.#parts.engine);
    const started = Promise.withResolvers<void>();
    // A start that nobody waits for any more.
    started.promise.catch(() => undefined);
    const over = engine.finished
      .then(() => this.#parts.ended())
      .catch(thrown => this.#parts.warn(AfterimageError.from(thrown)))
      .then(() => this.#finish(started));
    this.#parts.console.connect(
      bytes => obey({ kind: 'console-input', bytes }),
      count => obey({ kind: 'console-taken', count }),
    );
    return { engine, send: command => obey(command), started, over };
  }

  #hear(event: EngineEvent): void {
    switch (event.kind) {
      case 'started':
        this.#startedAt = Date.now();
        this.#become('running');
        this.#run?.started.resolve();
        this.#parts.started();
        // A restore needs another thread at once.
        setTimeout(() => this.#parts.engine.harts.prepare(), SPARE_MILLISECONDS).unref();
        break;
      case 'console-output':
        this.#parts.console.output(event.bytes);
        break;
      case 'console-accepted':
        this.#parts.console.accepted(event.count);
        break;
      case 'restarted':
        this.#parts.restarted();
        break;
      case 'warning':
        this.#parts.warn(AfterimageError.fromPlain(event.error));
        break;
      case 'disk-full':
        this.#byHost = 'disk-full';
        this.#parts.warn(AfterimageError.fromPlain(event.error));
        this.#parts.changed();
        break;
      case 'disk-resumed':
        this.#byHost = undefined;
        this.#parts.changed();
        break;
      case 'page-unreadable':
        this.#byHost = 'page';
        this.#parts.warn(AfterimageError.fromPlain(event.error));
        this.#parts.changed();
        break;
      case 'page-readable':
        this.#byHost = undefined;
        this.#parts.changed();
        break;
      case 'absent-pages':
        this.#parts.absentPages(event.count);
        break;
      case 'disk-job':
      case 'disk-active':
      case 'disk-bitmap':
      case 'disk-interrupted':
        this.#parts.diskJob(event);
        break;
      case 'stopped':
        this.#ended = event.summary;
        break;
      case 'failed':
        this.#error = AfterimageError.fromPlain(event.error);
        break;
      default:
        break;
    }
  }

  #finish(started: PromiseWithResolvers<void>): void {
    this.#run = undefined;
    this.#byWish = false;
    this.#byHost = undefined;
    this.#parts.console.disconnect();
    this.#become(this.#error === undefined ? 'off' : 'failed');
    started.reject(this.#error ?? new AfterimageError('state', 'The machine was stopped before it ran'));
  }

  #become(state: MachineState): void {
    this.#state = state;
    this.#parts.changed();
  }
}

function notRunning(state: MachineState): AfterimageError {
  return new AfterimageError('state', state === 'starting' ? 'The machine is starting' : 'The machine is not running');
}

/** What the engine is to run. Paths in the record are the user's, relative to the machine's folder. */
function machineSettings(
  folder: MachineFolder,
  guest: GuestFiles | undefined,
  consoleSize: ConsoleSize | undefined,
): MachineSettings {
  const { record } = folder;
  const disks = record.disks.map(({ format, mode }, disk) => {
    const file = folder.activeLayer(disk);
    // A temporary disk runs on an overlay that goes at power-off, so that checkpoints have it like any other (B6).
    const own = mode === 'temporary' ? 'qcow2' : format;
    return { path: folder.inside(file), format: own, readonly: mode === 'readonly', temporary: false };
  });
  const boot = bootSettings(record, folder.path, guest, consoleSize);
  return { memory: record.memory, boot, disks, ...(consoleSize === undefined ? {} : { consoleSize }) };
}

function bootSettings(
  { boot }: MachineRecord,
  folder: string,
  guest: GuestFiles | undefined,
  consoleSize: ConsoleSize | undefined,
): BootSettings {
  if (boot.kind === 'guest') {
    if (guest === undefined) throw new AfterimageError('usage', 'Where the default guest’s files are was not said');
    const size = consoleSize && `afterimage.rows=${consoleSize.rows} afterimage.cols=${consoleSize.columns}`;
    const append = [guest.append, size, boot.append].filter(part => part !== undefined && part !== '').join(' ');
    return { kernel: guest.kernel, initrd: guest.initrd, append };
  }
  const { kind: _, append, ...files } = boot;
  const absolute = Object.entries(files).map(([name, file]) => [name, path.resolve(folder, file)]);
  return { ...Object.fromEntries(absolute), ...(append === undefined ? {} : { append }) };
}
