// The header of a qcow2 file and its extensions (QEMU docs/interop/qcow2.rst, "Header"). Numbers are big-endian.
import { AfterimageError } from '../../base/errors.ts';
import type { HostFile } from '../disk.ts';
import { readU64, roundUp, viewOf } from './bytes.ts';
import * as features from './features.ts';
import * as limits from './limits.ts';

export const MAGIC = 0x514649fb;
export const VERSION_2_LENGTH = 72;
export const VERSION_3_LENGTH = 104;
export const COMPRESSION_TYPE_AT = 104;
/** All the fields that are known here, with the padding after the last. */
export const HEADER_BYTES = 112;

export const EXTENSION_END = 0;
export const EXTENSION_BACKING_FORMAT = 0xe2792aca;
export const EXTENSION_FEATURE_NAMES = 0x6803f857;
export const EXTENSION_BITMAPS = 0x23852875;
export const EXTENSION_ENCRYPTION = 0x0537be77;
export const EXTENSION_DATA_FILE = 0x44415441;

export type CompressionType = 'deflate' | 'zstd';

/** The backing file as the image names it: untrusted text, to be judged by the chain's path policy before use. */
export interface BackingName {
  readonly name: string;
  /** As recorded in the image; undefined when it records none, and then it must be given, for it is never guessed. */
  readonly format: string | undefined;
}

export interface Extension {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** What the header says, checked: every table is aligned, within the file and within the limits. */
export interface Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly clusterSize: number;
  /** Virtual size in bytes. */
  readonly size: number;
  readonly l1: { readonly offset: number; readonly entries: number };
  readonly refcountTable: { readonly offset: number; readonly clusters: number };
  readonly snapshots: { readonly offset: number; readonly count: number };
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  /** Width of a refcount in bits: 1, 2, 4 ... 64. */
  readonly refcountBits: number;
  readonly headerLength: number;
  readonly compression: CompressionType;
  readonly extendedL2: boolean;
  readonly backing: BackingName | undefined;
  readonly backingNameOffset: number;
  readonly extensions: readonly Extension[];
  /** Length of the file when the header was read. */
  readonly fileSize: number;
}

/** Entries of one L2 table: 8 bytes each, 16 with subclusters. */
export function l2Entries(header: Pick<Header, 'clusterSize' | 'extendedL2'>): number {
  return header.clusterSize / (header.extendedL2 ? 16 : 8);
}

/** L1 entries that a disk of `size` bytes needs. */
export function l1EntriesFor(size: number, header: Pick<Header, 'clusterSize' | 'extendedL2'>): number {
  return Math.ceil(size / (header.clusterSize * l2Entries(header)));
}

/**
 * Reads and checks the header. Errors: `corrupt`, `unsupported` (encryption, a data file of its own, must-know features,
 * versions) and `too-large`, each with the file, the offset in it and the step.
 */
