// The engine process's main thread, the I/O thread: obeys the parent, owns the files, and looks after the hart's worker.
import { MessageChannel, type Worker } from 'node:worker_threads';
import type { TakenCheckpoint } from '../api/checkpoints.ts';
import type { Command, EngineEvent, RunSummary } from '../api/messages.ts';
import type { MachineSettings } from '../api/settings.ts';
import { AfterimageError, assertNever } from '../base/errors.ts';
import type { Disk } from '../disk/disk.ts';
import { readSoftware } from './boot-files.ts';
import { checkConsoleSize, checkSettings } from './check-settings.ts';
import { ConsoleServer, createConsoleBuffers } from './console-link.ts';
import { DiskJobs } from './disk-jobs.ts';
import { createDiskBuffers } from './disk-link.ts';
import { DiskServer } from './disk-server.ts';
import { Doorbell } from './doorbell.ts';
import { closeRun, type End, type EngineParts, type Live, liveOf, type Run } from './engine-run.ts';
import { HartControl } from './hart-control.ts';
import { HartPort } from './hart-port.ts';
import type { HartMessage, HartTask } from './hart-thread.ts';
import type { TakeRequest } from './live-checkpoint.ts';
import type { LiveMemory } from './live-memory.ts';
import { OutputFile } from './output-file.ts';
import type { ParentLink } from './parent-link.ts';
import { RestoreRun } from './restore-run.ts';
import type { Resume } from './resume.ts';

/** A hart looks at the bell after every slice, at most a few milliseconds; one that does not has lost its way. */
const STOP_PATIENCE_MILLISECONDS = 3000;
/** A failing host disk fails for each request; the user needs to hear of it, not to drown in it. */
const MOST_WARNINGS = 20;

/** One machine, from `start` to its end. `finished` resolves when the process may exit. */
export class Engine {
  readonly finished: Promise<void>;
  readonly #link: ParentLink;
  readonly #parts: EngineParts;
  readonly #hartBell = new Doorbell();
  readonly #ioBell = new Doorbell();
  readonly #control = new HartControl();
  readonly #consoleBuffers = createConsoleBuffers();
  readonly #console: ConsoleServer;
  #finish: () => void = () => {};
  #starting = false;
  #started = false;
  #ending = false;
  #run: Run | undefined;
  #parentGone = false;
  /** By the parent's wish. */
  #paused = false;
  /** Paused until the host has room for what the guest has written. */
  #full: AfterimageError | undefined;
  #warnings = 0;
  #whenConsoleDrained: (() => void) | undefined;

