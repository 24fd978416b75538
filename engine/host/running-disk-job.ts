// What a job on a running machine's disk does, whoever keeps count of jobs and records what the disk is.
import type { DiskFormat, DiskJobOutcome, RunningDiskJob } from '../api/disk.ts';
import { AfterimageError, assertNever } from '../base/errors.ts';
import type { Layer } from '../disk/chain/layer.ts';
import type { LiveDisk } from '../disk/chain/live-disk.ts';
import { layersFrom } from '../disk/chain/open.ts';
import { createOverlay } from '../disk/chain/overlay.ts';
import { type CommitParts, commit } from '../disk/jobs/commit.ts';
import { copyLayer } from '../disk/jobs/copy.ts';
import type { Job, JobKind } from '../disk/jobs/job.ts';
import { type InterruptedJob, settleJobs } from '../disk/jobs/resume.ts';
import { checkRunning, compactRunning, growRunning } from '../disk/jobs/running.ts';
import { stream } from '../disk/jobs/stream.ts';

export interface RunningDiskJobParts {
  readonly live: LiveDisk;
  readonly job: Job;
  /** A name in the disk's folder that nothing has. */
  readonly newName: () => string;
  /** Returns when it is durable that the machine's disk is this file now. */
  readonly record: (active: string, format: DiskFormat) => Promise<void>;
  /** The disk is larger now: the guest is to be told. */
  readonly resized: (size: number) => void;
  /** Whether a checkpoint stands on a layer, or will, as of now. */
  readonly needed: (layer: string) => boolean;
}

/** Which kind of work a job counts as. */
export function kindOf({ job }: RunningDiskJob): JobKind {
  if (job === 'overlay' || job === 'resume') return 'commit';
  return job === 'check' ? 'copy' : job;
}

/** Errors: those of the jobs; `missing` for a layer that the disk does not have, `state` for one that is needed. */
export async function runDiskJob(request: RunningDiskJob, parts: RunningDiskJobParts): Promise<DiskJobOutcome> {
  const { live, job } = parts;
  const layer = layerOf(live, request.layer ?? live.active.path);
  switch (request.job) {
    case 'overlay':
      await putOverlay(request, parts);
      return {};
    case 'commit':
      await commit(commitParts(parts), layer);
      return {};
    case 'stream': {
      refuseKept(parts, layer);
      const base = request.base === undefined ? undefined : layerOf(live, request.base);
      return { unused: await stream({ live, job }, layer, base) };
    }
    case 'compact': {
      refuseKept(parts, layer);
      const options = request.compress === undefined ? {} : { compress: request.compress };
      return { freed: await compactRunning(commitParts(parts), layer, options) };
    }
    case 'copy': {
      // checkRunningJob has seen to it.
      const { to = '', sparse = true } = request;
      await live.freezeAgain(layer);
      return { method: (await copyLayer(layer, to, { sparse }, job)).method };
    }
    case 'check': {
      const { repair = false } = request;
      if (repair) refuseKept(parts, layer);
      const { corruptions, leaks } = await checkRunning(layer, repair);
      return { check: { corruptions, leaks, repaired: repair } };
    }
    case 'resize':
      refuseKept(parts, live.active);
      await growRunning(live, request.size ?? live.size);
      parts.resized(live.size);
      return { size: live.size };
    case 'resume':
      return await resume(parts);
    default:
      return assertNever(request.job, 'disk job');
  }
}

async function putOverlay({ restartBitmaps }: RunningDiskJob, parts: RunningDiskJobParts): Promise<void> {
  const { live, newName, record } = parts;
  await live.exclusively(async () => {
    const options = restartBitmaps === undefined ? {} : { restartBitmaps };
    const overlay = await createOverlay(live.active, newName(), options);
    try {
      await record(overlay.path, overlay.format);
    } catch (thrown) {
      await overlay.close().catch(() => undefined);
      await overlay.folder.remove(overlay.path);
      throw thrown;
    }
    await live.switchTo(overlay).frozen;
  });
}

async function resume(parts: RunningDiskJobParts): Promise<DiskJobOutcome> {
  const { live } = parts;
  const { folder } = live.active;
  const jobs: InterruptedJob[] = await settleJobs(folder, layersFrom(live.active), parts.needed);
  let resumed = 0;
  for (const { kind, layer: path, base } of jobs) {
    // One may have brought another to its end.
    const layer = layersFrom(live.active).find(one => one.path === path);
    if (layer === undefined) continue;
    if (kind === 'commit') await commit(commitParts(parts), layer);
    else {
      refuseKept(parts, layer);
      await stream({ live, job: parts.job }, layer, base === undefined ? undefined : layerOf(live, base));
    }
    resumed += 1;
  }
  return { resumed };
}

function commitParts({ live, job, newName, record, needed }: RunningDiskJobParts): CommitParts {
  return {
    live,
    job,
    newName,
    record: path => record(path, layersFrom(live.active).find(one => one.path === path)?.format ?? 'qcow2'),
    needed: path => (needed(path) ? 'it is needed' : undefined),
  };
}

function refuseKept({ needed }: RunningDiskJobParts, { path }: Layer): void {
  if (needed(path)) throw new AfterimageError('state', 'The layer is needed as it is', { file: path });
}

function layerOf(live: LiveDisk, path: string): Layer {
  const layer = layersFrom(live.active).find(one => one.path === path);
  if (layer === undefined) throw new AfterimageError('missing', 'The disk has no such layer', { file: path });
  return layer;
}
