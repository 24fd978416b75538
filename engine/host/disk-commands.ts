// What `afterimage disk` does, in a process of its own: images are untrusted.
import path from 'node:path';
import type { DiskCommand, DiskFormat, DiskResult, ImageOptions, LayerInfo } from '../api/disk.ts';
import { AfterimageError, assertNever } from '../base/errors.ts';
import { carryDown } from '../disk/chain/bitmaps.ts';
import { createWhole } from '../disk/chain/folder.ts';
import type { Layer } from '../disk/chain/layer.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import { closeChain, layersFrom, openChain } from '../disk/chain/open.ts';
import { backingName, backingPath } from '../disk/chain/paths.ts';
import { type CommitParts, commit, copyDown, prepareBase, refuseSnapshots } from '../disk/jobs/commit.ts';
import { compact, convert, optionsOf } from '../disk/jobs/convert.ts';
import { Job, type JobKind } from '../disk/jobs/job.ts';
import { findJournals, Journal } from '../disk/jobs/journal.ts';
import { pivot, rebase } from '../disk/jobs/rebase.ts';
import { resizeDisk } from '../disk/jobs/resize.ts';
import {
  type InterruptedJob,
  interruptedJobs,
  refuseHalfCommitted,
  refuseOverlays,
  settleJobs,
} from '../disk/jobs/resume.ts';
import { stream } from '../disk/jobs/stream.ts';
import type { Preallocation } from '../disk/preallocate.ts';
import { checkImage } from '../disk/qcow2/check.ts';
import { type CreateOptions, createImage } from '../disk/qcow2/create.ts';
import { repairImage } from '../disk/qcow2/repair.ts';
import { createRaw } from '../disk/raw.ts';
import { benchDisk } from './disk-bench.ts';
import { runBitmapAction } from './disk-bitmaps.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { HostFolder } from './disk-folder.ts';
import { chainInfo, chainMap } from './disk-info.ts';
import { hostAbilities } from './host-abilities.ts';

/** Bytes done and bytes in all. */
export type Progress = (done: number, total: number) => void;

type OnFile = Exclude<DiskCommand, { kind: 'create' }>;

export async function runDiskCommand(command: DiskCommand, progress: Progress): Promise<DiskResult> {
  if (command.kind === 'create') return await create(command);
  if (command.kind === 'check') return await check(command);
  if (command.kind === 'info' && !command.backingChain) return await infoOfOne(command);
  const writes = WRITERS.includes(command.kind) || (command.kind === 'jobs' && command.resume);
  const chain = await open(command, writes || changesBitmaps(command) ? 'write' : 'read');
  // Some commands end with the file gone or replaced, and close the chain themselves.
  let closed = false;
  const close = async () => {
    closed = true;
    await closeChain(chain);
  };
  try {
    const result = await onChain(command, chain, progress, close);
    if (!closed) await close();
    return result;
  } catch (thrown) {
    if (!closed) await close().catch(() => undefined);
    throw thrown;
  }
}

const WRITERS: readonly DiskCommand['kind'][] = ['compact', 'resize', 'rebase', 'commit', 'stream'];
/** They look at what is there, be it half done. */
const LOOKERS: readonly DiskCommand['kind'][] = ['info', 'map', 'jobs'];

function changesBitmaps(command: DiskCommand): boolean {
  return command.kind === 'bitmap' && command.action !== 'list' && command.action !== 'map';
}

