// Jobs on the disks of a running machine, as the parent asks for them.
import { randomBytes } from 'node:crypto';
import type { DiskFormat, DiskJobCommand, DiskJobEvent, DiskJobOutcome, RunningDiskJob } from '../api/disk.ts';
import { AfterimageError, assertNever } from '../base/errors.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import { layersFrom } from '../disk/chain/open.ts';
import type { Disk } from '../disk/disk.ts';
import { Job, type JobReport } from '../disk/jobs/job.ts';
import { interruptedJobs } from '../disk/jobs/resume.ts';
import { runBitmapAction } from './disk-bitmaps.ts';
import { checkDiskJobCommand } from './disk-job-checks.ts';
import { kindOf, runDiskJob } from './running-disk-job.ts';

/** Reports of one job are at least so far apart, except when its state changes. */
const REPORT_MILLISECONDS = 200;

const clock = {
  now: () => performance.now(),
  wait: (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds)),
};

/** One job a disk at a time. Which file is the machine's disk is the parent's to record: it is asked each time. */
export class DiskJobs {
  readonly #disks: readonly Disk[];
  readonly #announce: (event: DiskJobEvent) => void;
  readonly #resized: (disk: number, size: number) => void;
  readonly #needed: (layer: string) => boolean;
  readonly #jobs = new Map<number, Job>();
  readonly #ended = new Map<number, Promise<void>>();
  readonly #recording = new Map<number, PromiseWithResolvers<void>>();
  /** Why nothing is recorded any more. */
  #gone: AfterimageError | undefined;
  /** What is done with bitmaps, which no job may cross. */
  readonly #bitmaps = new Set<Promise<void>>();

  /**
   * `resized` tells the guest of a disk's new size; `needed` says which layers checkpoints of this run stand on, those that
   * are being taken included, beside what a command says.
   */
  constructor(
    disks: readonly Disk[],
    announce: (event: DiskJobEvent) => void,
    resized: (disk: number, size: number) => void = () => undefined,
    needed: (layer: string) => boolean = () => false,
  ) {
    this.#disks = disks;
    this.#announce = announce;
    this.#resized = resized;
    this.#needed = needed;
  }

  /** Announces what a crash has interrupted. */
  async tellInterrupted(): Promise<void> {
    for (const [disk, live] of this.#disks.entries()) {
      if (!(live instanceof LiveDisk)) continue;
      const jobs = await interruptedJobs(live.active.folder, layersFrom(live.active));
      if (jobs.length > 0) this.#announce({ kind: 'disk-interrupted', disk, jobs });
    }
  }

  /** A command that cannot be understood is answered as a job that failed. */
  obey(command: DiskJobCommand): void {
    try {
      this.#obey(checkDiskJobCommand(command));
    } catch (thrown) {
      const error = AfterimageError.from(thrown).toPlain();
      const { disk } = command;
      if (command.kind === 'disk-bitmap')
        this.#announce({ kind: 'disk-bitmap', disk, request: command.request, error });
      else if (command.kind === 'disk-job') this.#fail(command, error);
      else throw thrown;
    }
  }

  #obey(command: DiskJobCommand): void {
    const { disk } = command;
    switch (command.kind) {
      case 'disk-recorded':
        this.#recording.get(disk)?.resolve();
        break;
      case 'disk-job-cancel':
        this.#jobs.get(disk)?.cancel();
        break;
      case 'disk-job-limit':
        this.#jobs.get(disk)?.limit(command.bytesPerSecond);
        break;
      case 'disk-bitmap':
        this.#doBitmap(command);
        break;
      case 'disk-job':
        if (this.#jobs.has(disk)) throw new AfterimageError('state', 'A job on this disk runs already', { disk });
        this.#start(command);
        break;
      default:
        assertNever(command, 'disk command');
    }
  }

  /** Resolves when the job that runs on a disk has ended; undefined when none does. */
  working(disk: number): Promise<void> | undefined {
    return this.#ended.get(disk);
  }

