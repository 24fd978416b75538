// L1 and L2 entries, bit by bit (QEMU docs/interop/qcow2.rst, "Cluster mapping" and "Extended L2 Entries").
// A cluster is seen as *units*: 32 subclusters with extended L2 entries, otherwise one unit, the cluster itself.
import type { Header } from './header.ts';

/** What one L2 entry says of its guest cluster. */
export interface ClusterEntry {
  /** Host offset of the cluster's data or preallocation; 0 when it has none. Of a compressed one, where its bytes begin. */
  readonly host: number;
  /** The host cluster is referred to by nothing else and may be written in place. */
  readonly copied: boolean;
  /** Bit per unit: its data is in the host cluster. */
  readonly allocated: number;
  /** Bit per unit: it reads as zeroes, whatever the backing file holds. */
  readonly zero: number;
  /** Bytes that a compressed cluster may occupy from `host`; 0 when it is not compressed. */
  readonly compressedLength: number;
}

export const UNALLOCATED: ClusterEntry = { host: 0, copied: false, allocated: 0, zero: 0, compressedLength: 0 };

/** What the entries of one image look like. */
export interface EntryShape {
  readonly version: 2 | 3;
  readonly clusterSize: number;
  readonly clusterBits: number;
  readonly extended: boolean;
  readonly entryBytes: number;
  readonly entries: number;
  /** Bytes of a unit. */
  readonly unit: number;
  readonly units: number;
  /** All units of a cluster. */
  readonly all: number;
}

export function entryShape(header: Header): EntryShape {
  const units = header.extendedL2 ? 32 : 1;
  const entryBytes = header.extendedL2 ? 16 : 8;
  return {
    version: header.version,
    clusterSize: header.clusterSize,
    clusterBits: header.clusterBits,
    extended: header.extendedL2,
    entryBytes,
    entries: header.clusterSize / entryBytes,
    unit: header.clusterSize / units,
    units,
    all: units === 32 ? 0xffffffff : 1,
  };
}

/** The bits of units `first..last`. */
export function unitBits(first: number, last: number): number {
  const count = last - first + 1;
  return count === 32 ? 0xffffffff : (((1 << count) - 1) << first) >>> 0;
}

const COPIED = 0x80000000;
const COMPRESSED = 0x40000000;
/** Bits 56-61 of a standard descriptor and 1-8: reserved. */
const RESERVED_HIGH = 0x3f000000;
const RESERVED_LOW = 0x1fe;
const OFFSET_HIGH = 0x00ffffff;
const OFFSET_LOW = 0xfffffe00;
const ZERO = 1;

/** Whether the L2 entry at `at` says nothing: most entries of an overlay. */
export function isEmptyEntry(view: DataView, at: number, shape: EntryShape): boolean {
  if (view.getInt32(at) !== 0 || view.getInt32(at + 4) !== 0) return false;
  return !shape.extended || (view.getInt32(at + 8) === 0 && view.getInt32(at + 12) === 0);
}

/** Decodes the L2 entry at `at`, or says what is wrong with it. The host offset is still to be checked against the file. */
export function decodeEntry(view: DataView, at: number, shape: EntryShape): ClusterEntry | string {
  const high = view.getUint32(at);
  const low = view.getUint32(at + 4);
  if ((high & COMPRESSED) !== 0) return decodeCompressed(high, low, shape);
  if ((high & RESERVED_HIGH) !== 0 || (low & RESERVED_LOW) !== 0) return 'An L2 entry has reserved bits set';
  const host = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
  if (host % shape.clusterSize !== 0) return 'An L2 entry points into a cluster';
  const copied = (high & COPIED) !== 0 && host !== 0;
  const zeroFlag = (low & ZERO) !== 0;
  if (!shape.extended) {
    if (zeroFlag && shape.version < 3) return 'A zero cluster in a version that has none';
    if (!zeroFlag && host === 0) return UNALLOCATED;
    return { host, copied, allocated: zeroFlag ? 0 : 1, zero: zeroFlag ? 1 : 0, compressedLength: 0 };
  }
  if (zeroFlag) return 'A zero flag beside subclusters';
  const zero = view.getUint32(at + 8);
  const allocated = view.getUint32(at + 12);
  if ((zero & allocated) !== 0) return 'A subcluster is both allocated and zero';
  if (allocated !== 0 && host === 0) return 'Subclusters are allocated without a cluster';
  return { host, copied, allocated, zero, compressedLength: 0 };
}

const SECTOR = 512;

function decodeCompressed(high: number, low: number, shape: EntryShape): ClusterEntry | string {
  if ((high & COPIED) !== 0) return 'A compressed cluster cannot be written in place';
  const descriptor = (BigInt(high & 0x3fffffff) << 32n) | BigInt(low);
  const offsetBits = BigInt(compressedOffsetBits(shape));
  const host = descriptor & ((1n << offsetBits) - 1n);
  if (host >> 53n !== 0n) return 'A compressed cluster lies past any file';
  const sectors = Number(descriptor >> offsetBits) + 1;
  const at = Number(host);
  return { host: at, copied: false, allocated: 0, zero: 0, compressedLength: sectors * SECTOR - (at % SECTOR) };
}

/** Bits of a compressed descriptor that hold the offset; the rest counts sectors. */
function compressedOffsetBits(shape: EntryShape): number {
  return 62 - (shape.clusterBits - 8);
}

/** Encodes an entry that is not compressed. */
export function encodeEntry(view: DataView, at: number, entry: ClusterEntry, shape: EntryShape): void {
  const high = Math.floor(entry.host / 2 ** 32) + (entry.copied ? COPIED : 0);
  const zeroFlag = !shape.extended && entry.zero !== 0 ? ZERO : 0;
  view.setUint32(at, high);
  view.setUint32(at + 4, ((entry.host >>> 0) | zeroFlag) >>> 0);
  if (!shape.extended) return;
  view.setUint32(at + 8, entry.zero);
  view.setUint32(at + 12, entry.allocated);
}

/** Encodes a compressed cluster of `length` bytes at `host`. */
export function encodeCompressed(view: DataView, at: number, host: number, length: number, shape: EntryShape): void {
  const sectors = Math.ceil(((host % SECTOR) + length) / SECTOR) - 1;
  const descriptor = (BigInt(sectors) << BigInt(compressedOffsetBits(shape))) | BigInt(host) | (1n << 62n);
  view.setBigUint64(at, descriptor);
  if (shape.extended) view.setBigUint64(at + 8, 0n);
}

export interface TableEntry {
  /** Host offset of the L2 table; 0 when there is none. */
  readonly host: number;
  readonly copied: boolean;
}

/** Decodes an L1 entry, or says what is wrong with it. */
export function decodeTableEntry(view: DataView, at: number, clusterSize: number): TableEntry | string {
  const high = view.getUint32(at);
  const low = view.getUint32(at + 4);
  if ((high & 0x7f000000) !== 0 || (low & 0x1ff) !== 0) return 'An L1 entry has reserved bits set';
  const host = (high & OFFSET_HIGH) * 2 ** 32 + low;
  if (host % clusterSize !== 0) return 'An L1 entry points into a cluster';
  return { host, copied: (high & COPIED) !== 0 && host !== 0 };
}

export function encodeTableEntry(view: DataView, at: number, entry: TableEntry): void {
  view.setUint32(at, Math.floor(entry.host / 2 ** 32) + (entry.copied ? COPIED : 0));
  view.setUint32(at + 4, entry.host >>> 0);
}
