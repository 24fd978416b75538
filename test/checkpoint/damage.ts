// Damages checkpoint files on purpose: anywhere, or in the fields that matter, with the checksums made right again.
import { checksum } from '../../engine/checkpoint/checksum.ts';
import type { Random } from '../contract/random.ts';

const HEADER = 4096;
const TRAILER = 64;
// Values at which bounds are wrong by one, signs turn, and sizes explode.
const VALUES = [
  0,
  1,
  2,
  15,
  16,
  17,
  63,
  64,
  255,
  4095,
  4096,
  4097,
  65_535,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 2,
  2 ** 32 - 1,
];

/** A damaged copy. */
export function damage(content: Uint8Array, random: Random): Uint8Array {
  let bytes = new Uint8Array(content);
  for (let count = 1 + random.below(3); count > 0; count -= 1) bytes = damageOnce(bytes, random);
  if (random.below(5) > 0) repair(bytes, random.below(4) > 0);
  return bytes;
}

function damageOnce(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer);
  const at = random.below(bytes.length);
  switch (random.below(8)) {
    case 0:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      return bytes.slice(0, at);
    case 2: {
      const longer = new Uint8Array(bytes.length + 1 + random.below(200));
      longer.set(bytes);
      return longer;
    }
    case 3: {
      // A piece moved elsewhere.
      const length = random.below(Math.min(200, bytes.length - at)) + 1;
      bytes.copyWithin(random.below(bytes.length - length + 1), at, at + length);
      return bytes;
    }
    case 4:
      return put(view, random.below(Math.min(400, bytes.length)), random);
    case 5:
      return put(view, bytes.length - 1 - random.below(Math.min(TRAILER, bytes.length)), random);
    default: {
      const places = fieldsOf(bytes);
      return put(view, places.length === 0 ? at : random.pick(places), random);
    }
  }
}

function put(view: DataView<ArrayBuffer>, at: number, random: Random): Uint8Array<ArrayBuffer> {
  const value = random.below(3) === 0 ? random.word() : random.pick(VALUES);
  if (random.below(3) > 0 && at + 4 <= view.byteLength) view.setUint32(at, value, true);
  else view.setUint8(at, value);
  return new Uint8Array(view.buffer);
}

interface Where {
  readonly table: number;
  readonly length: number;
}

function tableOf(bytes: Uint8Array): Where | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER + TRAILER) return undefined;
  const end = bytes.length - TRAILER;
  const table = view.getUint32(end + 16, true);
  const length = view.getUint32(end + 24, true);
  return table + length <= end && length % 48 === 0 ? { table, length } : undefined;
}

/** Offsets of fields of the section table and the page index. */
function fieldsOf(bytes: Uint8Array): number[] {
  const where = tableOf(bytes);
  if (where === undefined) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: number[] = [];
  for (let at = where.table; at < where.table + where.length; at += 48) {
    for (const field of [0, 16, 20, 24, 28, 32, 36]) fields.push(at + field);
    const offset = view.getUint32(at + 16, true);
    const length = view.getUint32(at + 24, true);
    if (offset + length > bytes.length) continue;
    for (let field = offset; field < offset + length; field += 4) fields.push(field);
  }
  return fields;
}

/** Makes the checksums of header, table and trailer right, and those of the sections too if asked for. */
function repair(bytes: Uint8Array, sections: boolean): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER + TRAILER) return;
  view.setUint32(HEADER - 4, checksum(bytes.subarray(0, HEADER - 4)), true);
  const end = bytes.length - TRAILER;
  const where = tableOf(bytes);
  if (where !== undefined) {
    for (let at = where.table; sections && at < where.table + where.length; at += 48) {
      const offset = view.getUint32(at + 16, true);
      const length = view.getUint32(at + 24, true);
      if (offset + length > bytes.length) continue;
      view.setUint32(at + 32, checksum(bytes.subarray(offset, offset + length)), true);
    }
    view.setUint32(end + 28, checksum(bytes.subarray(where.table, where.table + where.length)), true);
  }
  view.setUint32(end + 60, checksum(bytes.subarray(end, end + 60)), true);
}
