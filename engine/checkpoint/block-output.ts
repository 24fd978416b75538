import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';

// One write of the host per MiB: below that the cost of a call shows, above it only memory grows.
const WRITE_BYTES = 2 ** 20;
// What may wait to be compressed or written. Enough to keep a few compressing threads and one write busy.
const MOST_WAITING_BYTES = 4 * 2 ** 20;

/**
 * Appends prepared pieces to a file, many in each write, one write at a time. What waits is bounded: `room` makes the
 * producer wait. After a failure nothing more is written, and everything throws that failure.
 */
export class BlockOutput {
  readonly #file: HostFile;
  #end: number;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #done: (() => void)[] = [];
  #waiting = 0;
  #preparing = 0;
  #writing = false;
  #failure: unknown;
  #failed = false;
  #waiters: (() => void)[] = [];

  constructor(file: HostFile, start: number) {
    this.#file = file;
    this.#end = start;
  }

  /** Offset of the next piece. */
  get end(): number {
    return this.#end;
  }

  /** A write runs and the next one is full: the file is what everything waits for. */
  get backlogged(): boolean {
    return this.#writing && this.#queued >= WRITE_BYTES;
  }

  /** Waits until `bytes` more may wait, and counts them as waiting. */
  async room(bytes: number): Promise<void> {
    this.check();
    while (this.#waiting > 0 && this.#waiting + bytes > MOST_WAITING_BYTES) {
      await this.#change();
      this.check();
    }
    this.#waiting += bytes;
  }

  /**
   * Runs `prepare` without waiting for it; it ends with one `append`. `bytes` are those that `room` counted.
   * A failure is kept for the next call.
   */
  start(bytes: number, prepare: () => Promise<void>): void {
    this.#preparing += 1;
    prepare()
      .catch(thrown => this.fail(thrown))
      .finally(() => {
        this.#preparing -= 1;
        this.#waiting -= bytes;
        this.#wake();
      });
  }

  /** Takes the bytes, which must not change until `done` is called. The offset at which they will lie. */
  append(bytes: Uint8Array, done?: () => void): number {
    const at = this.#end;
    this.#end += bytes.length;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#waiting += bytes.length;
    if (done !== undefined) this.#done.push(done);
    if (this.#queued >= WRITE_BYTES) this.#write();
    return at;
  }

  /** Returns when everything is written; it is not yet durable. */
  async drain(): Promise<void> {
    for (;;) {
      this.check();
      if (this.#preparing === 0) this.#write();
      if (this.#preparing === 0 && !this.#writing && this.#queued === 0) return;
      await this.#change();
    }
  }

  /** Stops writing; waits for what runs, so that no buffer is in use afterwards. */
  async stop(reason: AfterimageError): Promise<void> {
    this.fail(reason);
    while (this.#preparing > 0 || this.#writing) await this.#change();
  }

  fail(thrown: unknown): void {
    if (!this.#failed) {
      this.#failed = true;
      this.#failure = thrown;
    }
    this.#wake();
  }

  check(): void {
    if (this.#failed) throw AfterimageError.from(this.#failure);
  }

  #write(): void {
    if (this.#writing || this.#queued === 0 || this.#failed) return;
    const buffers = this.#queue;
    const bytes = this.#queued;
    const done = this.#done;
    const at = this.#end - bytes;
    this.#queue = [];
    this.#queued = 0;
    this.#done = [];
    this.#writing = true;
    this.#file
      .write(at, buffers)
      .then(() => {
        for (const one of done) one();
      })
      .catch(thrown => this.fail(thrown))
      .finally(() => {
        this.#writing = false;
        this.#waiting -= bytes;
        if (this.#queued >= WRITE_BYTES) this.#write();
        this.#wake();
      });
  }

  async #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push(resolve);
    await promise;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
