// The hart's end of the disks: virtio-blk takes requests from the guest and submits them here; the I/O thread
// (disk-server.ts), where the files are, runs them. Requests and completions travel in two bounded rings; data does not
// travel at all: the I/O thread reads and writes the pinned frames in the shared machine memory.
import { machineAddress } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import { RecordRing } from '../base/shared-ring.ts';
import type { BlockBackend, BlockRequest, BlockStatus } from '../devices/virtio/block/backend.ts';
import type { MemorySegment } from '../memory/guest-memory.ts';
import type { ReadAgain } from '../memory/machine-memory.ts';
import {
  type Completion,
  type DiskRecord,
  decodeCompletion,
  decodeResize,
  encodeMoment,
  encodeRequest,
  MOST_SEGMENTS,
  worse,
} from './disk-protocol.ts';
import type { Doorbell } from './doorbell.ts';

/** Room for eight of the longest requests, or a thousand usual ones of a few segments. */
const REQUEST_RING = 128 * 1024;
const COMPLETION_RING = 16 * 1024;
/**
 * A poll that took so many completions may have made room that the I/O thread waits for, and tells it. A full ring
 * holds more than a thousand, so a poll that follows a full ring always takes more than this.
 */
const MANY_COMPLETIONS = 256;
/** The smallest unit of a disk: a piece of a longer request ends at a multiple of it. */
const SECTOR = 512;

export interface DiskBuffers {
  readonly requests: SharedArrayBuffer;
  readonly completions: SharedArrayBuffer;
}

export function createDiskBuffers(): DiskBuffers {
  return { requests: RecordRing.create(REQUEST_RING).buffer, completions: RecordRing.create(COMPLETION_RING).buffer };
}

export interface DiskShape {
  /** In bytes. */
  readonly size: number;
  readonly readonly: boolean;
}

/** How a request that was pending at a moment has ended. */
export interface PendingResult {
  /** Index of the disk. */
  readonly disk: number;
  /** The request's number on its device. */
  readonly request: number;
  readonly status: BlockStatus;
}

/** A checkpoint's moment as the hart's end of the disks knows it. */
export interface DiskMoment {
  /** Requests that were issued and not completed. */
  readonly pending: number;
  /** Those of them that are not completed yet. */
  readonly left: number;
  /** Of the others, how they ended. */
  readonly results: readonly PendingResult[];
}

/** Prepares a read that is made again for pages that the machine has written meanwhile (C10); undefined: not needed. */
export type Reissue = (segments: readonly MemorySegment[]) => ReadAgain | undefined;

interface Operation {
  readonly disk: number;
  readonly request: BlockRequest;
  readonly done: (status: BlockStatus) => void;
  pieces: number;
  status: BlockStatus;
}

/** All disks of a machine, on the hart thread. */
export class DiskLink {
  readonly #remote: readonly RemoteDisk[];
  readonly #requests: RecordRing;
  readonly #completions: RecordRing;
  readonly #ioBell: Doorbell;
  readonly #operations = new Map<number, Operation>();
  /** Encoded requests that found no room in the ring, oldest first. Bounded by the queues of the devices. */
  readonly #waiting: Uint8Array[] = [];
  #nextTag = 0;
  /** The open moment's pending operations. */
  #pendingAtMoment: Set<Operation> | undefined;
  #results: PendingResult[] = [];
  #momentPending = 0;
  #reissue: Reissue | undefined;

  constructor(buffers: DiskBuffers, ioBell: Doorbell, shapes: readonly DiskShape[]) {
    this.#requests = RecordRing.over(buffers.requests);
    this.#completions = RecordRing.over(buffers.completions);
    this.#ioBell = ioBell;
    this.#remote = shapes.map((shape, index) => new RemoteDisk(this, index, shape));
  }

  get disks(): readonly BlockBackend[] {
    return this.#remote;
  }

  /** Records that the I/O thread has not completed. */
  get inFlight(): number {
    return this.#operations.size;
  }

  /**
   * Divides the stream of requests here (C6). In the pause of a checkpoint: costs a few microseconds whatever the disks
   * do. The I/O thread learns of it when it comes to this place in the ring, where `announceMoment` sends it: waking a
   * thread may cost this one its processor for a while.
   */
  beginMoment(reissue?: Reissue): void {
    this.#reissue = reissue;
    this.#pendingAtMoment = new Set(this.#operations.values());
    this.#momentPending = this.#pendingAtMoment.size;
    this.#results = [];
    this.#waiting.push(encodeMoment());
    this.#fill();
  }

  announceMoment(): void {
    this.#ioBell.ring();
  }

