import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import { checksum } from './checksum.ts';
import {
  allZero,
  damaged,
  FORMAT_VERSION,
  fromHex,
  HEADER_BYTES,
  HEADER_MAGIC,
  type Hex,
  IDENTITY_BYTES,
  MOST_DISK_BYTES,
  MOST_FEATURE_NAMES,
  MOST_MEMORY_BYTES,
  MOST_SPACES,
  NAME_PATTERN,
  readName,
  readU64,
  SEAL_BYTES,
  sameBytes,
  toHex,
  viewOf,
  writeName,
  writeU64,
} from './format.ts';

/** A row of pages: the machine's memory, or a disk that an exported checkpoint brings along. */
export interface Space {
  readonly kind: 'memory' | 'disk';
  readonly name: string;
  readonly bytes: number;
}

/** Which checkpoint holds the pages that an incremental one lacks. */
export interface ParentLink {
  readonly id: Hex;
  readonly seal: Hex;
}

/** What is known about a checkpoint before its first page. */
export interface CheckpointHeader {
  readonly id: Hex;
  readonly machine: Hex;
  readonly parent?: ParentLink;
  /** Memory first. */
  readonly spaces: readonly Space[];
}

export type Feature = 'incremental' | 'zstd' | 'deflate' | 'disk data';
const FEATURES: readonly Feature[] = ['incremental', 'zstd', 'deflate', 'disk data'];
const FEATURE_NAME = /^[\x20-\x7e]{1,46}$/;

const SPACES_AT = 128;
const SPACE_BYTES = 32;
const FEATURE_BYTES = 48;
const CHECKSUM_AT = HEADER_BYTES - 4;
const KINDS = ['memory', 'disk'] as const;

/** @throws AfterimageError `usage` for a header that the format does not allow. */
export function encodeHeader(header: CheckpointHeader, codecs: ReadonlySet<Feature>): Uint8Array {
  checkSpaces(header.spaces, what => {
    throw new AfterimageError('usage', `A checkpoint cannot have such spaces: ${what}`);
  });
  const features = new Set<Feature>(codecs);
  if (header.parent !== undefined) features.add('incremental');
  if (header.spaces.length > 1) features.add('disk data');
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = viewOf(bytes);
  bytes.set(HEADER_MAGIC, 0);
  view.setUint16(8, FORMAT_VERSION, true);
  bytes[10] = features.size;
  bytes[11] = header.spaces.length;
  view.setUint32(12, PAGE_SIZE, true);
  bytes.set(fromHex(header.id, IDENTITY_BYTES), 32);
  bytes.set(fromHex(header.machine, IDENTITY_BYTES), 48);
  if (header.parent !== undefined) {
    bytes.set(fromHex(header.parent.id, IDENTITY_BYTES), 64);
    bytes.set(fromHex(header.parent.seal, SEAL_BYTES), 80);
  }
  let at = SPACES_AT;
  for (const space of header.spaces) {
    bytes[at] = KINDS.indexOf(space.kind);
    writeU64(view, at + 8, space.bytes);
    writeName(bytes.subarray(at + 16, at + 32), space.name);
    at += SPACE_BYTES;
  }
  for (const [bit, name] of FEATURES.entries()) {
    if (!features.has(name)) continue;
    bytes[16]! |= 1 << bit;
    bytes[at + 1] = bit;
    writeName(bytes.subarray(at + 2, at + FEATURE_BYTES), name);
    at += FEATURE_BYTES;
  }
  view.setUint32(CHECKSUM_AT, checksum(bytes.subarray(0, CHECKSUM_AT)), true);
  return bytes;
}

/**
 * @throws AfterimageError `corrupt` with `file`, `section` and `offset`; `unsupported` for a later version, with the
 * version, or for a feature that is not known here, with its name.
 */