async function onChain(
  command: Exclude<OnFile, { kind: 'check' }>,
  chain: Layer,
  progress: Progress,
  close: () => Promise<void>,
): Promise<DiskResult> {
  switch (command.kind) {
    case 'info':
      return await infoResult(command.file, await chainInfo(layersFrom(chain)));
    case 'map':
      return { kind: 'map', entries: await chainMap(chain) };
    case 'convert':
      return await converted(command, chain, progress);
    case 'compact': {
      const job = jobOf('compact', progress);
      return { kind: 'compact', freed: (await job.run(() => compact(chain, command, job))) ?? 0 };
    }
    case 'resize':
      return await resized(command, chain);
    case 'rebase':
      return await rebased(command, chain, progress);
    case 'commit':
      return await committed(command, chain, progress, close);
    case 'stream':
      return await streamed(command, chain, progress, close);
    case 'bench':
      return await benched(command, chain, close);
    case 'jobs':
      return await jobs(command, chain, progress, close);
    case 'bitmap':
      return await runBitmapAction(chain, command);
    default:
      return assertNever(command, 'disk command');
  }
}

interface Place {
  readonly folder: HostFolder;
  readonly name: string;
}

/** A file given on the command line; what stands below it must be in its folder. */
function placeOf(file: string): Place {
  return { folder: new HostFolder(path.dirname(path.resolve(file))), name: path.basename(file) };
}

interface FileCommand {
  readonly kind: DiskCommand['kind'];
  readonly file: string;
  readonly format: DiskFormat;
  readonly backingFormat?: DiskFormat;
}

async function open({ kind, file, format, backingFormat }: FileCommand, access: 'read' | 'write'): Promise<Layer> {
  const { folder, name } = placeOf(file);
  if (!LOOKERS.includes(kind)) await refuseHalfCommitted(folder, name);
  return await openChain(
    folder,
    { path: name, format },
    { access, codecs: clusterCodecs, ...(backingFormat === undefined ? {} : { assumedFormat: backingFormat }) },
  );
}

/** Progress in steps that a person can see, not one message for every piece. */
const PROGRESS_STEPS = 200;

function jobOf(kind: JobKind, progress: Progress): Job {
  let last = -1;
  return new Job(kind, undefined, ({ done, total }) => {
    const step = Math.floor((done / Math.max(1, total)) * PROGRESS_STEPS);
    if (step === last) return;
    last = step;
    progress(done, total);
  });
}

async function create(command: Extract<DiskCommand, { kind: 'create' }>): Promise<DiskResult> {
  const { folder, name } = placeOf(command.file);
  if (await folder.exists(name)) throw new AfterimageError('state', 'The file exists already', { path: command.file });
  const size = command.size ?? (await sizeOfBacking(command, folder, name));
  let preallocation: Preallocation = 'off';
  await createWhole(folder, name, async file => {
    const { format, options, backing } = command;
    preallocation =
      format === 'raw'
        ? await createRaw(file, size, options.preallocation ?? 'off')
        : await createImage(file, createOptions(options, size, backing));
  });
  return { kind: 'create', ...preallocated(command.options, preallocation) };
}

function preallocated({ preallocation: wanted = 'off' }: ImageOptions, preallocation: Preallocation) {
  return wanted === preallocation ? { preallocation } : { preallocation, absent: 'preallocation' as const };
}

async function sizeOfBacking(
  { backing }: Extract<DiskCommand, { kind: 'create' }>,
  folder: HostFolder,
  name: string,
): Promise<number> {
  if (backing === undefined) throw new AfterimageError('usage', 'A disk without a backing file needs a size');
  const place = { path: backingPath(name, backing.name), format: backing.format };
  const below = await openChain(folder, place, { access: 'read', codecs: clusterCodecs });
  await closeChain(below);
  return below.size;
}

function createOptions(
  options: ImageOptions,
  size: number,
  backing: { readonly name: string; readonly format: DiskFormat } | undefined,
): CreateOptions {
  if (backing !== undefined) backingPath('image', backing.name);
  return {
    ...options,
    size,
    ...(backing === undefined ? {} : { backing: { path: backing.name, format: backing.format } }),
  };
}

/** Of the file alone: what is below it need not be there. */
async function infoOfOne(command: FileCommand): Promise<DiskResult> {
  const { folder, name } = placeOf(command.file);
  return await infoResult(command.file, await chainInfo([{ folder, path: name, format: command.format }]));
}