  /** Whether something that changes a block is in flight behind a read of it: the read must not be made again (C11). */
  get readsBeforeWrites(): boolean {
    const operations = [...this.#operations.values()];
    return operations.some(({ disk, request: { kind, offset, length } }, index) => {
      if (kind !== 'read') return false;
      return operations.slice(index + 1).some(({ disk: on, request: later }) => {
        const changes = later.kind !== 'read' && later.kind !== 'flush';
        return on === disk && changes && later.offset < offset + length && offset < later.offset + later.length;
      });
    });
  }

  /** The last moment. */
  get moment(): DiskMoment {
    const left = this.#pendingAtMoment?.size ?? 0;
    return { pending: this.#momentPending, left, results: this.#results };
  }

  submit(disk: number, request: BlockRequest, done: (status: BlockStatus) => void): void {
    this.#send({ disk, request, done, pieces: 0, status: 'ok' }, request);
  }

  #send(operation: Operation, request: BlockRequest, atMoment = false): void {
    const { disk } = operation;
    const pieces = inPieces(request);
    operation.pieces = pieces.length;
    for (const piece of pieces) {
      const tag = this.#takeTag();
      this.#operations.set(tag, operation);
      this.#waiting.push(encodeRequest({ ...piece, tag, disk, atMoment }));
    }
    this.#push();
  }

  /** Calls `done` of what has completed, and sends what waited for room. To be called after the I/O thread has rung. */
  poll(): void {
    let taken = 0;
    for (let record = this.#completions.shift(); record !== undefined; record = this.#completions.shift()) {
      taken += 1;
      const resize = decodeResize(record);
      if (resize === undefined) this.#complete(decodeCompletion(record));
      else this.#remote[resize.disk]?.resize(resize.size);
    }
    if (taken > MANY_COMPLETIONS) this.#ioBell.ring();
    this.#push();
  }

  #complete(completion: Completion): void {
    const operation = this.#operations.get(completion.tag);
    if (operation === undefined) {
      throw new AfterimageError('internal', 'A disk request completed twice', { tag: completion.tag });
    }
    this.#operations.delete(completion.tag);
    operation.pieces -= 1;
    operation.status = worse(operation.status, completion.status);
    if (operation.pieces > 0) return;
    const pending = this.#pendingAtMoment?.has(operation) === true;
    if (pending && operation.request.kind === 'read' && operation.status === 'ok') {
      const again = this.#reissue?.(operation.request.segments);
      if (again !== undefined) {
        this.#readAgain(operation, again);
        return;
      }
    }
    this.#end(operation);
  }

  #readAgain(operation: Operation, again: ReadAgain): void {
    const done = (status: BlockStatus) => {
      again.ended(status === 'ok');
      this.#end(operation);
    };
    const { disk, request } = operation;
    this.#send({ disk, request, done, pieces: 0, status: 'ok' }, { ...request, segments: again.segments }, true);
  }

  #end(operation: Operation): void {
    const { disk, request, status } = operation;
    if (this.#pendingAtMoment?.delete(operation)) this.#results.push({ disk, request: request.id, status });
    operation.done(status);
  }

  #push(): void {
    if (this.#fill()) this.#ioBell.ring();
  }

  /** False when nothing waits, or the ring has no room. */
  #fill(): boolean {
    let pushed = 0;
    while (pushed < this.#waiting.length && this.#requests.push(this.#waiting[pushed]!)) pushed += 1;
    this.#waiting.splice(0, pushed);
    return pushed > 0;
  }

  /** A number that no record in flight has: numbers come around after 2^32 records. */
  #takeTag(): number {
    while (this.#operations.has(this.#nextTag)) this.#nextTag = (this.#nextTag + 1) >>> 0;
    const tag = this.#nextTag;
    this.#nextTag = (tag + 1) >>> 0;
    return tag;
  }
}

/** One disk as the hart's devices see it. `done` is called by a later `DiskLink.poll`. */
class RemoteDisk implements BlockBackend {
  readonly readonly: boolean;
  readonly #link: DiskLink;
  readonly #index: number;
  #size: number;
  #whenResized: (size: number) => void = () => {};

  constructor(link: DiskLink, index: number, shape: DiskShape) {
    this.#link = link;
    this.#index = index;
    this.#size = shape.size;
    this.readonly = shape.readonly;
  }

  get size(): number {
    return this.#size;
  }

  whenResized(listener: (size: number) => void): void {
    this.#whenResized = listener;
  }

  resize(size: number): void {
    this.#size = size;
    this.#whenResized(size);
  }

  submit(request: BlockRequest, done: (status: BlockStatus) => void): void {
    this.#link.submit(this.#index, request, done);
  }
}

type Piece = Omit<DiskRecord, 'tag' | 'disk'>;

/** The request itself, or several that make it up when it has more segments than a record holds. */
function inPieces(request: BlockRequest): Piece[] {
  if (request.segments.length <= MOST_SEGMENTS) return [request];
  const pieces: Piece[] = [];
  const rest = [...request.segments].reverse();
  let offset = request.offset;
  while (rest.length > 0) {
    const segments: MemorySegment[] = [];
    let length = 0;
    while (segments.length < MOST_SEGMENTS && rest.length > 0) {
      const segment = rest.pop()!;
      segments.push(segment);
      length += segment.length;
    }
    if (rest.length > 0) length -= giveBack(length % SECTOR, segments, rest);
    pieces.push({ kind: request.kind, offset, length, segments });
    offset += length;
  }
  return pieces;
}

/** Moves the last `count` bytes of `segments` back to `rest`, which is in reverse order; returns `count`. */
function giveBack(count: number, segments: MemorySegment[], rest: MemorySegment[]): number {
  let left = count;
  while (left > 0) {
    const last = segments.pop()!;
    const moved = Math.min(left, last.length);
    const kept = last.length - moved;
    if (kept > 0) segments.push({ address: last.address, length: kept });
    rest.push({ address: machineAddress(last.address + kept), length: moved });
    left -= moved;
  }
  return count;
}
