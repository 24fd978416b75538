// The superblock and the directory of a raw medium (FORMAT.md, "A raw medium"), as bytes.
import { checksum } from './checksum.ts';
import { damaged, fromHex, type Hex, IDENTITY_BYTES, readU64, sameBytes, toHex, viewOf, writeU64 } from './format.ts';

export const SUPERBLOCK_BYTES = 4096;
const SUPERBLOCK_MAGIC = Uint8Array.of(0x89, 0x41, 0x46, 0x52, 0x41, 0x57, 0x0d, 0x0a);
const SLOT_MAGIC = Uint8Array.of(0x89, 0x41, 0x46, 0x44, 0x49, 0x52, 0x0d, 0x0a);
const SLOT_HEADER_BYTES = 24;
const RAW_VERSION = 1;
const MOST_SLOT_BYTES = 16 * 2 ** 20;

export interface MediumShape {
  readonly bytes: number;
  readonly unit: number;
  readonly slotBytes: number;
}

export interface Extent {
  readonly first: number;
  readonly count: number;
}

export interface DirectoryEntry {
  readonly id: Hex;
  readonly bytes: number;
  readonly extents: readonly Extent[];
}

export interface Directory {
  readonly sequence: number;
  readonly entries: readonly DirectoryEntry[];
}

/** Units of the medium begin here. */
export function unitsStart({ unit, slotBytes }: MediumShape): number {
  return Math.ceil((SUPERBLOCK_BYTES + 2 * slotBytes) / unit) * unit;
}

export function unitCount(shape: MediumShape): number {
  return Math.floor((shape.bytes - unitsStart(shape)) / shape.unit);
}

function problemOf({ bytes, unit, slotBytes }: MediumShape): string | undefined {
  const power = unit >= 4096 && unit <= 2 ** 26 && (unit & (unit - 1)) === 0;
  if (!power) return 'its unit is impossible';
  if (slotBytes < 4096 || slotBytes > MOST_SLOT_BYTES || slotBytes % 4096 !== 0) return 'its directory is impossible';
  if (!Number.isSafeInteger(bytes) || bytes < unitsStart({ bytes, unit, slotBytes }) + unit) return 'it is too small';
  // Unit numbers are 32 bits, and the map of free units stays below 64 MiB.
  return bytes / unit > 2 ** 26 ? 'it has too many units' : undefined;
}

export function encodeSuperblock(shape: MediumShape): Uint8Array {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  const view = viewOf(bytes);
  bytes.set(SUPERBLOCK_MAGIC, 0);
  view.setUint16(8, RAW_VERSION, true);
  writeU64(view, 16, shape.bytes);
  view.setUint32(24, shape.unit, true);
  view.setUint32(28, shape.slotBytes, true);
  view.setUint32(SUPERBLOCK_BYTES - 4, checksum(bytes.subarray(0, SUPERBLOCK_BYTES - 4)), true);
  decodeSuperblock(bytes, shape.bytes, 'new medium');
  return bytes;
}

/** @throws AfterimageError `corrupt` */
export function decodeSuperblock(bytes: Uint8Array, mediumBytes: number, file: string): MediumShape {
  const refuse = (what: string, offset: number): never => {
    throw damaged(what, { file, section: 'superblock', offset });
  };
  const view = viewOf(bytes);
  if (!sameBytes(bytes.subarray(0, 8), SUPERBLOCK_MAGIC)) refuse('the medium holds no checkpoints', 0);
  if (view.getUint32(SUPERBLOCK_BYTES - 4, true) !== checksum(bytes.subarray(0, SUPERBLOCK_BYTES - 4))) {
    refuse('the checksum of the superblock is wrong', SUPERBLOCK_BYTES - 4);
  }
  if (view.getUint16(8, true) !== RAW_VERSION) refuse('the medium has a version that cannot be read', 8);
  const shape = { bytes: readU64(view, 16), unit: view.getUint32(24, true), slotBytes: view.getUint32(28, true) };
  const problem = problemOf(shape);
  if (problem !== undefined) refuse(`the medium is impossible: ${problem}`, 16);
  if (shape.bytes > mediumBytes) refuse('the medium is smaller than it says', 16);
  return shape;
}

/** The slot's bytes; undefined when the entries do not fit. */
export function encodeDirectory(directory: Directory, slotBytes: number): Uint8Array | undefined {
  const length = directory.entries.reduce((sum, entry) => sum + 28 + entry.extents.length * 8, 0);
  if (SLOT_HEADER_BYTES + length > slotBytes) return undefined;
  const bytes = new Uint8Array(SLOT_HEADER_BYTES + length);
  const view = viewOf(bytes);
  bytes.set(SLOT_MAGIC, 0);
  writeU64(view, 8, directory.sequence);
  view.setUint32(16, length, true);
  let at = SLOT_HEADER_BYTES;
  for (const { id, bytes: size, extents } of directory.entries) {
    bytes.set(fromHex(id, IDENTITY_BYTES), at);
    writeU64(view, at + 16, size);
    view.setUint32(at + 24, extents.length, true);
    at += 28;
    for (const { first, count } of extents) {
      view.setUint32(at, first, true);
      view.setUint32(at + 4, count, true);
      at += 8;
    }
  }
  view.setUint32(20, slotChecksum(bytes), true);
  return bytes;
}

/** What a slot holds, or why it holds nothing that can be used. */
export function decodeDirectory(slot: Uint8Array, shape: MediumShape): Directory | string {
  const view = viewOf(slot);
  if (!sameBytes(slot.subarray(0, 8), SLOT_MAGIC)) return 'it was never written';
  const length = view.getUint32(16, true);
  if (length > slot.length - SLOT_HEADER_BYTES) return 'it is longer than its slot';
  if (view.getUint32(20, true) !== slotChecksum(slot.subarray(0, SLOT_HEADER_BYTES + length))) {
    return 'its checksum is wrong';
  }
  const sequence = readU64(view, 8);
  const units = unitCount(shape);
  const used = new Uint8Array(units);
  const entries: DirectoryEntry[] = [];
  const ids = new Set<Hex>();
  const end = SLOT_HEADER_BYTES + length;
  for (let at = SLOT_HEADER_BYTES; at < end; ) {
    if (end - at < 28) return 'an entry is cut off';
    const id = toHex(slot.subarray(at, at + 16));
    const bytes = readU64(view, at + 16);
    const count = view.getUint32(at + 24, true);
    at += 28;
    if (count > (end - at) / 8) return 'an entry is cut off';
    const extents: Extent[] = [];
    let total = 0;
    for (let index = 0; index < count; index += 1, at += 8) {
      const extent = { first: view.getUint32(at, true), count: view.getUint32(at + 4, true) };
      if (extent.count === 0 || extent.first + extent.count > units) return 'an extent lies outside';
      for (let unit = extent.first; unit < extent.first + extent.count; unit += 1) {
        if (used[unit] === 1) return 'two extents overlap';
        used[unit] = 1;
      }
      extents.push(extent);
      total += extent.count;
    }
    if (ids.has(id)) return 'an identity is there twice';
    if (bytes > total * shape.unit) return 'a checkpoint is larger than its extents';
    ids.add(id);
    entries.push({ id, bytes, extents });
  }
  return sequence === Number.POSITIVE_INFINITY ? 'its sequence is impossible' : { sequence, entries };
}

/** Over everything but the checksum's own field. */
function slotChecksum(used: Uint8Array): number {
  return checksum(used.subarray(SLOT_HEADER_BYTES), checksum(used.subarray(0, 20)));
}
