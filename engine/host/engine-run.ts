// What is open while a machine runs, and how it is closed in order.
import { writeFileSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import type { EngineDescription, RunSummary } from '../api/messages.ts';
import type { DiskSettings, MachineSettings } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Disk } from '../disk/disk.ts';
import { type MemoryLayout, MemoryTables } from '../memory/tables.ts';
import type { DiskJobs } from './disk-jobs.ts';
import type { DiskServer } from './disk-server.ts';
import type { Listening } from './doorbell.ts';
import type { HartPort } from './hart-port.ts';
import type { HartWorkers } from './hart-workers.ts';
import { hostError } from './host-errors.ts';
import { LiveCheckpoints } from './live-checkpoint.ts';
import { LiveMemory } from './live-memory.ts';
import type { OutputFile } from './output-file.ts';
import type { RestoreRun } from './restore-run.ts';

/** What makes this the engine of a real machine; tests put a small machine into the same frame. */
export interface EngineParts {
  readonly harts: HartWorkers;
  readonly describe: () => EngineDescription;
  readonly loadCore: () => Promise<WebAssembly.Module>;
  /** Machine memory for the settings: shared, with RAM and reserve. */
  readonly createMemory: (settings: MachineSettings, core: WebAssembly.Module) => MachineBytes;
  /** Opens a disk with all that it stands on, locked until it is closed. */
  readonly openDisk: (settings: DiskSettings) => Promise<Disk>;
}

/** Machine memory, and where its tables are; machines without tables cannot be checkpointed. */
export interface MachineBytes {
  readonly memory: WebAssembly.Memory;
  readonly layout: MemoryLayout | undefined;
}

/** What is open while a machine runs. */
export interface Run {
  readonly settings: MachineSettings;
  readonly disks: readonly Disk[];
  readonly diskServer: DiskServer;
  readonly diskJobs: DiskJobs;
  readonly trace: OutputFile | undefined;
  readonly worker: Worker;
  readonly hart: HartPort;
  readonly memory: MachineBytes;
  readonly listening: Listening;
  /** Of a machine that goes on from a checkpoint. */
  readonly restore: RestoreRun | undefined;
  /** From the hart's start on. */
  live: Live | undefined;
}

/** What is there for machines that can be checkpointed. */
export interface Live {
  readonly checkpoints: LiveCheckpoints;
  readonly memory: LiveMemory;
}

export type End =
  | { readonly kind: 'ended'; readonly summary: RunSummary; readonly signature: string | undefined }
  | { readonly kind: 'failed'; readonly error: AfterimageError };

/** What a machine has that can be checkpointed, undefined for one without tables; once the hart has laid out its memory. */
export function liveOf(run: Run, ending: () => boolean): Live | undefined {
  const { disks, hart, memory, diskJobs, restore } = run;
  if (memory.layout === undefined) return undefined;
  const tables = new MemoryTables(new Uint8Array(memory.memory.buffer), memory.layout);
  const foldBack = async (disk: number) => {
    for (let job = diskJobs.working(disk); job !== undefined; job = diskJobs.working(disk)) await job;
    if (ending()) return;
    diskJobs.obey({ kind: 'disk-job', disk, job: 'commit', keep: [] });
    await diskJobs.working(disk);
  };
  const pager = restore === undefined ? {} : { pager: restore.pager };
  const checkpoints = new LiveCheckpoints({ disks, hart, tables, foldBack, ...pager });
  restore?.register(checkpoints.bases);
  return { checkpoints, memory: new LiveMemory(tables, hart, checkpoints.bases) };
}

/** Ends what runs, and makes durable what the guest wrote. @throws AfterimageError, the first of what went wrong, after the rest */
export async function closeRun(run: Run, end: End): Promise<void> {
  const gone = new AfterimageError('state', 'The machine has ended');
  run.live?.checkpoints.abort(gone);
  run.hart.close(gone);
  await run.live?.checkpoints.idle();
  run.live?.checkpoints.bases.clear();
  await run.worker.terminate();
  const problems: unknown[] = [];
  const attempt = async (step: () => unknown) => {
    try {
      await step();
    } catch (thrown) {
      problems.push(thrown);
    }
  };
  await Promise.all([run.diskServer.finish(), run.diskJobs.finish()]);
  await attempt(() => run.restore?.close());
  for (const disk of run.disks) {
    if (!disk.readonly) await attempt(() => disk.flush());
    await attempt(() => disk.close());
  }
  run.trace?.close();
  if (end.kind === 'ended' && end.signature !== undefined && run.settings.signature !== undefined) {
    await attempt(() => writeText(run.settings.signature!.path, end.signature!));
  }
  if (problems.length > 0) throw problems[0];
}

function writeText(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (thrown) {
    throw hostError(thrown, path, 'write');
  }
}
