// Disk requests and completions as records in shared rings, little-endian:
//
//   request     0 tag u32, 4 disk u16, 6 kind u8, 7 1 for a read of the disk as at the moment, 8 offset f64, 16 length f64, 24 segments u32, 28 zero u32,
//               then for each segment: address in machine memory f64, length f64
//   moment      as a request with kind 255 and nothing else: what comes after it is new, what came before is pending (C6)
//   completion  0 tag u32, 4 status u8
//   resize      0 disk u32, 4 255 u8, 5 zero, 8 size f64; on the way of completions
//
// Both ends are ours, in one process; a record that breaks this is a mistake of ours, not hostile input.
import { machineAddress } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { BlockRequest, BlockRequestKind, BlockStatus } from '../devices/virtio/block/backend.ts';

const KINDS: readonly BlockRequestKind[] = ['read', 'write', 'flush', 'discard', 'write-zeroes'];
const STATUSES: readonly BlockStatus[] = ['ok', 'io-error', 'unsupported'];

const REQUEST_HEADER = 32;
const SEGMENT = 16;
const COMPLETION = 8;

/** Segments in one record. Longer requests travel in pieces; at least 512 so that a piece holds a whole sector. */
export const MOST_SEGMENTS = 1024;

export const LONGEST_REQUEST = REQUEST_HEADER + MOST_SEGMENTS * SEGMENT;

/** A request, or a piece of one, on its way. `id` stays behind: only the device needs it. */
export interface DiskRecord extends Omit<BlockRequest, 'id'> {
  /** Unique among the records in flight. */
  readonly tag: number;
  /** Index of the disk. */
  readonly disk: number;
  /** A read of the disk as it was at the last moment (C10), not as it is now. */
  readonly atMoment?: boolean;
}

const MOMENT = 255;

/** The mark of a checkpoint's moment in the stream of requests. */
export function encodeMoment(): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(REQUEST_HEADER);
  record[6] = MOMENT;
  return record;
}

export function isMoment(record: Uint8Array): boolean {
  return record[6] === MOMENT;
}

export function encodeRequest(request: DiskRecord): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(REQUEST_HEADER + request.segments.length * SEGMENT);
  const view = new DataView(record.buffer);
  view.setUint32(0, request.tag, true);
  view.setUint16(4, request.disk, true);
  view.setUint8(6, KINDS.indexOf(request.kind));
  view.setUint8(7, request.atMoment === true ? 1 : 0);
  view.setFloat64(8, request.offset, true);
  view.setFloat64(16, request.length, true);
  view.setUint32(24, request.segments.length, true);
  request.segments.forEach((segment, index) => {
    view.setFloat64(REQUEST_HEADER + index * SEGMENT, segment.address, true);
    view.setFloat64(REQUEST_HEADER + index * SEGMENT + 8, segment.length, true);
  });
  return record;
}

export function decodeRequest(record: Uint8Array): DiskRecord {
  const view = viewOf(record, REQUEST_HEADER);
  const kind = KINDS[view.getUint8(6)];
  const count = view.getUint32(24, true);
  if (kind === undefined || record.length !== REQUEST_HEADER + count * SEGMENT) throw malformed(record);
  const segments = Array.from({ length: count }, (_, index) => ({
    address: machineAddress(view.getFloat64(REQUEST_HEADER + index * SEGMENT, true)),
    length: view.getFloat64(REQUEST_HEADER + index * SEGMENT + 8, true),
  }));
  return {
    tag: view.getUint32(0, true),
    disk: view.getUint16(4, true),
    kind,
    offset: view.getFloat64(8, true),
    length: view.getFloat64(16, true),
    segments,
    ...(view.getUint8(7) === 1 ? { atMoment: true } : {}),
  };
}

export interface Completion {
  readonly tag: number;
  readonly status: BlockStatus;
}

export function encodeCompletion(completion: Completion): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(COMPLETION);
  const view = new DataView(record.buffer);
  view.setUint32(0, completion.tag, true);
  view.setUint8(4, STATUSES.indexOf(completion.status));
  return record;
}

export function decodeCompletion(record: Uint8Array): Completion {
  const view = viewOf(record, COMPLETION);
  const status = STATUSES[view.getUint8(4)];
  if (status === undefined) throw malformed(record);
  return { tag: view.getUint32(0, true), status };
}

const RESIZE = 255;

/** A disk has got larger. */
export interface DiskResize {
  readonly disk: number;
  /** In bytes. */
  readonly size: number;
}

export function encodeResize({ disk, size }: DiskResize): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(2 * COMPLETION);
  const view = new DataView(record.buffer);
  view.setUint32(0, disk, true);
  view.setUint8(4, RESIZE);
  view.setFloat64(8, size, true);
  return record;
}

/** Undefined for a completion. */
export function decodeResize(record: Uint8Array): DiskResize | undefined {
  if (record[4] !== RESIZE) return undefined;
  const view = viewOf(record, 2 * COMPLETION);
  return { disk: view.getUint32(0, true), size: view.getFloat64(8, true) };
}

/** The worse of two results: what a request made of several pieces reports. */
export function worse(a: BlockStatus, b: BlockStatus): BlockStatus {
  if (a === 'io-error' || b === 'io-error') return 'io-error';
  return a === 'unsupported' ? a : b;
}

function viewOf(record: Uint8Array, least: number): DataView {
  if (record.length < least) throw malformed(record);
  return new DataView(record.buffer, record.byteOffset, record.byteLength);
}

function malformed(record: Uint8Array): AfterimageError {
  return new AfterimageError('internal', 'A disk record is malformed', { length: record.length });
}