async function infoResult(file: string, layers: readonly LayerInfo[]): Promise<DiskResult> {
  const host = await hostAbilities(path.dirname(path.resolve(file)));
  return { kind: 'info', layers, ...(host === undefined ? {} : { host }) };
}

async function check(command: Extract<DiskCommand, { kind: 'check' }>): Promise<DiskResult> {
  if (command.format !== 'qcow2') {
    throw new AfterimageError('unsupported', 'A raw disk has nothing to check', { path: command.file });
  }
  const { folder, name } = placeOf(command.file);
  const file = await folder.open(name, command.repair ? 'write' : 'read');
  try {
    const { repair, giveUpLost = false } = command;
    if (giveUpLost && !repair) throw new AfterimageError('usage', 'Only a repair can give up what is lost');
    const mended = repair ? await repairImage(file, { giveUpLost }) : undefined;
    const { corruptions, leaks, allocatedClusters, end, findings } = mended?.after ?? (await checkImage(file));
    const lost = mended?.lost ?? 0;
    return { kind: 'check', corruptions, leaks, repaired: repair, lost, allocatedClusters, end, findings };
  } finally {
    await file.close();
  }
}

async function converted(
  command: Extract<DiskCommand, { kind: 'convert' }>,
  chain: Layer,
  progress: Progress,
): Promise<DiskResult> {
  const { folder: own, name } = placeOf(command.to);
  // One that the chain is in as well keeps the journal.
  const folder =
    path.dirname(path.resolve(command.to)) === path.dirname(path.resolve(command.file)) ? chain.folder : own;
  const job = jobOf('convert', progress);
  const { compress, toFormat, options } = command;
  let preallocation: Preallocation = 'off';
  await job.run(async () => {
    const how = { format: toFormat, image: options, compress, codecs: clusterCodecs };
    preallocation = await convert(chain, folder, name, how, job);
  });
  return { kind: 'convert', ...preallocated(options, preallocation) };
}

async function resized(command: Extract<DiskCommand, { kind: 'resize' }>, chain: Layer): Promise<DiskResult> {
  const size = command.relative ? chain.size + command.size : command.size;
  if (size < chain.size && !command.shrink) {
    const context = { path: command.file, size: chain.size };
    throw new AfterimageError('usage', 'The disk would lose its end; give --shrink if that is meant', context);
  }
  if (!command.force) await refuseOverlays(chain.folder, chain.path);
  await resizeDisk(chain, size);
  return { kind: 'resize', size };
}

async function rebased(
  command: Extract<DiskCommand, { kind: 'rebase' }>,
  chain: Layer,
  progress: Progress,
): Promise<DiskResult> {
  const { backing, unsafe, force } = command;
  const { folder } = chain;
  // Its content may change, and with it theirs.
  if (unsafe && !force) await refuseOverlays(folder, chain.path);
  let below: Layer | undefined;
  if (backing !== undefined) {
    const place = { path: backingPath(chain.path, backing.name), format: backing.format };
    below = await openChain(folder, place, { access: 'read', codecs: clusterCodecs });
    await refuseCircle(chain, below);
  }
  const before = layersFrom(chain).slice(1);
  const job = jobOf('rebase', progress);
  if (!unsafe) await job.run(() => rebase(chain, below, job));
  else {
    await pivot(chain, below);
    for (const layer of before) await layer.close();
  }
  return { kind: 'rebase' };
}

async function refuseCircle(chain: Layer, below: Layer): Promise<void> {
  const own = await chain.folder.identity(chain.path);
  for (const { folder, path: name } of layersFrom(below)) {
    if ((await folder.identity(name)) !== own) continue;
    await closeChain(below);
    throw new AfterimageError('usage', 'The new backing file stands on the image itself', { path: name });
  }
}

