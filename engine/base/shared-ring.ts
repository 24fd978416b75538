// Rings in shared memory between exactly one producer thread and one consumer thread. They carry bytes or records and
// never wait: who wants to sleep until something changes uses a doorbell (engine/host/doorbell.ts).
//
// Positions count bytes since the beginning modulo 2^32, so `tail - head` is the fill level whatever has wrapped. The
// producer alone stores the tail, after the bytes; the consumer alone stores the head, after it has copied them out.
// Atomics are sequentially consistent, so a side that sees the new position also sees what was done before it.
import { AfterimageError } from './errors.ts';

/** One cache line per position: the two threads would otherwise take it from each other at every access. */
const LINE = 64;
const HEAD = 0;
const TAIL = LINE / 4;
const HEADER = 2 * LINE;

const LARGEST = 2 ** 30;
const SMALLEST = 8;

/** Below this many bytes a loop is quicker than making two views. */
const FEW = 24;

/** Bytes through shared memory, one producer thread, one consumer thread. */
export class SharedRing {
  readonly buffer: SharedArrayBuffer;
  /** Bytes. */
  readonly capacity: number;
  readonly #positions: Int32Array;
  readonly #data: Uint8Array;
  readonly #mask: number;

  /** Bytes of shared memory that a ring of this capacity occupies. */
  static sizeFor(capacity: number): number {
    return HEADER + capacity;
  }

  /** A new ring in memory of its own; the other thread makes its end with `SharedRing.over(ring.buffer)`. */
  static create(capacity: number): SharedRing {
    checkCapacity(capacity);
    return new SharedRing(new SharedArrayBuffer(SharedRing.sizeFor(capacity)));
  }

  /** The ring that fills the whole of `buffer`. */
  static over(buffer: SharedArrayBuffer): SharedRing {
    return new SharedRing(buffer);
  }

  private constructor(buffer: SharedArrayBuffer) {
    this.capacity = buffer.byteLength - HEADER;
    checkCapacity(this.capacity);
    this.buffer = buffer;
    this.#positions = new Int32Array(buffer, 0, HEADER / 4);
    this.#data = new Uint8Array(buffer, HEADER, this.capacity);
    this.#mask = this.capacity - 1;
  }

  /** Bytes that can be read now. Exact for the consumer; for the producer an upper bound. */
  get available(): number {
    return (Atomics.load(this.#positions, TAIL) - Atomics.load(this.#positions, HEAD)) >>> 0;
  }

  /** Bytes that can be written now. Exact for the producer; for the consumer an upper bound. */
  get room(): number {
    return this.capacity - this.available;
  }

  /** Producer: as many of `from`'s first bytes as fit; returns how many. */
  write(from: Uint8Array): number {
    const length = Math.min(from.length, this.room);
    if (length === 0) return 0;
    const tail = Atomics.load(this.#positions, TAIL);
    this.#put(tail, from, length);
    Atomics.store(this.#positions, TAIL, (tail + length) | 0);
    return length;
  }

  /** Producer: both parts one after the other, visible at once, or nothing; returns whether they fitted. */
  writeBoth(first: Uint8Array, second: Uint8Array): boolean {
    const length = first.length + second.length;
    if (length > this.room) return false;
    const tail = Atomics.load(this.#positions, TAIL);
    this.#put(tail, first, first.length);
    this.#put((tail + first.length) | 0, second, second.length);
    Atomics.store(this.#positions, TAIL, (tail + length) | 0);
    return true;
  }

  /** Consumer: the next bytes, up to `into.length`; returns how many. */
  read(into: Uint8Array): number {
    const length = this.peek(into);
    if (length > 0) this.skip(length);
    return length;
  }

  /** Consumer: as `read`, and the bytes stay. */
  peek(into: Uint8Array): number {
    const length = Math.min(into.length, this.available);
    if (length === 0) return 0;
    const start = Atomics.load(this.#positions, HEAD) & this.#mask;
    const data = this.#data;
    if (length <= FEW) {
      for (let i = 0; i < length; i++) into[i] = data[(start + i) & this.#mask]!;
      return length;
    }
    const first = Math.min(length, this.capacity - start);
    into.set(data.subarray(start, start + first), 0);
    if (first < length) into.set(data.subarray(0, length - first), first);
    return length;
  }

  /** Consumer: drops the next `length` bytes, which must be available. */
  skip(length: number): void {
    if (length > this.available) {
      throw new AfterimageError('internal', 'A ring was asked to skip more than it holds', { length });
    }
    Atomics.store(this.#positions, HEAD, (Atomics.load(this.#positions, HEAD) + length) | 0);
  }

  #put(position: number, from: Uint8Array, length: number): void {
    const start = position & this.#mask;
    const data = this.#data;
    if (length <= FEW) {
      for (let i = 0; i < length; i++) data[(start + i) & this.#mask] = from[i]!;
      return;
    }
    const first = Math.min(length, this.capacity - start);
    data.set(first === from.length ? from : from.subarray(0, first), start);
    if (first < length) data.set(from.subarray(first, length), 0);
  }
}

const LENGTH_BYTES = 4;

/** Whole records through a ring: each push is one shift on the other side. */
export class RecordRing {
  readonly #ring: SharedRing;
  readonly #length = new Uint8Array(LENGTH_BYTES);
  readonly #lengthView = new DataView(this.#length.buffer);
  #scratch: Uint8Array<ArrayBuffer> = new Uint8Array(256);

  static create(capacity: number): RecordRing {
    return new RecordRing(SharedRing.create(capacity));
  }

  static over(buffer: SharedArrayBuffer): RecordRing {
    return new RecordRing(SharedRing.over(buffer));
  }

  private constructor(ring: SharedRing) {
    this.#ring = ring;
  }

  get buffer(): SharedArrayBuffer {
    return this.#ring.buffer;
  }

  /** Bytes of the longest record that an empty ring takes. */
  get longest(): number {
    return this.#ring.capacity - LENGTH_BYTES;
  }

  get empty(): boolean {
    return this.#ring.available === 0;
  }

  /** Producer: false, and nothing changed, when there is no room now. A record longer than `longest` is `usage`. */
  push(record: Uint8Array): boolean {
    if (record.length > this.longest) {
      throw new AfterimageError('usage', 'A record is longer than its ring', { length: record.length });
    }
    this.#lengthView.setUint32(0, record.length, true);
    return this.#ring.writeBoth(this.#length, record);
  }

  /** Consumer: the next record, undefined when there is none. Its bytes are valid until the next `shift`. */
  shift(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#ring.available === 0) return undefined;
    this.#ring.read(this.#length);
    const length = this.#lengthView.getUint32(0, true);
    // A record becomes visible whole, so less than its length means that a second producer or consumer exists.
    if (length > this.#ring.available) {
      throw new AfterimageError('internal', 'A record ring lost its framing', { length });
    }
    if (length > this.#scratch.length) this.#scratch = new Uint8Array(length);
    const record = this.#scratch.subarray(0, length);
    this.#ring.read(record);
    return record;
  }
}

function checkCapacity(capacity: number): void {
  const isPowerOfTwo = capacity >= SMALLEST && capacity <= LARGEST && (capacity & (capacity - 1)) === 0;
  if (!isPowerOfTwo) {
    throw new AfterimageError('usage', 'The capacity of a ring must be a power of two from 8 to 2^30', { capacity });
  }
}
