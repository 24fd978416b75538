// The hart's worker thread: from the plain data that the I/O thread hands over to a running loop, and back to messages.
import { randomBytes, randomFillSync } from 'node:crypto';
import { writeSync } from 'node:fs';
import { type MessagePort, parentPort } from 'node:worker_threads';
import type { RunSummary } from '../api/messages.ts';
import type { MachineSettings } from '../api/settings.ts';
import { AfterimageError, type PlainError } from '../base/errors.ts';
import { GENERATION_BYTES } from '../devices/vmgenid/state.ts';
import type { Software } from '../firmware/boot/plan.ts';
import type { MachineParts } from '../machine/parts.ts';
import { AbsentPages, RESTORED_EPOCH } from '../memory/absent-pages.ts';
import { type MemoryLayout, MemoryTables } from '../memory/tables.ts';
import { readSoftware } from './boot-files.ts';
import { type ConsoleBuffers, RingConsolePort } from './console-link.ts';
import { decompressors } from './decompressors.ts';
import { type DiskBuffers, DiskLink, type DiskShape } from './disk-link.ts';
import { Doorbell } from './doorbell.ts';
import { commandsFrom, type LiveMessage } from './hart-commands.ts';
import { HartControl } from './hart-control.ts';
import { HartLive } from './hart-live.ts';
import { HartLoop, HartStopped } from './hart-loop.ts';
import type { MachineBuilder } from './hart-machine.ts';
import { OutputFile } from './output-file.ts';
import type { ResumeState } from './resume.ts';

/** What the worker is started with. */
export interface HartTask {
  readonly memory: WebAssembly.Memory;
  /** Where its tables are; a machine without them cannot be restored lazily. */
  readonly layout: MemoryLayout | undefined;
  readonly coreModule: WebAssembly.Module;
  readonly settings: MachineSettings;
  /** Of a restored machine undefined: the files are read when its guest restarts. */
  readonly software: Software | undefined;
  readonly resume: ResumeState | undefined;
  readonly console: ConsoleBuffers;
  readonly disks: DiskBuffers;
  readonly diskShapes: readonly DiskShape[];
  readonly control: SharedArrayBuffer;
  readonly bell: SharedArrayBuffer;
  readonly ioBell: SharedArrayBuffer;
  readonly commands: MessagePort;
  /** The commit log, opened by the I/O thread. */
  readonly traceDescriptor: number | undefined;
}

/** What the worker says; after `ended` and `failed` it is gone. */
export type HartMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'restarted' }
  | LiveMessage
  | { readonly kind: 'ended'; readonly summary: RunSummary; readonly signature: string | undefined }
  | { readonly kind: 'failed'; readonly error: PlainError };

/** The whole of a worker's main module: waits for its task, and runs the machine that `build` makes until it stops. */
export function runHartThread(build: MachineBuilder): void {
  const port = parentPort;
  if (port === null) throw new AfterimageError('internal', 'The hart was not started as a worker');
  port.once('message', (task: HartTask) => runTask(task, build, port));
}

function runTask(task: HartTask, build: MachineBuilder, port: MessagePort): void {
  try {
    run(task, build, port);
  } catch (thrown) {
    if (thrown instanceof HartStopped) {
      const summary: RunSummary = { reason: 'requested', code: 0, instructions: 0, guestErrors: {} };
      say(port, { kind: 'ended', summary, signature: undefined });
      return;
    }
    const error = AfterimageError.from(thrown);
    // The parent shows one line; who debugs the engine wants to know where it was.
    if (error.kind === 'internal' && thrown instanceof Error) writeSync(2, `${thrown.stack}\n`);
    say(port, { kind: 'failed', error: error.toPlain() });
  }
}

function run(task: HartTask, build: MachineBuilder, port: MessagePort): void {
  const { settings, resume } = task;
  const control = new HartControl(task.control);
  const bell = new Doorbell(task.bell);
  const ioBell = new Doorbell(task.ioBell);
  const console = new RingConsolePort(task.console);
  const disks = new DiskLink(task.disks, ioBell, task.diskShapes);
  const trace = traceFile(task);
  const encoder = new TextEncoder();
  const parts: MachineParts = {
    coreModule: task.coreModule,
    memory: task.memory,
    ram: settings.memory,
    software: task.software ?? (() => readSoftware(settings.boot)),
    ...(settings.boot.append === undefined ? {} : { commandLine: settings.boot.append }),
    decompressors,
    console,
    disks: disks.disks,
    entropy: into => void randomFillSync(into),
    generation: randomBytes(GENERATION_BYTES),
    wallClock: { nanoseconds: () => BigInt(Date.now()) * 1_000_000n },
    monotonic: () => performance.now(),
    ...(settings.maxInstructions === undefined ? {} : { maxInstructions: settings.maxInstructions }),
    ...(trace === undefined ? {} : { trace: line => trace.write(encoder.encode(line)) }),
    ...(resume === undefined ? {} : { restoredEpoch: RESTORED_EPOCH, pageIn: pageSource(task, control, ioBell) }),
  };
  const machine = build(parts, resume?.state);
  // A program without a signature is refused before it runs for nothing.
  if (settings.signature !== undefined) machine.signature(settings.signature.granularity);
  const restarted = () => say(port, { kind: 'restarted' });
  if (resume !== undefined) machine.settleRequests?.(resume.requests);
  say(port, { kind: 'started' });
  const live = new HartLive({
    machine,
    disks,
    commands: commandsFrom(task.commands),
    say: message => say(port, message),
    now: () => performance.now(),
  });
  const end = new HartLoop({ machine, control, bell, ioBell, console, disks, live, restarted }).run();
  trace?.flush();
  const signature = settings.signature && machine.signature(settings.signature.granularity);
  const { instructions, errors } = machine;
  say(port, { kind: 'ended', summary: { ...end, instructions, guestErrors: errors.counts }, signature });
}

/** Waits for absent pages, which the I/O thread brings. */
function pageSource({ memory, layout }: HartTask, control: HartControl, ioBell: Doorbell): (page: number) => void {
  if (layout === undefined) throw new AfterimageError('unsupported', 'This machine cannot be restored');
  // The I/O thread has set up the tables already.
  const absent = new AbsentPages(new MemoryTables(new Uint8Array(memory.buffer), layout));
  return page => {
    const there = absent.waitFor(
      page,
      () => ioBell.ring(),
      () => control.stopRequested,
    );
    if (!there) throw new HartStopped();
  };
}

function traceFile(task: HartTask): OutputFile | undefined {
  const { trace: path } = task.settings;
  if (path === undefined || task.traceDescriptor === undefined) return undefined;
  return OutputFile.over(path, task.traceDescriptor);
}

function say(port: MessagePort, message: HartMessage): void {
  port.postMessage(message);
}
