// The stored form of persistent dirty bitmaps (QEMU docs/interop/qcow2.rst, "Bitmaps").
import { AfterimageError } from '../../base/errors.ts';
import { readU64, roundUp, viewOf, writeU64 } from './bytes.ts';
import { AUTOCLEAR_BITMAPS, hasBit } from './features.ts';
import { EXTENSION_BITMAPS, findExtension, type Header } from './header.ts';
import * as limits from './limits.ts';
import type { Storage } from './storage.ts';

const DURING = 'read bitmaps';
const ENTRY_BYTES = 24;
export const TYPE_DIRTY_TRACKING = 1;

const FLAG_IN_USE = 1;
const FLAG_AUTO = 2;
const FLAG_EXTRA_COMPATIBLE = 4;

export interface BitmapEntry {
  readonly name: string;
  readonly granularityBits: number;
  readonly table: { readonly offset: number; readonly entries: number };
  /** It was not saved: what it says must not be relied on. */
  readonly inUse: boolean;
  /** Every write is to be recorded in it. */
  readonly auto: boolean;
  /** It is of a kind that is not understood; kept, but neither read nor kept up. */
  readonly foreign: boolean;
  readonly extra: Uint8Array;
  /** Where the entry's 32-bit flags are in the file. */
  readonly flagsAt: number;
  readonly extraCompatible: boolean;
  readonly type: number;
}

export interface BitmapDirectory {
  readonly offset: number;
  readonly length: number;
  readonly entries: readonly BitmapEntry[];
  /** False when a program that knows nothing of bitmaps has changed the image since. */
  readonly consistent: boolean;
}

/** Reads the bitmap directory, or returns undefined when the image has none. Throws `corrupt` or `too-large`. */
export async function readBitmapDirectory(storage: Storage, header: Header): Promise<BitmapDirectory | undefined> {
  const extension = findExtension(header.extensions, EXTENSION_BITMAPS);
  const consistent = hasBit(header.autoclear, AUTOCLEAR_BITMAPS);
  if (extension === undefined) {
    if (consistent) throw storage.corrupt('Bitmaps are promised but there are none', 88, DURING);
    return undefined;
  }
  if (extension.length !== 24) throw storage.corrupt('The bitmaps extension has another length', 0, DURING);
  const view = viewOf(extension);
  const count = view.getUint32(0);
  const length = readU64(view, 8);
  const offset = readU64(view, 16);
  const at = header.headerLength;
  // Without the promise it may point anywhere: nothing of it is looked at.
  if (!consistent) return { offset, length: 0, entries: [], consistent };
  if (count === 0) throw storage.corrupt('The bitmap directory is empty', at, DURING);
  if (count > limits.MOST_BITMAPS || !(length <= limits.MOST_BITMAP_DIRECTORY_BYTES)) {
    throw new AfterimageError('too-large', 'The bitmap directory is too large', {
      file: storage.file.name,
      offset: at,
    });
  }
  storage.checkRange(offset, length, DURING, 'The bitmap directory');
  const bytes = await storage.readBytes(offset, length);
  const entries: BitmapEntry[] = [];
  let position = 0;
  for (let index = 0; index < count; index += 1) {
    const entry = parseEntry(storage, bytes, position, offset);
    if (entries.some(other => other.name === entry.name)) {
      throw storage.corrupt('Two bitmaps have one name', offset + position, DURING);
    }
    checkTable(storage, header, entry, offset + position);
    entries.push(entry);
    position += entryLength(entry);
  }
  if (position !== length) throw storage.corrupt('The bitmap directory has another length', offset, DURING);
  return { offset, length, entries, consistent };
}

