// A machine's disk under random requests and jobs, beside a plain array that says what must be read.

import { addBitmap, clearBitmap, dirtyRanges, listBitmaps } from '../../engine/disk/chain/bitmaps.ts';
import type { Layer, LayerFormat } from '../../engine/disk/chain/layer.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { layersFrom, openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { type CommitParts, commit } from '../../engine/disk/jobs/commit.ts';
import { compact, convert } from '../../engine/disk/jobs/convert.ts';
import { copyLayer } from '../../engine/disk/jobs/copy.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { rebase } from '../../engine/disk/jobs/rebase.ts';
import { resizeDisk } from '../../engine/disk/jobs/resize.ts';
import { settleJobs } from '../../engine/disk/jobs/resume.ts';
import { checkRunning, compactRunning, growRunning } from '../../engine/disk/jobs/running.ts';
import { stream } from '../../engine/disk/jobs/stream.ts';
import { type CreateOptions, createImage } from '../../engine/disk/qcow2/create.ts';
import type { TestFolder } from './memory-folder.ts';
import { contentOf, firstDifference, type Random, randomBytes, scattered } from './qcow2/images.ts';
import { codecs } from './qcow2/qemu.ts';

const SECTOR = 512;

export class JobsMachine {
  readonly random: Random;
  folder: TestFolder;
  /** What must be read. */
  expected: Uint8Array;
  /** What is recorded, durably, as the machine's disk. */
  recorded: { path: string; format: LayerFormat };
  live!: LiveDisk;
  readonly clusterSizes: readonly number[];
  #names = 0;
  /** Content at the named point of each bitmap. */
  readonly #points = new Map<string, Uint8Array>();
  /** Bitmaps may be distrusted, and clusters may leak. */
  crashed = false;
  /** Deeds, for the message of a failure. */
  readonly log: string[] = [];

  private constructor(random: Random, folder: TestFolder, size: number) {
    this.random = random;
    this.folder = folder;
    this.expected = new Uint8Array(size);
    const base = random.pick([512, 1024, 4096, 16_384, 65_536]);
    this.clusterSizes = [base, base, base * 2];
    this.recorded =
      random.below(3) === 0 ? { path: 'base.raw', format: 'raw' } : { path: 'base.qcow2', format: 'qcow2' };
  }

  static async create(random: Random, folder: TestFolder): Promise<JobsMachine> {
    const clusters = 4 + random.below(60);
    const machine = new JobsMachine(random, folder, 0);
    const size = Math.max(SECTOR * 8, clusters * Math.min(16_384, machine.clusterSizes[0]!) - SECTOR * random.below(8));
    machine.expected = new Uint8Array(size);
    const { path, format } = machine.recorded;
    if (format === 'raw') {
      machine.expected = randomBytes(random, size);
      folder.add(path, machine.expected);
    } else {
      const file = await folder.create(path);
      await createImage(file, machine.imageOptions(size));
      await file.close();
    }
    await machine.open();
    return machine;
  }

  imageOptions(size: number): CreateOptions {
    const { random } = this;
    const clusterSize = random.pick(this.clusterSizes);
    const extendedL2 = clusterSize >= 16_384 && random.below(2) === 0;
    if (!extendedL2 && random.below(6) === 0) return { size, clusterSize, version: 2 };
    return { size, clusterSize, extendedL2, refcountBits: random.pick([16, 16, 8, 64]) };
  }

  async open(): Promise<void> {
    this.live = new LiveDisk(await openChain(this.folder, this.recorded, { access: 'write', codecs }));
  }

  async reopen(): Promise<void> {
    await this.live.close();
    await this.open();
  }

  newName = (): string => {
    this.#names += 1;
    return `o${this.#names}.qcow2`;
  };

  record = async (path: string): Promise<void> => {
    const layer = layersFrom(this.live.active).find(one => one.path === path);
    this.recorded = { path, format: layer?.format ?? 'qcow2' };
  };

  get layers(): Layer[] {
    return layersFrom(this.live.active);
  }

