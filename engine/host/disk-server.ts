// The I/O thread's end of the disks: takes request records from the ring, runs them on the disks, many at a time, and
// puts completions into the other ring (disk-link.ts has the hart's end).
import { AfterimageError, assertNever } from '../base/errors.ts';
import { RecordRing } from '../base/shared-ring.ts';
import type { BlockStatus } from '../devices/virtio/block/backend.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import type { Disk } from '../disk/disk.ts';
import type { DiskBuffers } from './disk-link.ts';
import { type DiskRecord, decodeRequest, encodeCompletion, encodeResize, isMoment } from './disk-protocol.ts';
import type { Doorbell } from './doorbell.ts';

/** Requests that run at once. The host runs four file operations at a time; the rest only must not starve them. */
const MOST_IN_FLIGHT = 64;

/** How often to look whether there is room again: soon enough for a person who has just made some. */
const SPACE_RETRY_MILLISECONDS = 500;

/** A request that finds no room on the host is kept, and tried again until there is some: the guest loses nothing. */
export interface SpacePolicy {
  /** For each disk, whether room can come back. */
  readonly disks: readonly boolean[];
  /** The first request waits: the machine is to be paused. */
  readonly full: (error: AfterimageError) => void;
  /** None waits any more. */
  readonly resumed: () => void;
}

export interface DiskServerParts {
  readonly buffers: DiskBuffers;
  readonly hartBell: Doorbell;
  readonly disks: readonly Disk[];
  /** The machine memory's bytes. */
  readonly memory: SharedArrayBuffer;
  /** A disk failed on the host's side; the guest sees an I/O error. */
  readonly report: (error: AfterimageError) => void;
  /** A checkpoint's moment has come in the stream of requests: those before it have been given to the disks (C6). */
  readonly moment?: () => void;
  /** What happens when the host has no room; without it that is an I/O error. */
  readonly space?: SpacePolicy;
}

/** Runs requests on disks in the order of submission; those that overlap are kept in it by the disk. */
export class DiskServer {
  readonly #parts: DiskServerParts;
  readonly #requests: RecordRing;
  readonly #completions: RecordRing;
  #running = 0;
  /** Completions that found no room in the ring, oldest first. */
  readonly #waiting: Uint8Array[] = [];
  readonly #whenFinished: (() => void)[] = [];
  #hartEnded = false;
  /** Requests that found no room. */
  #blocked = 0;
  #whenRetry = Promise.withResolvers<void>();

  constructor(parts: DiskServerParts) {
    this.#parts = parts;
    this.#requests = RecordRing.over(parts.buffers.requests);
    this.#completions = RecordRing.over(parts.buffers.completions);
  }

  /** Starts requests and delivers completions as far as there is room. To be called after the hart has rung. */
  pump(): void {
    this.#deliver();
    // A ring full of completions that the hart does not take must not grow a queue here.
    while (this.#running < MOST_IN_FLIGHT && this.#waiting.length === 0) {
      const record = this.#requests.shift();
      if (record === undefined) break;
      if (isMoment(record)) {
        this.#parts.moment?.();
        continue;
      }
      void this.#serve(decodeRequest(record));
    }
    if (this.#running > 0 || !this.#requests.empty) return;
    for (const resolve of this.#whenFinished.splice(0)) resolve();
  }

  /** For when the hart has ended: resolves when every request that it left in the ring has run. */
  finish(): Promise<void> {
    this.#hartEnded = true;
    this.#waiting.length = 0;
    this.retry();
    return new Promise(resolve => {
      this.#whenFinished.push(resolve);
      this.pump();
    });
  }

  /** Tells the guest that a disk has got larger. */
  announceSize(disk: number, size: number): void {
    if (this.#hartEnded) return;
    this.#waiting.push(encodeResize({ disk, size }));
    this.#deliver();
  }

  async #serve(record: DiskRecord): Promise<void> {
    this.#running += 1;
    const status = await this.#run(record);
    this.#running -= 1;
    if (!this.#hartEnded) this.#waiting.push(encodeCompletion({ tag: record.tag, status }));
    this.pump();
  }

  async #run(record: DiskRecord): Promise<BlockStatus> {
    try {
      const disk = this.#parts.disks[record.disk];
      if (disk === undefined) throw new AfterimageError('internal', 'A request names a disk that does not exist');
      await this.#withSpace(record.disk, () => perform(disk, record, this.#parts.memory));
      return 'ok';
    } catch (thrown) {
      const error = AfterimageError.from(thrown);
      if (error.kind === 'unsupported') return 'unsupported';
      this.#parts.report(error);
      return 'io-error';
    }
  }

  /** Tries at once what waits for room. */
  retry(): void {
    this.#whenRetry.resolve();
    this.#whenRetry = Promise.withResolvers();
  }

  /** Runs a step until it does not fail for want of room. A write that is made twice is the same write. */
  async #withSpace(disk: number, step: () => Promise<void>): Promise<void> {
    const { space } = this.#parts;
    let blocked = false;
    try {
      for (;;) {
        try {
          await step();
          return;
        } catch (thrown) {
          const error = AfterimageError.from(thrown);
          if (error.kind !== 'no-space' || space?.disks[disk] !== true || this.#hartEnded) throw error;
          if (!blocked) this.#blocked += 1;
          if (!blocked && this.#blocked === 1) space.full(error);
          blocked = true;
          await this.#pauseBeforeRetry();
        }
      }
    } finally {
      if (blocked) this.#blocked -= 1;
      if (blocked && this.#blocked === 0 && !this.#hartEnded) space?.resumed();
    }
  }

  async #pauseBeforeRetry(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, SPACE_RETRY_MILLISECONDS);
    await Promise.race([promise, this.#whenRetry.promise]);
    clearTimeout(timer);
  }

  #deliver(): void {
    let delivered = 0;
    while (delivered < this.#waiting.length && this.#completions.push(this.#waiting[delivered]!)) delivered += 1;
    if (delivered === 0) return;
    this.#waiting.splice(0, delivered);
    this.#parts.hartBell.ring();
  }
}

async function perform(disk: Disk, record: DiskRecord, memory: SharedArrayBuffer): Promise<void> {
  switch (record.kind) {
    case 'read':
      if (record.atMoment === true && disk instanceof LiveDisk) {
        return await disk.readAtMoment(record.offset, views(record, memory));
      }
      return await disk.read(record.offset, views(record, memory));
    case 'write':
      return await disk.write(record.offset, views(record, memory));
    case 'flush':
      return await disk.flush();
    case 'discard':
      return await disk.discard(record.offset, record.length);
    case 'write-zeroes':
      return await disk.writeZeroes(record.offset, record.length);
    default:
      return assertNever(record.kind, 'disk request');
  }
}

function views(record: DiskRecord, memory: SharedArrayBuffer): Uint8Array[] {
  const total = record.segments.reduce((sum, segment) => sum + segment.length, 0);
  if (total !== record.length) throw new AfterimageError('internal', 'The segments of a request do not add up');
  return record.segments.map(({ address, length }) => {
    if (!(address >= 0 && length >= 0 && address + length <= memory.byteLength)) {
      throw new AfterimageError('internal', 'A disk request points outside machine memory', { address, length });
    }
    return new Uint8Array(memory, address, length);
  });
}