async function committed(
  command: Extract<DiskCommand, { kind: 'commit' }>,
  chain: Layer,
  progress: Progress,
  close: () => Promise<void>,
): Promise<DiskResult> {
  const { backing: base, image, folder, path: name, size } = chain;
  if (base === undefined || image === undefined) {
    throw new AfterimageError('usage', 'There is no backing file to commit into', { path: command.file });
  }
  refuseSnapshots(chain);
  if (!command.force) {
    await refuseOverlays(folder, base.path, [name]);
    if (command.remove) await refuseOverlays(folder, name);
  }
  const job = jobOf('commit', progress);
  const options = optionsOf(image);
  const reference = { path: backingName(name, base.path), format: base.format };
  await Journal.during(folder, { kind: 'commit', layer: name, base: base.path, spare: [] }, async journal => {
    journal.keep();
    await job.run(async () => {
      await prepareBase(base, chain);
      await copyDown(chain, base, job);
      await carryDown(chain, base);
    });
    await close();
    // Only now: its content is durable below.
    if (command.remove) await folder.remove(name);
    else await createWhole(folder, name, file => createImage(file, { ...options, size, backing: reference }));
    await folder.flush();
  });
  return { kind: 'commit' };
}

async function jobs(
  command: Extract<DiskCommand, { kind: 'jobs' }>,
  chain: Layer,
  progress: Progress,
  close: () => Promise<void>,
): Promise<DiskResult> {
  const { folder } = chain;
  const found = await interruptedJobs(folder, layersFrom(chain));
  if (!command.resume) return { kind: 'jobs', jobs: found, resumed: false };
  // Whoever in the folder needs something stands on it, and so it stays.
  await settleJobs(folder, layersFrom(chain), () => false);
  const live = new LiveDisk(chain);
  let top: InterruptedJob | undefined;
  for (const one of found) {
    const layer = layersFrom(chain).find(({ path: name }) => name === one.layer);
    if (layer === undefined) continue;
    const job = jobOf(one.kind, progress);
    const onto = layersFrom(layer).find(({ path: name }) => name === one.base);
    if (one.kind === 'stream') await job.run(() => stream({ live, job }, layer, onto));
    else if (layer !== chain) await job.run(() => commit(quiet(live, job), layer));
    else top = one;
  }
  if (top !== undefined) {
    // It stands on the same file afterwards, so that only its end takes the journal away.
    const { file, format } = command;
    await committed({ kind: 'commit', file, format, remove: false, force: false }, chain, progress, close);
    for (const { path: journal, record } of await findJournals(folder, [top.layer])) {
      if (record?.layer === top.layer) await folder.remove(journal);
    }
  }
  return { kind: 'jobs', jobs: found, resumed: true };
}

/** For commits below the active layer: nothing is written meanwhile, and so no overlay is made. */
function quiet(live: LiveDisk, job: Job): CommitParts {
  const never = () => {
    throw new AfterimageError('internal', 'A commit of a disk at rest wants an overlay');
  };
  return { live, job, newName: never, record: never, needed: () => undefined };
}

async function streamed(
  command: Extract<DiskCommand, { kind: 'stream' }>,
  chain: Layer,
  progress: Progress,
  close: () => Promise<void>,
): Promise<DiskResult> {
  const base = command.base === undefined ? undefined : layersFrom(chain).find(({ path: one }) => one === command.base);
  if (command.base !== undefined && base === undefined) {
    throw new AfterimageError('usage', 'The base is not below the image', { path: command.file, base: command.base });
  }
  const job = jobOf('stream', progress);
  const unused = await job.run(() => stream({ live: new LiveDisk(chain), job }, chain, base));
  await close();
  return { kind: 'stream', unused: unused ?? [] };
}

async function benched(
  command: Extract<DiskCommand, { kind: 'bench' }>,
  chain: Layer,
  close: () => Promise<void>,
): Promise<DiskResult> {
  if (command.write) await chain.reopen({ access: 'write' });
  const live = new LiveDisk(chain);
  const result = await benchDisk(live, command);
  await close();
  return { kind: 'bench', ...result };
}