  /** Removes images that are not in the chain any more, and stand in the way of commits into what is below them. */
  #removeUnused(): void {
    for (const name of this.folder.paths) {
      if (/\.qcow2$/.test(name) && this.layers.every(({ path }) => path !== name)) this.folder.drop(name);
    }
  }

  async overlay(): Promise<void> {
    const clusterSize = this.random.pick(this.clusterSizes);
    const extendedL2 = clusterSize >= 16_384 && this.random.below(2) === 0;
    await this.live.exclusively(async () => {
      const overlay = await createOverlay(this.live.active, this.newName(), { clusterSize, extendedL2 });
      await this.record(overlay.path);
      await this.live.switchTo(overlay).frozen;
    });
  }

  range(): { offset: number; length: number } {
    const { random } = this;
    const sectors = this.expected.length / SECTOR;
    if (random.below(12) === 0) return { offset: 0, length: this.expected.length };
    const offset = random.below(sectors);
    const length = Math.min(sectors - offset, 1 + random.below(random.pick([1, 8, 64, 200])));
    return { offset: offset * SECTOR, length: length * SECTOR };
  }

  /** Several requests at once, on ranges of their own. */
  async requests(): Promise<void> {
    const taken: { offset: number; length: number }[] = [];
    for (let count = 1 + this.random.below(4); count > 0; count -= 1) {
      const range = this.range();
      const apart = taken.every(
        one => one.offset + one.length <= range.offset || range.offset + range.length <= one.offset,
      );
      if (apart) taken.push(range);
    }
    const failed = (await Promise.allSettled(taken.map(range => this.request(range)))).find(
      result => result.status === 'rejected',
    );
    if (failed !== undefined) throw failed.reason;
  }

  /** A request, compared or taken over into what is expected. */
  async request({ offset, length } = this.range()): Promise<void> {
    const { random, live } = this;
    const kind = random.below(10);
    this.log.push(`request ${kind} ${offset} ${length}`);
    if (kind < 5) {
      const bytes = random.below(6) === 0 ? new Uint8Array(length) : randomBytes(random, length);
      await live.write(offset, scattered(random, bytes));
      this.expected.set(bytes, offset);
    } else if (kind === 5) {
      await live.writeZeroes(offset, length);
      this.expected.fill(0, offset, offset + length);
    } else if (kind === 6) {
      await live.discard(offset, length);
      this.#takeDiscarded(offset, length, await contentOf(live, offset, length));
    } else if (kind === 7) await live.flush();
    else this.#compare(await contentOf(live, offset, length), offset);
  }

  #takeDiscarded(offset: number, length: number, now: Uint8Array): void {
    for (let at = 0; at < length; at += SECTOR) {
      const sector = now.subarray(at, at + SECTOR);
      if (sector.some(byte => byte !== 0)) this.#compare(sector, offset + at);
    }
    this.expected.set(now, offset);
  }

  commitParts(job: Job): CommitParts {
    const { live, newName, record } = this;
    const clusterSize = this.random.pick(this.clusterSizes);
    const extendedL2 = clusterSize >= 16_384;
    return { live, job, newName, record, needed: () => undefined, overlay: { clusterSize, extendedL2 } };
  }

  /** Runs a job with requests beside it, sometimes cancelled. Returns false when there is nothing to do. */
  async liveJob(cancel = this.random.below(4) === 0): Promise<boolean> {
    const { random, layers } = this;
    const kind = random.pick(['commit', 'commit', 'commit', 'stream', 'stream', 'compact'] as const);
    const candidates = kind === 'compact' ? layers : layers.slice(0, -1);
    if (candidates.length === 0) return false;
    const layer = random.pick(candidates);
    const job = new Job(kind);
    const below = layersFrom(layer).slice(1);
    const base = kind === 'stream' ? below.slice(1)[random.below(below.length)] : undefined;
    this.log.push(`${kind} ${layer.path} to ${base?.path} cancel ${cancel} of ${layers.map(one => one.path).join()}`);
    const work = job.run(async () => {
      if (kind === 'commit') await commit(this.commitParts(job), layer);
      else if (kind === 'compact') await compactRunning(this.commitParts(job), layer, this.#compression(layer));
      else await stream({ live: this.live, job }, layer, base).finally(() => this.#removeUnused());
    });
    let ended = false;
    const end = work.then(() => {
      ended = true;
    });
    end.catch(() => {
      ended = true;
    });
    for (let count = 0; !ended || count < 3; count += 1) {
      if (cancel && count === 1) job.cancel();
      await this.requests();
      if (count > 200) break;
    }
    await end;
    return true;
  }

  #compression({ format }: Layer): { readonly compress?: boolean } {
    return format === 'qcow2' && this.random.below(2) === 0 ? { compress: true } : {};
  }

  /** Grows the disk, and checks a layer, with requests in flight. */
  async grow(): Promise<void> {
    const { random, live } = this;
    const size = this.expected.length + SECTOR * random.below(300);
    this.log.push(`grow to ${size}`);
    const layer = random.pick(this.layers);
    const checked = layer.format === 'qcow2' ? checkRunning(layer, random.below(2) === 0) : undefined;
    await Promise.all([this.requests(), growRunning(live, size)]);
    const report = await checked;
    if (report !== undefined && report.corruptions > 0) throw new Error(JSON.stringify(report.findings));
    const before = this.expected;
    this.expected = new Uint8Array(size);
    this.expected.set(before);
  }

  /** A crash, mostly in the middle of a job: what was flushed is there, and the job is done again. */
  async crash(): Promise<void> {
    const { random, layers, live } = this;
    const layer = layers[random.below(Math.max(1, layers.length - 1))]!;
    const isCommit = random.below(3) > 0;
    const job = new Job(isCommit ? 'commit' : 'stream');
    this.log.push(`crash in ${job.kind} of ${layer.path} of ${layers.map(one => one.path).join()}`);
    let ended = false;
    const work = job.run(async () => {
      if (layer.backing === undefined) return;
      // With the record as it was: the parent of the crashed process hears nothing any more.
      if (isCommit) await commit(this.commitParts(job), layer);
      else await stream({ live, job }, layer, undefined);
    });
    const end = work
      .catch(() => undefined)
      .then(() => {
        ended = true;
      });
    for (let count = random.below(12); count > 0 && !ended; count -= 1) await this.requests();
    await live.flush();
    const [folder, recorded] = [this.folder.copy(), this.recorded];
    job.cancel();
    await end;
    await live.close().catch(() => undefined);
    this.folder = folder;
    this.recorded = recorded;
    this.crashed = true;
    await this.open();
    const interrupted = await settleJobs(folder, this.layers, () => false);
    this.log.push(`reopened ${this.layers.map(one => one.path).join()} with ${JSON.stringify(interrupted)}`);
    await this.verify();
    for (const { kind, layer: path, base } of interrupted) {
      const again = new Job(kind);
      const place = this.layers.find(one => one.path === path)!;
      const onto = this.layers.find(one => one.path === base);
      if (kind === 'commit') await again.run(() => commit(this.commitParts(again), place));
      else if (kind === 'stream') await again.run(() => stream({ live: this.live, job: again }, place, onto));
    }
    this.#removeUnused();
    await settleJobs(folder, this.layers, () => false);
    const left = folder.paths.filter(name => /\.(job|partial)$/.test(name));
    if (left.length > 0) throw new Error(`${left.join()} is left`);
  }

  /** A commit or stream without requests beside it. */
  async quietJob(): Promise<undefined> {
    const { random, layers } = this;
    if (layers.length < 2) return;
    const layer = layers[random.below(layers.length - 1)]!;
    const isCommit = random.below(3) > 0;
    const job = new Job(isCommit ? 'commit' : 'stream');
    const below = layersFrom(layer).slice(2);
    const base = isCommit ? undefined : below[random.below(below.length + 1)];
    this.log.push(`quiet ${job.kind} ${layer.path} to ${base?.path} of ${layers.map(one => one.path).join()}`);
    if (isCommit) await job.run(() => commit(this.commitParts(job), layer));
    else await job.run(() => stream({ live: this.live, job }, layer, base).finally(() => this.#removeUnused()));
  }

  /** Jobs that want the machine off. */
  async offlineJob(): Promise<void> {
    const { random } = this;
    const top = this.live.active;
    const kind = random.pick(['resize', 'compact', 'rebase', 'convert', 'copy'] as const);
    this.log.push(`${kind} ${this.layers.map(one => one.path).join()}`);
    const job = new Job(kind);
    if (kind === 'resize') {
      const size = Math.max(SECTOR, this.expected.length + SECTOR * (random.below(400) - 150));
      await resizeDisk(top, size);
      const before = this.expected;
      this.expected = new Uint8Array(size);
      this.expected.set(before.subarray(0, size));
    } else if (kind === 'compact') {
      const compress = top.format === 'qcow2' && random.below(2) === 0;
      await top.flush();
      await job.run(() => compact(top, { compress }, job));
    } else if (kind === 'rebase') {
      if (top.format === 'raw') return;
      await job.run(() => rebase(top, this.layers.slice(2)[random.below(this.layers.length)], job));
      this.#removeUnused();
    } else if (kind === 'convert') {
      const to = this.newName();
      const format = random.pick(['raw', 'qcow2'] as const);
      const options =
        format === 'raw' ? { format } : { format, image: this.#imageFor(), compress: random.below(2) === 0 };
      await job.run(() => convert(top, this.folder, to, { ...options, codecs }, job));
      this.recorded = { path: to, format };
      for (const layer of this.layers) this.folder.drop(layer.path);
    } else {
      const to = this.newName();
      await top.flush();
      top.freeze();
      await job.run(() => copyLayer(top, to, { sparse: random.below(2) === 0 }, job));
      top.thaw();
      this.folder.drop(top.path);
      this.recorded = { path: to, format: top.format };
    }
    await this.reopen();
  }

  #imageFor(): Omit<CreateOptions, 'size' | 'backing'> {
    const { size: _, ...options } = this.imageOptions(SECTOR);
    return options;
  }

  async verify(): Promise<void> {
    this.#compare(await contentOf(this.live), 0);
    await this.#verifyBitmaps();
  }

  /** Sets a named point: adds a bitmap, or starts one anew. */
  async bitmap(): Promise<void> {
    const { random, live } = this;
    const top = live.active;
    if (top.image === undefined || top.image.header.version < 3) return;
    const name = random.pick(['one', 'two']);
    const present = (await listBitmaps(top)).some(one => one.name === name);
    this.log.push(`bitmap ${name} ${present ? 'cleared' : 'added'} on ${top.path}`);
    if (present) await clearBitmap(top, name);
    else await addBitmap(top, name, random.pick([512, 4096, 65_536]));
    this.#points.set(name, this.expected.slice());
  }

  /** What differs from what it was at the named point must be in the bitmap, as long as there is one. */
  async #verifyBitmaps(): Promise<void> {
    for (const { name, trusted } of await listBitmaps(this.live.active)) {
      const then = this.#points.get(name);
      if (!trusted && this.crashed) continue;
      if (then === undefined || !trusted) throw new Error(`The bitmap ${name} is not trusted`);
      const changed = this.expected.slice();
      for (const { offset, length } of await dirtyRanges(this.live.active, name)) {
        if (offset + length > changed.length) throw new Error('A bitmap is longer than the disk');
        changed.set(then.subarray(offset, offset + length), offset);
        if (offset + length > then.length) changed.fill(0, Math.max(offset, then.length), offset + length);
      }
      const whole = new Uint8Array(changed.length);
      whole.set(then.subarray(0, whole.length));
      const at = firstDifference(changed, whole);
      if (at >= 0) throw new Error(`The bitmap ${name} has missed a write at ${at}`);
    }
  }

  #compare(got: Uint8Array, offset: number): void {
    const at = firstDifference(got, this.expected.subarray(offset, offset + got.length));
    if (at >= 0) throw new Error(`Wrong at byte ${offset + at} of ${this.expected.length}`);
  }
}