function parseEntry(storage: Storage, bytes: Uint8Array, at: number, base: number): BitmapEntry {
  const refuse = (message: string) => storage.corrupt(message, base + at, DURING);
  if (at + ENTRY_BYTES > bytes.length) throw refuse('The bitmap directory runs past its end');
  const view = viewOf(bytes.subarray(at));
  const flags = view.getUint32(12);
  const type = view.getUint8(16);
  const granularityBits = view.getUint8(17);
  const nameLength = view.getUint16(18);
  const extraLength = view.getUint32(20);
  if (nameLength === 0 || nameLength > limits.MOST_BITMAP_NAME_BYTES) throw refuse('A bitmap has no proper name');
  if (at + ENTRY_BYTES + extraLength + nameLength > bytes.length) throw refuse('A bitmap runs past the directory');
  if (flags > 7) throw refuse('A bitmap has reserved flags set');
  if (granularityBits > 63) throw refuse('A bitmap has an impossible granularity');
  const nameAt = ENTRY_BYTES + extraLength;
  const name = new TextDecoder().decode(bytes.subarray(at + nameAt, at + nameAt + nameLength));
  const known =
    type === TYPE_DIRTY_TRACKING &&
    granularityBits >= limits.SMALLEST_GRANULARITY_BITS &&
    granularityBits <= limits.LARGEST_GRANULARITY_BITS;
  return {
    name,
    granularityBits,
    table: { offset: readU64(view, 0), entries: view.getUint32(8) },
    inUse: (flags & FLAG_IN_USE) !== 0,
    auto: (flags & FLAG_AUTO) !== 0,
    foreign: !known || (extraLength > 0 && (flags & FLAG_EXTRA_COMPATIBLE) === 0),
    extra: bytes.slice(at + ENTRY_BYTES, at + nameAt),
    flagsAt: base + at + 12,
    extraCompatible: (flags & FLAG_EXTRA_COMPATIBLE) !== 0,
    type,
  };
}

/** Bytes of a bitmap of a disk of `size` bytes. */
export function bitmapBytes(size: number, granularityBits: number): number {
  return Math.ceil(Math.ceil(size / 2 ** granularityBits) / 8);
}

function checkTable(storage: Storage, header: Header, entry: BitmapEntry, at: number): void {
  const { offset, entries } = entry.table;
  if (entries > 0) storage.checkRange(offset, entries * 8, DURING, 'A bitmap table');
  const needed = Math.ceil(bitmapBytes(header.size, entry.granularityBits) / header.clusterSize);
  // A bitmap that was not saved may be of an older size of the disk.
  if (!entry.foreign && !entry.inUse && entries !== needed) {
    throw storage.corrupt('A bitmap table has another size than its disk', at, DURING);
  }
}

/** Where one cluster of a bitmap is: in the file, or all zeroes or ones. */
export interface BitmapPart {
  readonly host: number;
  readonly ones: boolean;
}

export async function readBitmapTable(storage: Storage, entry: BitmapEntry): Promise<BitmapPart[]> {
  const { offset, entries } = entry.table;
  if (entries * 8 > limits.MOST_BITMAP_BYTES) {
    throw new AfterimageError('too-large', 'A bitmap table is too large', { file: storage.file.name, offset });
  }
  const view = viewOf(await storage.readBytes(offset, entries * 8));
  const parts: BitmapPart[] = [];
  for (let index = 0; index < entries; index += 1) {
    const high = view.getUint32(index * 8);
    const low = view.getUint32(index * 8 + 4);
    const host = (high & 0x00ffffff) * 2 ** 32 + ((low & 0xfffffe00) >>> 0);
    const ones = (low & 1) !== 0;
    if (high >>> 24 !== 0 || (low & 0x1fe) !== 0 || (ones && host !== 0)) {
      throw storage.corrupt('A bitmap table entry has reserved bits set', offset + index * 8, DURING);
    }
    if (host !== 0) storage.checkRange(host, 1, DURING, 'A bitmap table entry');
    parts.push({ host, ones });
  }
  return parts;
}

function entryLength(entry: Pick<BitmapEntry, 'name' | 'extra'>): number {
  return roundUp(ENTRY_BYTES + entry.extra.length + new TextEncoder().encode(entry.name).length, 8);
}

/** A directory as bytes, with the tables where `entries` say. */
export function encodeBitmapDirectory(entries: readonly BitmapEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + entryLength(entry), 0));
  const view = viewOf(bytes);
  let at = 0;
  for (const entry of entries) {
    const name = new TextEncoder().encode(entry.name);
    writeU64(view, at, entry.table.offset);
    view.setUint32(at + 8, entry.table.entries);
    view.setUint32(at + 12, bitmapFlags(entry));
    view.setUint8(at + 16, entry.type);
    view.setUint8(at + 17, entry.granularityBits);
    view.setUint16(at + 18, name.length);
    view.setUint32(at + 20, entry.extra.length);
    bytes.set(entry.extra, at + ENTRY_BYTES);
    bytes.set(name, at + ENTRY_BYTES + entry.extra.length);
    at += entryLength(entry);
  }
  return bytes;
}

/** The 32-bit flags of an entry as its fields say. */
export function bitmapFlags(entry: Pick<BitmapEntry, 'inUse' | 'auto' | 'extraCompatible'>): number {
  return (
    (entry.inUse ? FLAG_IN_USE : 0) | (entry.auto ? FLAG_AUTO : 0) | (entry.extraCompatible ? FLAG_EXTRA_COMPATIBLE : 0)
  );
}
