// Jobs on a machine's disks, whether it runs or not: checked against what checkpoints need, recorded when a disk's
// active layer changes, and followed by the deletion of layers that nobody needs any more.
import path from 'node:path';
import type { DiskJobArguments, JobPreview } from '../api/control.ts';
import type { DiskJobCommand, DiskJobEvent, RunningDiskJob } from '../api/disk.ts';
import { AfterimageError } from '../base/errors.ts';
import type { LayerModel } from '../disk/chain/model.ts';
import { MOST_LAYERS } from '../disk/chain/open.ts';
import type { Disk } from '../disk/disk.ts';
import { DiskJobs } from './disk-jobs.ts';
import { openMachineDisk } from './disk-open.ts';
import type { MachineHost } from './machine-host.ts';
import type { JobHandle } from './machine-jobs.ts';

type Report = Extract<DiskJobEvent, { kind: 'disk-job' }>;

/** How many layers a disk may stand on. */
export interface ChainLimits {
  /** Shortened from so many on, down to half of it: each is a file that is open while the machine runs. */
  readonly long: number;
  /** From here on a checkpoint waits for the shortening: one after the other they come faster than layers are merged. */
  readonly waits: number;
  /** What a chain may grow to by checkpoints. */
  readonly longest: number;
}

/** Beyond MOST_LAYERS a chain could not be opened any more. */
const USUAL_LIMITS: ChainLimits = { long: 48, waits: 64, longest: MOST_LAYERS - 8 };

/** A job that runs on a disk. */
interface Active {
  readonly handle: JobHandle;
  readonly ended: PromiseWithResolvers<Report>;
  send(command: DiskJobCommand): void;
}

export class MachineDiskJobs {
  readonly #host: MachineHost;
  readonly #limits: ChainLimits;
  readonly #active = new Map<number, Active>();
  /** Disks with jobs that a crash has interrupted. */
  readonly #interrupted = new Set<number>();
  #tidying: Promise<void> | undefined;
  /** Resolves when a layer has been merged. */
  #merged = Promise.withResolvers<void>();

  constructor(host: MachineHost, limits: ChainLimits = USUAL_LIMITS) {
    this.#host = host;
    this.#limits = limits;
  }

  /** Whether a job has a disk open while the machine is off. */
  get busy(): boolean {
    return this.#active.size > 0;
  }

  /** @throws AfterimageError `state` with the reason when it is not allowed */
  async start(given: DiskJobArguments): Promise<{ job: number }> {
    const { allowed, reason } = await this.preview(given);
    if (!allowed) throw new AfterimageError('state', `It cannot be done: ${reason}`, { disk: given.disk });
    const { disk, kind, bytesPerSecond } = given;
    if (this.#active.has(disk)) throw new AfterimageError('state', 'A job on this disk runs already', { disk });
    const subject = given.layer ?? this.#host.folder.activeLayer(disk);
    const limit = bytesPerSecond === undefined ? {} : { bytesPerSecond };
    const { job, result } = this.#host.jobs.start({ kind, subject, disk, ...limit }, handle =>
      this.#run(given, handle),
    );
    // The job says so.
    result.catch(() => undefined);
    return { job };
  }

