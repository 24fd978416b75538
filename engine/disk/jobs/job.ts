import { AfterimageError, type PlainError } from '../../base/errors.ts';

export type JobKind = 'commit' | 'stream' | 'copy' | 'compact' | 'convert' | 'resize' | 'rebase';
export type JobState = 'copying' | 'ready' | 'pivoting' | 'done' | 'failed' | 'cancelled';

/** The host's clock and patience: what throttling needs. */
export interface JobClock {
  /** Milliseconds since any fixed moment. */
  now(): number;
  wait(milliseconds: number): Promise<void>;
}

export interface JobReport {
  readonly kind: JobKind;
  readonly state: JobState;
  /** Bytes of the disk that are dealt with, and all that are to be. */
  readonly done: number;
  readonly total: number;
  readonly error?: PlainError;
}

/** Throttled steps are at most so long, so that a cancel or a new limit is heard soon. */
const LONGEST_WAIT_MILLISECONDS = 100;

class Cancelled extends Error {}

/**
 * One piece of work on disks that takes a while. It can be cancelled until it pivots; what it has done until then
 * changes nothing that anyone reads.
 */
export class Job {
  readonly kind: JobKind;
  readonly #clock: JobClock | undefined;
  readonly #changed: (report: JobReport) => void;
  #state: JobState = 'copying';
  #done = 0;
  #total = 0;
  #error: AfterimageError | undefined;
  #cancelled = false;
  #limit: number | undefined;
  /** When the bytes so far would have taken their time at the limit. */
  #dueAt = 0;

  /** Without a clock it cannot be throttled. `changed` is called often. */
  constructor(kind: JobKind, clock?: JobClock, changed: (report: JobReport) => void = () => undefined) {
    this.kind = kind;
    this.#clock = clock;
    this.#changed = changed;
  }

  get state(): JobState {
    return this.#state;
  }

  get report(): JobReport {
    const { kind } = this;
    const report = { kind, state: this.#state, done: this.#done, total: this.#total };
    return this.#error === undefined ? report : { ...report, error: this.#error.toPlain() };
  }

  /** Asks it to stop; without effect once it pivots. */
  cancel(): void {
    this.#cancelled = true;
  }

  /** Most bytes a second from now on; undefined for as fast as possible. */
  limit(bytesPerSecond: number | undefined): void {
    this.#limit = bytesPerSecond;
    this.#dueAt = this.#clock?.now() ?? 0;
  }

  /** Runs the work and settles the state. Resolves to undefined when it was cancelled; throws when it failed. */
  async run<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      const result = await work();
      this.#become('done');
      return result;
    } catch (thrown) {
      if (thrown instanceof Cancelled) {
        this.#become('cancelled');
        return undefined;
      }
      this.#error = AfterimageError.from(thrown);
      this.#become('failed');
      throw this.#error;
    }
  }

  expect(bytes: number): void {
    this.#total += bytes;
  }

  enter(state: 'copying' | 'ready' | 'pivoting'): void {
    if (state === 'pivoting') this.check();
    this.#become(state);
  }

  /** To be called before each step. Throws when the job was cancelled, for `run` to catch. */
  check(): void {
    if (this.#cancelled && this.#state !== 'pivoting') throw new Cancelled();
  }

  /** So many bytes are dealt with. */
  advance(bytes: number): void {
    this.#done += bytes;
    this.#changed(this.report);
  }

  /** Waits as long as the limit wants before so many bytes are moved. */
  async pace(bytes: number): Promise<void> {
    this.check();
    const clock = this.#clock;
    // A machine may be waiting for what is left to do.
    if (this.#state === 'pivoting') return;
    if (clock === undefined || this.#limit === undefined) return;
    while (this.#limit !== undefined && this.#dueAt > clock.now()) {
      await clock.wait(Math.min(LONGEST_WAIT_MILLISECONDS, this.#dueAt - clock.now()));
      this.check();
    }
    if (this.#limit !== undefined) this.#dueAt = Math.max(this.#dueAt, clock.now()) + (bytes / this.#limit) * 1000;
  }

  #become(state: JobState): void {
    this.#state = state;
    this.#changed(this.report);
  }
}
