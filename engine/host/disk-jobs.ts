// Jobs on the disks of a running machine, as the parent asks for them.
import type { DiskJobCommand, DiskJobEvent } from '../api/messages.ts';
import { AfterimageError } from '../base/errors.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import { layersFrom } from '../disk/chain/open.ts';
import { createOverlay } from '../disk/chain/overlay.ts';
import type { Disk } from '../disk/disk.ts';
import { commit } from '../disk/jobs/commit.ts';
import { Job, type JobReport } from '../disk/jobs/job.ts';
import { stream } from '../disk/jobs/stream.ts';

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
  readonly #jobs = new Map<number, Job>();
  readonly #ended = new Map<number, Promise<void>>();
  readonly #recording = new Map<number, PromiseWithResolvers<void>>();
  #names = 0;

  constructor(disks: readonly Disk[], announce: (event: DiskJobEvent) => void) {
    this.#disks = disks;
    this.#announce = announce;
  }

  obey(command: DiskJobCommand): void {
    const { disk } = command;
    if (command.kind === 'disk-recorded') this.#recording.get(disk)?.resolve();
    else if (command.kind === 'disk-job-cancel') this.#jobs.get(disk)?.cancel();
    else if (command.kind === 'disk-job-limit') this.#jobs.get(disk)?.limit(command.bytesPerSecond);
    else if (this.#jobs.has(disk)) {
      const error = new AfterimageError('state', 'A job on this disk runs already').toPlain();
      this.#announce({ kind: 'disk-job', disk, job: command.job, state: 'failed', done: 0, total: 0, error });
    } else this.#start(command);
  }

  /** For the machine's end: cancels what can be cancelled, and waits for the rest. */
  async finish(): Promise<void> {
    for (const job of this.#jobs.values()) job.cancel();
    // Nobody records any more; a switch that waits for that fails.
    const gone = new AfterimageError('state', 'The machine ended before its new layer was recorded');
    for (const { reject } of this.#recording.values()) reject(gone);
    await Promise.all(this.#ended.values());
  }

  #start(command: Extract<DiskJobCommand, { kind: 'disk-job' }>): void {
    const { disk } = command;
    let last: JobReport | undefined;
    let lastAt = 0;
    const job = new Job(command.job === 'commit' ? 'commit' : 'stream', clock, report => {
      if (last?.state === report.state && clock.now() - lastAt < REPORT_MILLISECONDS) return;
      last = report;
      lastAt = clock.now();
      this.#announce({ ...report, kind: 'disk-job', disk, job: command.job });
    });
    this.#jobs.set(disk, job);
    const ended = job
      .run(() => this.#run(command, job))
      // Its report has said so.
      .catch(() => undefined)
      .then(() => {
        this.#jobs.delete(disk);
        this.#ended.delete(disk);
      });
    this.#ended.set(disk, ended);
  }

  async #run(command: Extract<DiskJobCommand, { kind: 'disk-job' }>, job: Job): Promise<void> {
    const { disk } = command;
    const live = this.#disks[disk];
    if (!(live instanceof LiveDisk)) {
      throw new AfterimageError('unsupported', 'Only disks in qcow2 images have layers', { disk });
    }
    const record = (active: string) => this.#record(disk, active);
    if (command.job === 'overlay') {
      await live.exclusively(async () => {
        const overlay = await createOverlay(live.active, this.#newName());
        await record(overlay.path);
        await live.switchTo(overlay).frozen;
      });
      return;
    }
    const wanted = command.layer ?? live.active.path;
    const layer = layersFrom(live.active).find(({ path }) => path === wanted);
    if (layer === undefined) throw new AfterimageError('missing', 'The disk has no such layer', { file: wanted });
    const needed = (path: string) => (command.keep.includes(path) ? 'it is needed' : undefined);
    if (command.job === 'commit') await commit({ live, job, record, needed, newName: () => this.#newName() }, layer);
    else await stream({ live, job }, layer, undefined);
  }

  /** Returns when the parent has made durable which file the machine's disk is. */
  async #record(disk: number, file: string): Promise<void> {
    const recorded = Promise.withResolvers<void>();
    this.#recording.set(disk, recorded);
    try {
      this.#announce({ kind: 'disk-active', disk, file });
      await recorded.promise;
    } finally {
      this.#recording.delete(disk);
    }
  }

  #newName(): string {
    this.#names += 1;
    return `overlay-${Date.now().toString(36)}-${this.#names}.qcow2`;
  }
}