  /**
   * Waits until chains that are being shortened, or soon will be since checkpoints go, have room for another layer.
   * @throws AfterimageError `too-large` when one would become too long to be opened again
   */
  async refuseLongChains(): Promise<void> {
    const { folder, layers } = this.#host;
    for (const disk of folder.record.disks.keys()) {
      for (;;) {
        const { length } = await layers.chain(folder.activeLayer(disk));
        const room = this.#tidying ?? this.#host.deletions.cleaning;
        if (length >= this.#limits.waits && room !== undefined) {
          await Promise.race([room, this.#merged.promise]);
          continue;
        }
        if (length < this.#limits.longest) break;
        throw new AfterimageError(
          'too-large',
          'A disk stands on as many layers as it can; delete checkpoints that are not needed, or stream its layers',
          { disk, layers: length },
        );
      }
    }
  }

  /** Merges layers that no checkpoint needs by themselves, where a chain has become long. Never fails. */
  tidy(): Promise<void> {
    this.#tidying ??= this.#shortenAll().finally(() => {
      this.#tidying = undefined;
    });
    return this.#tidying;
  }

  /** All disks at the same time: one must not wait for the others. */
  async #shortenAll(): Promise<void> {
    // The job of one that fails says so, and the next checkpoint or deletion tries again.
    await Promise.allSettled([...this.#host.folder.record.disks.keys()].map(disk => this.#shorten(disk)));
  }

  async #shorten(disk: number): Promise<void> {
    const { layers, folder, jobs } = this.#host;
    for (let wanted = this.#limits.long; ; wanted = this.#limits.long / 2) {
      const chain = await layers.chain(folder.activeLayer(disk));
      if (chain.length < wanted || this.#active.has(disk)) return;
      const model = await layers.model();
      const inner = model.filter(({ path: one, may }) => chain.indexOf(one) > 0 && may.commit.allowed);
      const [smallest] = inner.sort((a, b) => a.allocatedSize - b.allocatedSize);
      if (smallest === undefined) return;
      await jobs.run({ kind: 'merge', subject: smallest.path, disk }, handle =>
        this.#run({ disk, kind: 'commit', layer: smallest.path }, handle),
      );
      this.#merged.resolve();
      this.#merged = Promise.withResolvers();
    }
  }

  /** What a job would do, before it is done. */
  async preview(given: DiskJobArguments): Promise<JobPreview> {
    const { disk, kind } = given;
    const active = this.#host.folder.activeLayer(disk);
    if (active === '') throw new AfterimageError('missing', 'The machine has no such disk', { disk });
    const model = await this.#host.layers.model();
    const layer = model.find(one => one.path === (given.layer ?? active));
    if (layer === undefined) throw new AfterimageError('missing', 'There is no such layer', { layer: given.layer });
    const chain = await this.#host.layers.chain(active);
    const below = chainBelow(model, layer);
    const size = layer.allocatedSize;
    const may = await this.#host.layers.may(layer.path);
    const refused = (reason: string) => ({ allowed: false, reason });
    switch (kind) {
      case 'overlay':
        return {
          text: 'A new, empty layer takes the writes from now on; what is there now stays as it is.',
          bytesToCopy: 0,
          bytesFreed: 0,
          allowed: true,
        };
      case 'commit':
        return {
          text: `What ${layer.path} holds goes into ${layer.backing ?? 'the layer below'}; then ${layer.path} is deleted.`,
          bytesToCopy: size,
          bytesFreed: size,
          ...(chain.includes(layer.path) ? may.commit : refused('the machine’s disk does not stand on it')),
        };
      case 'stream': {
        const freed = below.filter(({ neededBy }) => neededBy.every(({ by, direct }) => by === 'machine' && !direct));
        return {
          text: `What lies below ${layer.path} is copied into it, so that it needs nothing any more.`,
          bytesToCopy: sizeOf(below),
          bytesFreed: sizeOf(freed),
          ...(chain.includes(layer.path) ? may.stream : refused('the machine’s disk does not stand on it')),
        };
      }
      case 'compact':
        return {
          text: `${layer.path} is written anew without what it does not need.`,
          bytesToCopy: size,
          bytesFreed: 0,
          ...(chain.includes(layer.path) ? may.compact : refused('the machine’s disk does not stand on it')),
        };
      case 'check': {
        const what =
          given.repair === true ? 'is checked for damage, and what can be mended is' : 'is checked for damage';
        return { text: `${layer.path} ${what}.`, bytesToCopy: 0, bytesFreed: 0, allowed: true };
      }
      case 'delete':
        return {
          text: `${layer.path} is deleted. No checkpoint and no disk of the machine has its content.`,
          bytesToCopy: 0,
          bytesFreed: size,
          ...may.delete,
        };
      case 'resize': {
        const larger = given.size !== undefined && given.size >= layer.virtualSize && given.size % 512 === 0;
        const wrong = refused('a disk can only be made larger, to a whole number of sectors');
        const active_ = layer.path === active ? may.resize : refused('only the active layer can be made larger');
        return {
          text: `The disk gets ${given.size ?? 0} bytes; what it gains is zeroes.`,
          bytesToCopy: 0,
          bytesFreed: 0,
          ...(larger ? active_ : wrong),
        };
      }
    }
  }

  /** What the engine, or a disk that is open here, says of its jobs. */
  hear(event: DiskJobEvent): void {
    const active = this.#active.get(event.disk);
    switch (event.kind) {
      case 'disk-active':
        void this.#record(event, command => {
          if (active !== undefined) active.send(command);
          else if (this.#host.power.on) this.#host.power.send(command);
        });
        break;
      case 'disk-job':
        active?.handle.progress(event.done, event.total);
        if (['done', 'failed', 'cancelled'].includes(event.state)) active?.ended.resolve(event);
        break;
      case 'disk-interrupted':
        // It may be told before the machine runs.
        this.#interrupted.add(event.disk);
        if (['running', 'paused'].includes(this.#host.power.status.state)) this.runStarted();
        break;
      default:
        break;
    }
  }

  /** The machine runs from now on. */
  runStarted(): void {
    for (const disk of this.#interrupted) void this.#goOn(disk);
    this.#interrupted.clear();
  }

  /** The machine ends: what runs on its disks is told so by its engine, or never was. */
  runEnded(): void {
    this.#interrupted.clear();
    const error = new AfterimageError('state', 'The machine ended').toPlain();
    for (const [disk, { ended }] of this.#active) {
      ended.resolve({ kind: 'disk-job', disk, job: 'check', state: 'failed', done: 0, total: 0, error });
    }
  }

  async #run(given: DiskJobArguments, handle: JobHandle): Promise<void> {
    if (given.kind === 'delete') return await this.#delete(given, handle);
    const { layers } = this.#host;
    const before = await layers.chain(this.#host.folder.activeLayer(given.disk));
    // These leave a layer's content as it is; the others must not touch what a checkpoint stands on.
    const harmless = ['stream', 'compact', 'check', 'overlay'].includes(given.kind);
    const keep = harmless ? [] : await this.#kept(given.disk);
    const { disk, kind: job, layer, size, repair, compress, bytesPerSecond } = given;
    const request: RunningDiskJob = {
      disk,
      job,
      keep,
      ...(layer === undefined ? {} : { layer: this.#inChain(disk, layer) }),
      ...(size === undefined ? {} : { size }),
      ...(repair === undefined ? {} : { repair }),
      ...(compress === undefined ? {} : { compress }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    };
    try {
      this.#tellOutcome(await this.#perform(request, handle), handle);
    } finally {
      await this.#collectAfter(disk, before);
    }
  }

  async #delete({ layer = '' }: DiskJobArguments, handle: JobHandle): Promise<void> {
    const { layers } = this.#host;
    // Overlays that a job is just making are not recorded yet.
    if (this.#active.size > 0) throw new AfterimageError('state', 'A job on a disk runs; wait for its end', { layer });
    const size = (await layers.facts()).find(({ path: one }) => one === layer)?.allocatedSize ?? 0;
    await layers.remove(layer);
    handle.outcome(`${size} bytes freed`);
    this.#host.announce({ event: 'disks' });
  }

  /** Runs it on the running machine's disk, or on one that is opened for it. */
  async #perform(request: RunningDiskJob, handle: JobHandle): Promise<Report> {
    const { disk } = request;
    if (this.#active.has(disk)) throw new AfterimageError('state', 'A job on this disk runs already', { disk });
    const ended = Promise.withResolvers<Report>();
    const { power } = this.#host;
    const offline = power.on ? undefined : new OfflineDisk(event => this.hear(event));
    const send = (command: DiskJobCommand) => (offline === undefined ? power.send(command) : offline.send(command));
    this.#active.set(disk, { handle, ended, send });
    const cancel = () => send({ kind: 'disk-job-cancel', disk });
    try {
      await offline?.open(disk, this.#settingsOf(disk));
      send({ kind: 'disk-job', ...request });
      handle.signal.addEventListener('abort', cancel, { once: true });
      handle.onLimit(limit => {
        send({ kind: 'disk-job-limit', disk, ...(limit === undefined ? {} : { bytesPerSecond: limit }) });
      });
      const report = await ended.promise;
      if (report.error !== undefined) throw AfterimageError.fromPlain(report.error);
      if (report.state === 'cancelled') throw new AfterimageError('state', 'It was cancelled', { cancelled: true });
      return report;
    } finally {
      handle.signal.removeEventListener('abort', cancel);
      handle.onLimit(() => undefined);
      await offline?.close();
      this.#active.delete(disk);
    }
  }

  /** A crash has interrupted jobs on this disk: they are done again, or what they left is removed. */
  async #goOn(disk: number): Promise<void> {
    try {
      const before = await this.#host.layers.chain(this.#host.folder.activeLayer(disk));
      const keep = await this.#kept(disk);
      await this.#host.jobs.run({ kind: 'merge', subject: 'interrupted work on a disk', disk }, async handle => {
        await this.#perform({ disk, job: 'resume', keep }, handle);
        await this.#collectAfter(disk, before);
      });
    } catch (thrown) {
      this.#host.announce({ event: 'warning', error: AfterimageError.from(thrown).toPlain() });
    }
  }

  async #record(event: Extract<DiskJobEvent, { kind: 'disk-active' }>, reply: (command: DiskJobCommand) => void) {
    const { disk, file, format } = event;
    const { folder, position } = this.#host;
    try {
      const layer = path.posix.join(path.posix.dirname(folder.activeLayer(disk)), file);
      await folder.change(({ disks, process }) =>
        position.activeChange(disks, process, [{ disk, file: layer, format }]),
      );
      reply({ kind: 'disk-recorded', disk });
      this.#host.announce({ event: 'machine', machine: folder.record });
      this.#host.announce({ event: 'disks' });
    } catch (thrown) {
      // Without an answer the job does not go on; the machine does, on the layer that is recorded.
      this.#host.announce({ event: 'warning', error: AfterimageError.from(thrown).toPlain() });
      this.#active.get(disk)?.send({ kind: 'disk-job-cancel', disk });
    }
  }

  #settingsOf(disk: number) {
    const { folder } = this.#host;
    const { format, mode } = folder.record.disks[disk]!;
    if (mode === 'readonly') throw new AfterimageError('unsupported', 'The disk is read-only', { disk });
    return { path: folder.inside(folder.activeLayer(disk)), format, readonly: false, temporary: false };
  }

  /** The name of a layer as the disk's own folder has it. */
  #inChain(disk: number, layer: string): string {
    return path.posix.relative(path.posix.dirname(this.#host.folder.activeLayer(disk)), layer);
  }

  async #kept(disk: number): Promise<string[]> {
    const names = (await this.#host.layers.kept()).map(layer => this.#inChain(disk, layer));
    return names.filter(name => !name.startsWith('..'));
  }

  #tellOutcome({ outcome = {} }: Report, handle: JobHandle): void {
    const { freed, check } = outcome;
    if (freed !== undefined) handle.outcome(`${freed} bytes freed`);
    if (check === undefined) return;
    const { corruptions, leaks } = check;
    const found = `${corruptions} damaged entries, ${leaks} leaked clusters`;
    handle.outcome(corruptions === 0 && leaks === 0 ? 'nothing is damaged' : found);
  }

  /** What the disk stood on and stands on no more may be garbage. */
  async #collectAfter(disk: number, before: readonly string[]): Promise<void> {
    const { layers, folder } = this.#host;
    const now = await layers.chain(folder.activeLayer(disk));
    const left = before.filter(layer => !now.includes(layer));
    if (left.length > 0) {
      await layers.suspect(left);
      await layers.collect();
    }
    this.#host.announce({ event: 'disks' });
  }
}

/** One disk of a machine that is off, open for a job. */
class OfflineDisk {
  readonly #announce: (event: DiskJobEvent) => void;
  #disk: Disk | undefined;
  #jobs: DiskJobs | undefined;

  constructor(announce: (event: DiskJobEvent) => void) {
    this.#announce = announce;
  }

  async open(index: number, settings: Parameters<typeof openMachineDisk>[0]): Promise<void> {
    this.#disk = await openMachineDisk(settings);
    const disks: Disk[] = [];
    disks[index] = this.#disk;
    this.#jobs = new DiskJobs(disks, this.#announce);
  }

  send(command: DiskJobCommand): void {
    this.#jobs?.obey(command);
  }

  async close(): Promise<void> {
    await this.#jobs?.finish();
    await this.#disk?.flush();
    await this.#disk?.close();
  }
}

function chainBelow(model: readonly LayerModel[], { backing }: LayerModel): LayerModel[] {
  const below: LayerModel[] = [];
  for (let at = model.find(({ path: one }) => one === backing); at !== undefined && !below.includes(at); ) {
    below.push(at);
    const next: string | undefined = at.backing;
    at = model.find(({ path: one }) => one === next);
  }
  return below;
}

function sizeOf(layers: readonly LayerModel[]): number {
  return layers.reduce((sum, { allocatedSize }) => sum + allocatedSize, 0);
}