  constructor(link: ParentLink, parts: EngineParts) {
    this.#link = link;
    this.#parts = parts;
    this.finished = new Promise(resolve => {
      this.#finish = resolve;
    });
    this.#console = new ConsoleServer(this.#consoleBuffers, this.#hartBell, {
      output: bytes => link.send({ kind: 'console-output', bytes }),
      accepted: count => link.send({ kind: 'console-accepted', count }),
    });
    link.listen({
      command: command => this.#guarded(() => this.#obey(command)),
      gone: () => {
        this.#parentGone = true;
        this.stop();
      },
    });
  }

  /** Powers the machine off: when the parent asks for it, when it is gone, or when the process is told to end. */
  stop(): void {
    this.#control.requestStop(this.#hartBell);
    this.#run?.restore?.pager.interrupt();
    this.#whenConsoleDrained?.();
    if (!this.#starting) {
      void this.#end({ kind: 'ended', summary: nothingRan, signature: undefined });
      return;
    }
    setTimeout(() => {
      const error = new AfterimageError('internal', 'The hart did not stop when it was told to');
      void this.#end({ kind: 'failed', error });
    }, STOP_PATIENCE_MILLISECONDS).unref();
  }

  /** Something went wrong in the engine itself. */
  fail(thrown: unknown): void {
    void this.#end({ kind: 'failed', error: AfterimageError.from(thrown) });
  }

  /** Takes a checkpoint of the running machine. @throws AfterimageError, after which the machine runs on as before */
  async checkpoint(request: TakeRequest): Promise<TakenCheckpoint> {
    const { checkpoints } = this.#liveParts();
    if (this.#full !== undefined) {
      const message = 'The host has no room for what the guest has written';
      throw new AfterimageError('no-space', message, this.#full.context, { cause: this.#full });
    }
    this.#run?.restore?.check();
    return await checkpoints.take(request);
  }

  /**
   * Instead of a `start` command: goes on from a checkpoint (C17). `started` is sent when the hart is about to execute its
   * first instruction; pages arrive as they are used, the rest in the background.
   */
  restore(settings: unknown, resume: Resume): void {
    this.#guarded(() => this.#start(settings, resume));
  }

  /** Pages of a lazy restore that are still in the checkpoint's files only. */
  get absentPages(): number {
    return this.#run?.restore?.pager.absentPages ?? 0;
  }

  /** The P→M map of the running machine. @throws AfterimageError `state` when nothing runs */
  get memory(): LiveMemory {
    return this.#liveParts().memory;
  }

  #liveParts(): Live {
    const live = this.#run?.live;
    if (live === undefined || this.#ending) throw new AfterimageError('state', 'The machine is not running');
    return live;
  }

  #guarded(step: () => void): void {
    try {
      step();
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  #obey(command: Command): void {
    switch (command.kind) {
      case 'describe':
        this.#link.send({ kind: 'description', description: this.#parts.describe() });
        break;
      case 'start':
        this.#start(command.settings);
        break;
      case 'console-input':
        this.#console.input(command.bytes);
        break;
      case 'console-taken':
        this.#console.taken(command.count);
        this.#noticeDrained();
        break;
      case 'resize':
        this.#control.setConsoleSize(checkConsoleSize(command.size), this.#hartBell);
        break;
      case 'disk-job':
      case 'disk-job-cancel':
      case 'disk-job-limit':
      case 'disk-recorded':
      case 'disk-bitmap':
        if (this.#run === undefined) throw new AfterimageError('state', 'The machine has no disks yet');
        this.#run.diskJobs.obey(command);
        break;
      case 'pause':
        this.#paused = true;
        this.#control.requestPause(true, this.#hartBell);
        break;
      case 'resume':
        this.#paused = false;
        this.#run?.restore?.pager.retry();
        if (this.#full !== undefined) this.#run?.diskServer.retry();
        else this.#control.requestPause(false, this.#hartBell);
        break;
      case 'stop':
        this.stop();
        break;
      default:
        assertNever(command, 'command');
    }
  }

  #start(settings: unknown, resume?: Resume): void {
    if (this.#starting) throw new AfterimageError('state', 'The machine has been started already');
    this.#starting = true;
    this.#open(settings, resume).catch(thrown => this.fail(thrown));
  }

  async #open(value: unknown, resume: Resume | undefined): Promise<void> {
    try {
      await this.#openAll(checkSettings(value), resume);
    } catch (thrown) {
      await resume?.reader.close();
      throw thrown;
    }
  }

  async #openAll(settings: MachineSettings, resume: Resume | undefined): Promise<void> {
    if (settings.consoleSize !== undefined) this.#control.setConsoleSize(settings.consoleSize, this.#hartBell);
    // Its modules load while files are opened and the core is compiled.
    this.#parts.harts.prepare();
    const coreModule = await this.#parts.loadCore();
    const software = resume === undefined ? readSoftware(settings.boot) : undefined;
    const disks: Disk[] = [];
    let trace: OutputFile | undefined;
    let restore: RestoreRun | undefined;
    try {
      for (const disk of settings.disks) disks.push(await this.#parts.openDisk(disk));
      if (settings.signature !== undefined) OutputFile.probe(settings.signature.path);
      if (settings.trace !== undefined) trace = OutputFile.create(settings.trace);
      const machineBytes = this.#parts.createMemory(settings, coreModule);
      const { memory, layout } = machineBytes;
      if (resume !== undefined) {
        const send = (event: EngineEvent) => this.#link.send(event);
        restore = await RestoreRun.begin({ resume, memory, layout, ram: settings.memory, send });
      }
      const disksOnLink = createDiskBuffers();
      const diskServer = new DiskServer({
        buffers: disksOnLink,
        hartBell: this.#hartBell,
        disks,
        memory: memory.buffer as SharedArrayBuffer,
        report: error => this.#warn(error),
        moment: () => this.#run?.live?.checkpoints.reachMoment(),
        space: {
          // A temporary disk is full when its limit is reached, and no room on the host changes that.
          disks: settings.disks.map(({ temporary }) => !temporary),
          full: error => this.#waitForSpace(error),
          resumed: () => this.#resumeWithSpace(),
        },
      });
      const { port1: ours, port2: commands } = new MessageChannel();
      const worker = this.#startWorker({
        memory,
        layout,
        coreModule,
        settings,
        software,
        resume: restore?.state,
        console: this.#consoleBuffers,
        disks: disksOnLink,
        diskShapes: disks.map(({ size, readonly }) => ({ size, readonly })),
        control: this.#control.buffer,
        bell: this.#hartBell.buffer,
        ioBell: this.#ioBell.buffer,
        commands,
        traceDescriptor: trace?.descriptor,
      });
      const listening = this.#ioBell.listen(() => this.#pump());
      listening.done.catch(thrown => this.fail(thrown));
      const diskJobs = new DiskJobs(
        disks,
        event => this.#link.send(event),
        (disk, size) => diskServer.announceSize(disk, size),
        layer => this.#run?.live?.checkpoints.needed.includes(layer) === true,
      );
      diskJobs.tellInterrupted().catch(thrown => this.#warn(AfterimageError.from(thrown)));
      const hart = new HartPort(ours, this.#hartBell);
      this.#run = {
        settings,
        disks,
        diskServer,
        diskJobs,
        trace,
        worker,
        hart,
        memory: machineBytes,
        listening,
        restore,
        live: undefined,
      };
    } catch (thrown) {
      await restore?.close();
      for (const disk of disks) await disk.close();
      trace?.close();
      throw thrown;
    }
  }

  #startWorker(task: HartTask): Worker {
    const worker = this.#parts.harts.start(task);
    worker.on('message', (message: HartMessage) => this.#hear(message));
    worker.on('error', thrown => this.fail(thrown));
    worker.on('exit', () => this.fail(new AfterimageError('internal', 'The hart ended without saying why')));
    return worker;
  }

  #hear(message: HartMessage): void {
    switch (message.kind) {
      case 'started':
        this.#started = true;
        this.#goLive();
        this.#link.send({ kind: 'started' });
        break;
      case 'restarted':
        this.#link.send({ kind: 'restarted' });
        break;
      case 'ended':
        void this.#end(message);
        break;
      case 'failed':
        void this.#end({ kind: 'failed', error: AfterimageError.fromPlain(message.error) });
        break;
      default:
        this.#run?.hart.hear(message);
    }
  }

  /** The hart has laid out machine memory: from now on the machine can be checkpointed. */
  #goLive(): void {
    const run = this.#run;
    if (run !== undefined) run.live = liveOf(run, () => this.#ending);
  }

  /** What the hart has rung for. */
  #pump(): void {
    this.#run?.restore?.pager.pump();
    this.#console.pump();
    this.#run?.diskServer.pump();
    this.#noticeDrained();
  }

  #noticeDrained(): void {
    if (!this.#console.pending) this.#whenConsoleDrained?.();
  }

  #waitForSpace(error: AfterimageError): void {
    this.#full = error;
    // A write that was pending at the moment would be tried again on the overlay, and be missing below it (C6).
    this.#run?.live?.checkpoints.abort(error);
    this.#control.requestPause(true, this.#hartBell);
    this.#link.send({ kind: 'disk-full', error: error.toPlain() });
  }

  #resumeWithSpace(): void {
    this.#full = undefined;
    this.#link.send({ kind: 'disk-resumed' });
    if (!this.#paused) this.#control.requestPause(false, this.#hartBell);
  }

  #warn(error: AfterimageError): void {
    this.#warnings += 1;
    if (this.#warnings <= MOST_WARNINGS) this.#link.send({ kind: 'warning', error: error.toPlain() });
  }

  /** The one way out: what the guest wrote is made durable, what it printed is delivered, then the parent hears why. */
  async #end(end: End): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    let result = end;
    try {
      if (this.#run !== undefined) await closeRun(this.#run, end);
    } catch (thrown) {
      if (end.kind === 'ended') result = { kind: 'failed', error: AfterimageError.from(thrown) };
    }
    await this.#drainConsole();
    if (result.kind === 'ended') this.#link.send({ kind: 'stopped', summary: result.summary });
    else this.#link.send({ kind: 'failed', during: this.#started ? 'run' : 'start', error: result.error.toPlain() });
    await this.#link.flushed();
    this.#finish();
  }

  /** Delivers what is left of the guest's output, unless nobody wants it any more. */
  async #drainConsole(): Promise<void> {
    this.#console.pump();
    const unwanted = () => this.#parentGone || this.#control.stopRequested || !this.#console.pending;
    if (!unwanted()) {
      await new Promise<void>(resolve => {
        this.#whenConsoleDrained = resolve;
      });
    }
    await this.#closeListening();
  }

  async #closeListening(): Promise<void> {
    const listening = this.#run?.listening;
    listening?.close();
    await listening?.done.catch(() => {});
  }
}

const nothingRan: RunSummary = { reason: 'requested', code: 0, instructions: 0, guestErrors: {} };