export function decodeHeader(bytes: Uint8Array, file: string): CheckpointHeader & { readonly features: Set<Feature> } {
  const refuse = (what: string, offset: number): never => {
    throw damaged(what, { file, section: 'header', offset });
  };
  const view = viewOf(bytes);
  if (bytes.length !== HEADER_BYTES || !sameBytes(bytes.subarray(0, 8), HEADER_MAGIC)) {
    refuse('it does not begin like one', 0);
  }
  const version = view.getUint16(8, true);
  if (version !== FORMAT_VERSION) {
    const context = { file, section: 'header', offset: 8, found: version, newest: FORMAT_VERSION };
    throw new AfterimageError('unsupported', 'The checkpoint has a version that cannot be read', context);
  }
  if (view.getUint32(CHECKSUM_AT, true) !== checksum(bytes.subarray(0, CHECKSUM_AT))) {
    refuse('the checksum of its header is wrong', CHECKSUM_AT);
  }
  if (view.getUint32(12, true) !== PAGE_SIZE) refuse('its pages have an unknown size', 12);
  const names = bytes[10]!;
  const spaceCount = bytes[11]!;
  if (names > MOST_FEATURE_NAMES) refuse('it names too many features', 10);
  if (spaceCount === 0 || spaceCount > MOST_SPACES) refuse('it has no spaces or too many', 11);
  const namesAt = SPACES_AT + spaceCount * SPACE_BYTES;
  const features = readFeatures(bytes.subarray(0, namesAt + names * FEATURE_BYTES), namesAt, file, refuse);
  if (!allZero(bytes.subarray(88, SPACES_AT))) refuse('unused bytes of its header are used', 88);
  if (!allZero(bytes.subarray(namesAt + names * FEATURE_BYTES, CHECKSUM_AT))) {
    refuse('unused bytes of its header are used', namesAt + names * FEATURE_BYTES);
  }
  const spaces = Array.from({ length: spaceCount }, (_, index) => {
    const at = SPACES_AT + index * SPACE_BYTES;
    const kind = KINDS[bytes[at]!] ?? refuse('a space is of an unknown kind', at);
    const name = readName(bytes.subarray(at + 16, at + 32), NAME_PATTERN) ?? refuse('a space has a bad name', at + 16);
    if (!allZero(bytes.subarray(at + 1, at + 8))) refuse('unused bytes of a space are used', at + 1);
    return { kind, name, bytes: readU64(view, at + 8) };
  });
  checkSpaces(spaces, what => refuse(what, SPACES_AT));
  if (features.has('disk data') !== spaces.length > 1) refuse('its features do not fit its spaces', 16);
  const parent = { id: toHex(bytes.subarray(64, 80)), seal: toHex(bytes.subarray(80, 88)) };
  const incremental = features.has('incremental');
  if (!incremental && !allZero(bytes.subarray(64, 88))) refuse('it names a parent without having one', 64);
  return {
    id: toHex(bytes.subarray(32, 48)),
    machine: toHex(bytes.subarray(48, 64)),
    ...(incremental ? { parent } : {}),
    spaces,
    features,
  };
}

function readFeatures(
  bytes: Uint8Array,
  namesAt: number,
  file: string,
  refuse: (what: string, offset: number) => never,
): Set<Feature> {
  const names = new Map<number, string>();
  for (let at = namesAt; at < bytes.length; at += FEATURE_BYTES) {
    const name = readName(bytes.subarray(at + 2, at + FEATURE_BYTES), FEATURE_NAME);
    const bit = bytes[at + 1]!;
    if (bytes[at]! > 1 || bit > 63 || name === undefined) refuse('a feature is named badly', at);
    else if (bytes[at] === 0) names.set(bit, name);
  }
  const features = new Set<Feature>();
  for (let bit = 0; bit < 64; bit += 1) {
    if ((bytes[16 + (bit >> 3)]! & (1 << (bit & 7))) === 0) continue;
    const known = FEATURES[bit];
    if (known !== undefined) features.add(known);
    else {
      const feature = names.get(bit) ?? `bit ${bit}`;
      const context = { file, section: 'header', offset: 16, feature };
      throw new AfterimageError('unsupported', 'The checkpoint needs a feature that is not known here', context);
    }
  }
  return features;
}

function checkSpaces(spaces: readonly Space[], refuse: (what: string) => never): void {
  if (spaces.length === 0 || spaces.length > MOST_SPACES) refuse('there are none or too many');
  const names = new Set<string>();
  for (const [index, space] of spaces.entries()) {
    const { kind, name, bytes } = space;
    const most = kind === 'memory' ? MOST_MEMORY_BYTES : MOST_DISK_BYTES;
    if ((kind === 'memory') !== (index === 0)) refuse('memory is not the first space and the only one of its kind');
    if (!Number.isInteger(bytes) || bytes <= 0 || bytes > most) refuse('a space has an impossible size');
    if (kind === 'memory' && bytes % PAGE_SIZE !== 0) refuse('memory is not whole pages');
    if (!NAME_PATTERN.test(name) || names.has(name)) refuse('a space has a bad name or that of another');
    names.add(name);
  }
}
