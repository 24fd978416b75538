// Work that takes a while, as clients see it: what runs, and what has been done.
import type { JobView } from '../api/control.ts';
import { AfterimageError } from '../base/errors.ts';

/** Jobs that have ended and are still told of. */
const HISTORY = 100;
/** Reports of one job are at least so far apart, but for the last. */
const REPORT_MILLISECONDS = 200;

/** What a running job tells, and hears. */
export interface JobHandle {
  readonly job: number;
  readonly signal: AbortSignal;
  progress(done: number, total: number): void;
  /** For a person: what was found or freed. */
  outcome(text: string): void;
  /** Called with the present limit, and whenever it changes. */
  onLimit(listener: (bytesPerSecond: number | undefined) => void): void;
}

export interface JobDescription {
  readonly kind: JobView['kind'];
  readonly subject: string;
  readonly disk?: number;
  readonly bytesPerSecond?: number;
}

interface Job {
  view: JobView;
  readonly cancel: AbortController;
  limited: (bytesPerSecond: number | undefined) => void;
  announcedAt: number;
}

export class MachineJobs {
  readonly #announce: (job: JobView) => void;
  readonly #jobs = new Map<number, Job>();
  #last = 0;
  readonly #running = new Set<Promise<unknown>>();

  constructor(announce: (job: JobView) => void) {
    this.#announce = announce;
  }

  /** The newest first. */
  get views(): readonly JobView[] {
    return [...this.#jobs.values()].map(({ view }) => view).reverse();
  }

  get busy(): boolean {
    return this.#running.size > 0;
  }

  /** Runs work as a job; its result and its failure are the caller's too. */
  run<Result>(description: JobDescription, work: (handle: JobHandle) => Promise<Result>): Promise<Result> {
    return this.start(description, work).result;
  }

  /** As `run`, for work that its caller does not wait for. */
  start<Result>(
    description: JobDescription,
    work: (handle: JobHandle) => Promise<Result>,
  ): { readonly job: number; readonly result: Promise<Result> } {
    this.#last += 1;
    const number = this.#last;
    const view: JobView = { job: number, ...description, state: 'running', done: 0, total: 0, startedAt: Date.now() };
    const job: Job = { view, cancel: new AbortController(), limited: () => undefined, announcedAt: 0 };
    this.#jobs.set(number, job);
    this.#forgetOld();
    this.#announce(view);
    const result = this.#perform(job, work);
    this.#running.add(result);
    result.finally(() => this.#running.delete(result)).catch(() => undefined);
    return { job: number, result };
  }

  /** @throws AfterimageError `missing` */
  cancel(number: number): void {
    this.#find(number).cancel.abort(new AfterimageError('state', 'It was cancelled', { cancelled: true }));
  }

  /** @throws AfterimageError `missing` */
  limit(number: number, bytesPerSecond: number | undefined): void {
    const job = this.#find(number);
    const { bytesPerSecond: _, ...rest } = job.view;
    job.view = bytesPerSecond === undefined ? rest : { ...rest, bytesPerSecond };
    job.limited(bytesPerSecond);
    this.#announce(job.view);
  }

  /** Cancels what runs, and waits for its end. */
  async finish(): Promise<void> {
    for (const { view, cancel } of this.#jobs.values()) {
      if (view.state === 'running') cancel.abort(new AfterimageError('state', 'The process ends', { cancelled: true }));
    }
    await Promise.allSettled(this.#running);
  }

  async #perform<Result>(job: Job, work: (handle: JobHandle) => Promise<Result>): Promise<Result> {
    const handle: JobHandle = {
      job: job.view.job,
      signal: job.cancel.signal,
      progress: (done, total) => this.#progress(job, done, total),
      outcome: outcome => {
        job.view = { ...job.view, outcome };
      },
      onLimit: listener => {
        job.limited = listener;
        listener(job.view.bytesPerSecond);
      },
    };
    try {
      const result = await work(handle);
      this.#end(job, { state: 'done', done: Math.max(job.view.done, job.view.total) });
      return result;
    } catch (thrown) {
      const error = AfterimageError.from(thrown);
      const cancelled = error.context.cancelled === true || job.cancel.signal.aborted;
      this.#end(job, cancelled ? { state: 'cancelled' } : { state: 'failed', error: error.toPlain() });
      throw error;
    }
  }

  #progress(job: Job, done: number, total: number): void {
    job.view = { ...job.view, done, total };
    const now = performance.now();
    if (now - job.announcedAt < REPORT_MILLISECONDS) return;
    job.announcedAt = now;
    this.#announce(job.view);
  }

  #end(job: Job, change: Partial<JobView>): void {
    job.view = { ...job.view, ...change, endedAt: Date.now() };
    this.#announce(job.view);
  }

  #find(number: number): Job {
    const job = this.#jobs.get(number);
    if (job === undefined) throw new AfterimageError('missing', 'There is no such job', { job: number });
    return job;
  }

  #forgetOld(): void {
    for (const [number, { view }] of this.#jobs) {
      if (this.#jobs.size <= HISTORY) return;
      if (view.state !== 'running') this.#jobs.delete(number);
    }
  }
}
