// The feature bits of qcow2 version 3: incompatible ones must be understood, compatible ones may be ignored, autoclear
// ones are cleared by a writer that does not keep what they promise.
import { AfterimageError } from '../../base/errors.ts';

export const INCOMPATIBLE_DIRTY = 0;
export const INCOMPATIBLE_CORRUPT = 1;
export const INCOMPATIBLE_DATA_FILE = 2;
export const INCOMPATIBLE_COMPRESSION = 3;
export const INCOMPATIBLE_EXTENDED_L2 = 4;
export const COMPATIBLE_LAZY_REFCOUNTS = 0;
export const AUTOCLEAR_BITMAPS = 0;

export const UNDERSTOOD_INCOMPATIBLE = [
  INCOMPATIBLE_DIRTY,
  INCOMPATIBLE_CORRUPT,
  INCOMPATIBLE_DATA_FILE,
  INCOMPATIBLE_COMPRESSION,
  INCOMPATIBLE_EXTENDED_L2,
];
export const KEPT_AUTOCLEAR = [AUTOCLEAR_BITMAPS];

export type FeatureType = 'incompatible' | 'compatible' | 'autoclear';
const TYPES: readonly FeatureType[] = ['incompatible', 'compatible', 'autoclear'];

export interface FeatureName {
  readonly type: FeatureType;
  readonly bit: number;
  readonly name: string;
}

const ENTRY_BYTES = 48;

/** The names that a file gives to feature bits; entries that make no sense are passed over, they are only names. */
export function parseFeatureNames(bytes: Uint8Array): FeatureName[] {
  const names: FeatureName[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const type = TYPES[bytes[at]!];
    const bit = bytes[at + 1]!;
    if (type === undefined || bit > 63) continue;
    const padded = bytes.subarray(at + 2, at + ENTRY_BYTES);
    const end = padded.indexOf(0);
    const name = new TextDecoder().decode(end < 0 ? padded : padded.subarray(0, end));
    names.push({ type, bit, name });
  }
  return names;
}

export function encodeFeatureNames(names: readonly FeatureName[]): Uint8Array {
  const bytes = new Uint8Array(names.length * ENTRY_BYTES);
  names.forEach(({ type, bit, name }, index) => {
    const at = index * ENTRY_BYTES;
    bytes[at] = TYPES.indexOf(type);
    bytes[at + 1] = bit;
    bytes.set(new TextEncoder().encode(name).subarray(0, ENTRY_BYTES - 2), at + 2);
  });
  return bytes;
}

export function hasBit(bits: bigint, bit: number): boolean {
  return ((bits >> BigInt(bit)) & 1n) === 1n;
}

export function withBit(bits: bigint, bit: number, set: boolean): bigint {
  const mask = 1n << BigInt(bit);
  return set ? bits | mask : bits & ~mask;
}

/** Throws `unsupported` when must-know bits are set that we do not know, with the file's own names for them. */
export function refuseUnknown(bits: bigint, names: readonly FeatureName[], file: string): void {
  const unknown: string[] = [];
  for (let bit = 0; bit < 64; bit += 1) {
    if (!hasBit(bits, bit) || UNDERSTOOD_INCOMPATIBLE.includes(bit)) continue;
    const named = names.find(entry => entry.type === 'incompatible' && entry.bit === bit);
    unknown.push(named === undefined ? `bit ${bit}` : `${named.name} (bit ${bit})`);
  }
  if (unknown.length === 0) return;
  const features = unknown.join(', ');
  throw new AfterimageError('unsupported', `The image needs features that are not known here: ${features}`, {
    file,
    offset: 72,
    during: 'read header',
    features,
  });
}

/** The autoclear bits that a writer may leave set. */
export function keptAutoclear(bits: bigint): bigint {
  let kept = 0n;
  for (const bit of KEPT_AUTOCLEAR) if (hasBit(bits, bit)) kept = withBit(kept, bit, true);
  return kept;
}