export async function readHeader(file: HostFile): Promise<Header> {
  const fileSize = await file.size();
  const start = new Uint8Array(HEADER_BYTES);
  await file.read(0, [start]);
  const view = viewOf(start);
  const refuse = refusal(file.name);
  if (fileSize < VERSION_2_LENGTH || view.getUint32(0) !== MAGIC) throw refuse('corrupt', 'This is no qcow2 image', 0);
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw refuse('unsupported', `qcow2 version ${version} is not known here`, 4);
  const clusterBits = view.getUint32(20);
  if (clusterBits < limits.SMALLEST_CLUSTER_BITS || clusterBits > limits.LARGEST_CLUSTER_BITS) {
    throw refuse('unsupported', `Clusters of 2^${clusterBits} bytes are not supported`, 20);
  }
  const clusterSize = 2 ** clusterBits;
  const headerLength = version === 2 ? VERSION_2_LENGTH : view.getUint32(100);
  if (version === 3 && (headerLength < VERSION_3_LENGTH || headerLength % 8 !== 0 || headerLength > clusterSize)) {
    throw refuse('corrupt', `The header cannot be ${headerLength} bytes long`, 100);
  }

  const first = new Uint8Array(clusterSize);
  await file.read(0, [first]);
  const extensions = parseExtensions(first, headerLength, backingEnd(view, clusterSize), refuse);
  const optional = version === 3 ? versionThree(view, headerLength) : VERSION_TWO;
  const encryption = view.getUint32(32);
  if (encryption !== 0) throw refuse('unsupported', `Encrypted images (method ${encryption}) are not supported`, 32);
  refuseDataFile(optional.incompatible, extensions, refuse);
  features.refuseUnknown(optional.incompatible, featureNames(extensions), file.name);
  if (optional.refcountOrder > 6) throw refuse('corrupt', `Refcounts of 2^${optional.refcountOrder} bits`, 96);
  const extendedL2 = features.hasBit(optional.incompatible, features.INCOMPATIBLE_EXTENDED_L2);
  if (extendedL2 && clusterBits < limits.SMALLEST_EXTENDED_CLUSTER_BITS) {
    throw refuse('corrupt', 'Subclusters need clusters of at least 16 KiB', 20);
  }

  const header: Header = {
    version,
    clusterBits,
    clusterSize,
    size: readU64(view, 24),
    l1: { entries: view.getUint32(36), offset: readU64(view, 40) },
    refcountTable: { offset: readU64(view, 48), clusters: view.getUint32(56) },
    snapshots: { count: view.getUint32(60), offset: readU64(view, 64) },
    incompatible: optional.incompatible,
    compatible: optional.compatible,
    autoclear: optional.autoclear,
    refcountBits: 2 ** optional.refcountOrder,
    headerLength,
    compression: compressionOf(optional, refuse),
    extendedL2,
    backing: parseBacking(first, view, headerLength, extensions, refuse),
    backingNameOffset: readU64(view, 8),
    extensions,
    fileSize,
  };
  checkTables(header, refuse);
  return header;
}

type Refusal = (kind: 'corrupt' | 'unsupported' | 'too-large', message: string, offset: number) => AfterimageError;

function refusal(file: string): Refusal {
  return (kind, message, offset) => new AfterimageError(kind, message, { file, offset, during: 'read header' });
}

interface VersionThree {
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  readonly refcountOrder: number;
  readonly compressionType: number;
}

/** Version 2 has none of these fields, and refcounts of 16 bits. */
const VERSION_TWO: VersionThree = {
  incompatible: 0n,
  compatible: 0n,
  autoclear: 0n,
  refcountOrder: 4,
  compressionType: 0,
};

function versionThree(view: DataView, headerLength: number): VersionThree {
  return {
    incompatible: view.getBigUint64(72),
    compatible: view.getBigUint64(80),
    autoclear: view.getBigUint64(88),
    refcountOrder: view.getUint32(96),
    compressionType: headerLength > COMPRESSION_TYPE_AT ? view.getUint8(COMPRESSION_TYPE_AT) : 0,
  };
}

function compressionOf(optional: VersionThree, refuse: Refusal): CompressionType {
  const flagged = features.hasBit(optional.incompatible, features.INCOMPATIBLE_COMPRESSION);
  if (flagged !== (optional.compressionType !== 0)) {
    throw refuse('corrupt', 'The compression type and its feature bit contradict each other', COMPRESSION_TYPE_AT);
  }
  if (optional.compressionType === 0) return 'deflate';
  if (optional.compressionType === 1) return 'zstd';
  throw refuse('unsupported', `Compression type ${optional.compressionType} is not known here`, COMPRESSION_TYPE_AT);
}

/** Extensions end where the backing file's name begins, or with the first cluster. */
function backingEnd(view: DataView, clusterSize: number): number {
  const name = readU64(view, 8);
  return name > 0 && name <= clusterSize ? name : clusterSize;
}

function parseExtensions(first: Uint8Array, from: number, end: number, refuse: Refusal): Extension[] {
  const view = viewOf(first);
  const extensions: Extension[] = [];
  const seen = new Set<number>();
  let at = from;
  while (at + 8 <= end) {
    const type = view.getUint32(at);
    if (type === EXTENSION_END) break;
    const length = view.getUint32(at + 4);
    if (length > end - at - 8) throw refuse('corrupt', 'A header extension runs past the header', at);
    if (seen.has(type)) throw refuse('corrupt', 'A header extension appears twice', at);
    seen.add(type);
    extensions.push({ type, bytes: first.slice(at + 8, at + 8 + length) });
    at += 8 + roundUp(length, 8);
  }
  return extensions;
}

