// The hart's worker thread: from the plain data that the I/O thread hands over to a running loop, and back to messages.
import { randomFillSync } from 'node:crypto';
import { writeSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { RunSummary } from '../api/messages.ts';
import type { MachineSettings } from '../api/settings.ts';
import { AfterimageError, type PlainError } from '../base/errors.ts';
import type { Software } from '../firmware/boot/plan.ts';
import { type ConsoleBuffers, RingConsolePort } from './console-link.ts';
import { decompressors } from './decompressors.ts';
import { type DiskBuffers, DiskLink, type DiskShape } from './disk-link.ts';
import { Doorbell } from './doorbell.ts';
import { commandsFrom, type LiveMessage } from './hart-commands.ts';
import { HartControl } from './hart-control.ts';
import { HartLive } from './hart-live.ts';
import { HartLoop } from './hart-loop.ts';
import type { MachineBuilder } from './hart-machine.ts';
import { OutputFile } from './output-file.ts';

/** What the worker is started with. */
export interface HartTask {
  readonly memory: WebAssembly.Memory;
  readonly coreModule: WebAssembly.Module;
  readonly settings: MachineSettings;
  readonly software: Software;
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

/** The whole of a worker's main module: runs the machine that `build` makes until it stops. */
export function runHartThread(build: MachineBuilder): void {
  const port = parentPort;
  if (port === null) throw new AfterimageError('internal', 'The hart was not started as a worker');
  try {
    run(workerData as HartTask, build, port);
  } catch (thrown) {
    const error = AfterimageError.from(thrown);
    // The parent shows one line; who debugs the engine wants to know where it was.
    if (error.kind === 'internal' && thrown instanceof Error) writeSync(2, `${thrown.stack}\n`);
    say(port, { kind: 'failed', error: error.toPlain() });
  }
}

function run(task: HartTask, build: MachineBuilder, port: MessagePort): void {
  const { settings } = task;
  const ioBell = new Doorbell(task.ioBell);
  const console = new RingConsolePort(task.console);
  const disks = new DiskLink(task.disks, ioBell, task.diskShapes);
  const trace = traceFile(task);
  const encoder = new TextEncoder();
  const machine = build({
    coreModule: task.coreModule,
    memory: task.memory,
    ram: settings.memory,
    software: task.software,
    ...(settings.boot.append === undefined ? {} : { commandLine: settings.boot.append }),
    decompressors,
    console,
    disks: disks.disks,
    entropy: into => void randomFillSync(into),
    wallClock: { nanoseconds: () => BigInt(Date.now()) * 1_000_000n },
    monotonic: () => performance.now(),
    ...(settings.maxInstructions === undefined ? {} : { maxInstructions: settings.maxInstructions }),
    ...(trace === undefined ? {} : { trace: line => trace.write(encoder.encode(line)) }),
  });
  const control = new HartControl(task.control);
  const bell = new Doorbell(task.bell);
  // A program without a signature is refused before it runs for nothing.
  if (settings.signature !== undefined) machine.signature(settings.signature.granularity);
  const restarted = () => say(port, { kind: 'restarted' });
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

function traceFile(task: HartTask): OutputFile | undefined {
  const { trace: path } = task.settings;
  if (path === undefined || task.traceDescriptor === undefined) return undefined;
  return OutputFile.over(path, task.traceDescriptor);
}

function say(port: MessagePort, message: HartMessage): void {
  port.postMessage(message);
}