  /** For the machine's end: cancels what can be cancelled, and waits for the rest. */
  async finish(): Promise<void> {
    for (const job of this.#jobs.values()) job.cancel();
    // Nobody records any more; a switch that waits for that fails.
    this.#gone = new AfterimageError('state', 'The machine ended before its new layer was recorded');
    for (const { reject } of this.#recording.values()) reject(this.#gone);
    await Promise.all([...this.#ended.values(), ...this.#bitmaps]);
  }

  #start(request: RunningDiskJob): void {
    const { disk, job: name } = request;
    const meter = new Meter();
    let last: JobReport | undefined;
    let lastAt = 0;
    let outcome: DiskJobOutcome | undefined;
    const tell = (report: JobReport) => {
      last = report;
      lastAt = clock.now();
      const { state, done, total, error } = report;
      const speed = meter.speed(done);
      this.#announce({
        kind: 'disk-job',
        disk,
        job: name,
        state,
        done,
        total,
        ...(speed === undefined ? {} : { bytesPerSecond: speed }),
        ...(error === undefined ? {} : { error }),
        ...(state === 'done' && outcome !== undefined ? { outcome } : {}),
      });
    };
    const job = new Job(kindOf(request), clock, report => {
      // Its end is told when nothing of it runs any more.
      if (isEnd(report) || (last?.state === report.state && clock.now() - lastAt < REPORT_MILLISECONDS)) return;
      tell(report);
    });
    job.limit(request.bytesPerSecond);
    this.#jobs.set(disk, job);
    const ended = job
      .run(async () => {
        outcome = await this.#run(request, job);
      })
      // Its report says so.
      .catch(() => undefined)
      .then(() => {
        this.#jobs.delete(disk);
        this.#ended.delete(disk);
        tell(job.report);
      });
    this.#ended.set(disk, ended);
  }

  async #run(request: RunningDiskJob, job: Job): Promise<DiskJobOutcome> {
    const { disk } = request;
    const live = this.#live(disk);
    return await runDiskJob(request, {
      live,
      job,
      record: (file, format) => this.#record(disk, file, format),
      newName: () => newLayerName(disk, live),
      resized: size => this.#resized(disk, size),
      needed: layer => request.keep.includes(layer) || this.#needed(layer),
    });
  }

  #doBitmap({ disk, request, does }: Extract<DiskJobCommand, { kind: 'disk-bitmap' }>): void {
    const live = this.#live(disk);
    const done = live
      .exclusively(() => runBitmapAction(live.active, does))
      .then(
        result => this.#announce({ kind: 'disk-bitmap', disk, request, result }),
        thrown => {
          this.#announce({ kind: 'disk-bitmap', disk, request, error: AfterimageError.from(thrown).toPlain() });
        },
      );
    this.#bitmaps.add(done);
    void done.finally(() => this.#bitmaps.delete(done));
  }

  #live(disk: number): LiveDisk {
    const live = this.#disks[disk];
    if (live === undefined) throw new AfterimageError('missing', 'The machine has no such disk', { disk });
    if (!(live instanceof LiveDisk)) {
      throw new AfterimageError('unsupported', 'A temporary disk has no layers', { disk });
    }
    return live;
  }

  #fail({ disk, job }: RunningDiskJob, error: ReturnType<AfterimageError['toPlain']>): void {
    this.#announce({ kind: 'disk-job', disk, job, state: 'failed', done: 0, total: 0, error });
  }

  /** Returns when the parent has made durable which file the machine's disk is. */
  async #record(disk: number, file: string, format: DiskFormat): Promise<void> {
    if (this.#gone !== undefined) throw this.#gone;
    const recorded = Promise.withResolvers<void>();
    this.#recording.set(disk, recorded);
    try {
      this.#announce({ kind: 'disk-active', disk, file, format });
      await recorded.promise;
    } finally {
      this.#recording.delete(disk);
    }
  }
}

/** How fast a job goes: over the last seconds, so that a limit or a slow disk shows. */
class Meter {
  readonly #marks: { readonly at: number; readonly done: number }[] = [];

  speed(done: number): number | undefined {
    const at = clock.now();
    this.#marks.push({ at, done });
    while (this.#marks.length > 2 && at - this.#marks[0]!.at > METER_MILLISECONDS) this.#marks.shift();
    const first = this.#marks[0]!;
    return at - first.at < REPORT_MILLISECONDS ? undefined : Math.round(((done - first.done) / (at - first.at)) * 1000);
  }
}

const METER_MILLISECONDS = 5000;

function isEnd({ state }: JobReport): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

/** Beside the disk's active layer. */
function newLayerName(disk: number, { active }: LiveDisk): string {
  const folder = active.path.slice(0, active.path.lastIndexOf('/') + 1);
  return `${folder}disk${disk}-${randomBytes(5).toString('hex')}.qcow2`;
}