export function findExtension(extensions: readonly Extension[], type: number): Uint8Array | undefined {
  return extensions.find(extension => extension.type === type)?.bytes;
}

function featureNames(extensions: readonly Extension[]): features.FeatureName[] {
  const bytes = findExtension(extensions, EXTENSION_FEATURE_NAMES);
  return bytes === undefined ? [] : features.parseFeatureNames(bytes);
}

function refuseDataFile(incompatible: bigint, extensions: readonly Extension[], refuse: Refusal): void {
  if (!features.hasBit(incompatible, features.INCOMPATIBLE_DATA_FILE)) return;
  const bytes = findExtension(extensions, EXTENSION_DATA_FILE);
  const name = bytes === undefined ? 'a file that it does not name' : `“${new TextDecoder().decode(bytes)}”`;
  throw refuse('unsupported', `The image keeps its data in ${name}, which is not supported`, 72);
}

function parseBacking(
  first: Uint8Array,
  view: DataView,
  headerLength: number,
  extensions: readonly Extension[],
  refuse: Refusal,
): BackingName | undefined {
  const offset = readU64(view, 8);
  if (offset === 0) return undefined;
  const length = view.getUint32(16);
  if (length === 0 || length > limits.MOST_BACKING_NAME_BYTES) {
    throw refuse('corrupt', `The name of the backing file cannot be ${length} bytes long`, 16);
  }
  if (!(offset >= headerLength) || offset + length > first.length) {
    throw refuse('corrupt', 'The name of the backing file does not lie within the header', 8);
  }
  const name = decodeName(first.subarray(offset, offset + length));
  if (name === undefined) throw refuse('corrupt', 'The name of the backing file is no text', offset);
  const formatBytes = findExtension(extensions, EXTENSION_BACKING_FORMAT);
  if (formatBytes === undefined) return { name, format: undefined };
  const format = formatBytes.length <= limits.MOST_FORMAT_NAME_BYTES ? decodeName(formatBytes) : undefined;
  if (format === undefined) throw refuse('corrupt', 'The format of the backing file is no text', headerLength);
  return { name, format };
}

function decodeName(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function checkTables(header: Header, refuse: Refusal): void {
  const { clusterSize, size, l1, refcountTable, snapshots, fileSize } = header;
  if (!(size <= limits.MOST_OFFSET)) throw refuse('too-large', 'The disk is larger than can be addressed here', 24);
  if (size % 512 !== 0) throw refuse('unsupported', 'The size of the disk is not a multiple of 512 bytes', 24);
  const end = roundUp(fileSize, clusterSize);
  if (l1.entries * 8 > limits.MOST_L1_BYTES) throw refuse('too-large', 'The L1 table is too large', 36);
  if (l1.entries < l1EntriesFor(size, header)) throw refuse('corrupt', 'The L1 table is too small for the disk', 36);
  if (l1.offset % clusterSize !== 0) throw refuse('corrupt', 'The L1 table is not on a cluster', 40);
  if (l1.entries > 0 && (l1.offset === 0 || !(l1.offset + l1.entries * 8 <= end))) {
    throw refuse('corrupt', 'The L1 table does not lie within the file', 40);
  }
  const tableBytes = refcountTable.clusters * clusterSize;
  if (tableBytes > limits.MOST_REFCOUNT_TABLE_BYTES) throw refuse('too-large', 'The refcount table is too large', 56);
  if (tableBytes === 0) throw refuse('corrupt', 'There is no refcount table', 56);
  if (refcountTable.offset === 0 || refcountTable.offset % clusterSize !== 0) {
    throw refuse('corrupt', 'The refcount table is not on a cluster', 48);
  }
  if (!(refcountTable.offset + tableBytes <= end)) {
    throw refuse('corrupt', 'The refcount table does not lie within the file', 48);
  }
  if (snapshots.count > limits.MOST_SNAPSHOTS) throw refuse('too-large', 'There are too many snapshots', 60);
  if (snapshots.count > 0 && (snapshots.offset === 0 || snapshots.offset % clusterSize !== 0)) {
    throw refuse('corrupt', 'The snapshot table is not on a cluster', 64);
  }
  if (snapshots.count > 0 && !(snapshots.offset < fileSize)) {
    throw refuse('corrupt', 'The snapshot table does not lie within the file', 64);
  }
}
