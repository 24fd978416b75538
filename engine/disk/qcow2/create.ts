import { AfterimageError } from '../../base/errors.ts';
import type { HostFile } from '../disk.ts';
import { type Preallocation, reserveSpace } from '../preallocate.ts';
import { roundUp, viewOf, writeU64 } from './bytes.ts';
import { encodeEntry, encodeTableEntry, entryShape } from './entries.ts';
import * as features from './features.ts';
import * as format from './header.ts';
import * as limits from './limits.ts';
import { setRefcount } from './refcount-width.ts';

export interface CreateOptions {
  /** Virtual size in bytes, a multiple of 512. */
  readonly size: number;
  /** 3 unless said otherwise. Version 2 has 16-bit refcounts and none of the features. */
  readonly version?: 2 | 3;
  /** In bytes, a power of two from 512 to 2 MiB; 64 KiB unless said otherwise. */
  readonly clusterSize?: number;
  /** Subclusters: small writes into a fresh overlay need no fill. Needs clusters of 16 KiB at least. */
  readonly extendedL2?: boolean;
  /** Allows writers to leave refcounts behind until the image is closed. This one never does. */
  readonly lazyRefcounts?: boolean;
  /** 1 to 64, a power of two; 16 unless said otherwise. */
  readonly refcountBits?: number;
  /** The name is stored as it is given, relative to the image; the format is always recorded. */
  readonly backing?: { readonly path: string; readonly format: string };
  /** All but `off` give each cluster its place from the start. Not with a backing file, which that would hide. */
  readonly preallocation?: Preallocation;
  readonly compression?: format.CompressionType;
}

/** Rooms for extensions that may come later (bitmaps) between the header's and the backing file's name. */
const SPARE_EXTENSION_BYTES = 64;
/** Metadata is written in pieces of this size at most, where preallocation makes much of it. */
const PIECE_BYTES = 1024 * 1024;

/** Where everything of a new image lies, in clusters. */
interface Plan {
  readonly header: format.Header;
  readonly blocks: { readonly first: number; readonly count: number };
  readonly tables: { readonly first: number; readonly count: number };
  readonly data: { readonly first: number; readonly count: number };
  readonly clusters: number;
}

/**
 * Writes a new image into an empty file and makes it durable. Returns the preallocation that it has: `metadata` where the
 * host cannot reserve space. Errors: `usage` for options that make no sense, `no-space`.
 */
export async function createImage(file: HostFile, options: CreateOptions): Promise<Preallocation> {
  if ((await file.size()) !== 0) throw new AfterimageError('usage', 'The file is not empty', { file: file.name });
  const { preallocation = 'off' } = options;
  const plan = makePlan(checked(options), preallocation !== 'off');
  const { clusterSize } = plan.header;
  await writeRefcounts(file, plan);
  await writeMapping(file, plan);
  await file.truncate(plan.clusters * clusterSize);
  const reserved = await reserveSpace(file, plan.data.first * clusterSize, plan.clusters * clusterSize, preallocation);
  // What the header points to is there before it.
  await file.flush();
  await file.write(0, [encodeHeader(plan.header)]);
  await file.flush();
  return reserved ? preallocation : 'metadata';
}

function refuse(message: string): never {
  throw new AfterimageError('usage', message, { during: 'create image' });
}

/** The header that the options ask for, without the places that are still to be found. */
function checked(options: CreateOptions): format.Header {
  const { size, version = 3, clusterSize = 65_536, refcountBits = 16, compression = 'deflate' } = options;
  const extendedL2 = options.extendedL2 ?? false;
  const clusterBits = Math.log2(clusterSize);
  if (!Number.isSafeInteger(size) || size < 0 || size % 512 !== 0) refuse('The size must be a multiple of 512 bytes');
  const { SMALLEST_CLUSTER_BITS, LARGEST_CLUSTER_BITS, SMALLEST_EXTENDED_CLUSTER_BITS } = limits;
  if (!Number.isInteger(clusterBits) || clusterBits < SMALLEST_CLUSTER_BITS || clusterBits > LARGEST_CLUSTER_BITS) {
    refuse('The cluster size must be a power of two from 512 bytes to 2 MiB');
  }
  if (![1, 2, 4, 8, 16, 32, 64].includes(refcountBits)) refuse('Refcounts have 1, 2, 4, 8, 16, 32 or 64 bits');
  if (extendedL2 && clusterBits < SMALLEST_EXTENDED_CLUSTER_BITS)
    refuse('Subclusters need clusters of 16 KiB at least');
  const plain = refcountBits === 16 && !extendedL2 && compression === 'deflate' && options.lazyRefcounts !== true;
  if (version === 2 && !plain) refuse('Version 2 has none of these features');
  if (options.backing !== undefined && (options.preallocation ?? 'off') !== 'off') {
    refuse('Preallocated clusters would hide the backing file');
  }
  const bits: readonly (readonly [number, boolean])[] = [
    [features.INCOMPATIBLE_COMPRESSION, compression === 'zstd'],
    [features.INCOMPATIBLE_EXTENDED_L2, extendedL2],
  ];
  const incompatible = bits.reduce((all, [bit, set]) => features.withBit(all, bit, set), 0n);
  const header: format.Header = {
    version,
    clusterBits,
    clusterSize,
    size,
    l1: { offset: 0, entries: 0 },
    refcountTable: { offset: 0, clusters: 0 },
    snapshots: { offset: 0, count: 0 },
    incompatible,
    compatible: features.withBit(0n, features.COMPATIBLE_LAZY_REFCOUNTS, options.lazyRefcounts ?? false),
    autoclear: 0n,
    refcountBits,
    headerLength: version === 2 ? format.VERSION_2_LENGTH : format.HEADER_BYTES,
    compression,
    extendedL2,
    backing: options.backing && { name: options.backing.path, format: options.backing.format },
    backingNameOffset: 0,
    extensions: extensionsFor(options, incompatible),
    fileSize: 0,
  };
  return placeName(header);
}

const FEATURE_NAMES: readonly features.FeatureName[] = [
  { type: 'incompatible', bit: features.INCOMPATIBLE_COMPRESSION, name: 'compression type' },
  { type: 'incompatible', bit: features.INCOMPATIBLE_EXTENDED_L2, name: 'extended L2 entries' },
];

function extensionsFor(options: CreateOptions, incompatible: bigint): format.Extension[] {
  const extensions: format.Extension[] = [];
  if (options.backing !== undefined) {
    const bytes = new TextEncoder().encode(options.backing.format);
    extensions.push({ type: format.EXTENSION_BACKING_FORMAT, bytes });
  }
  // Only the features in use: the names are for readers that do not know them.
  const names = FEATURE_NAMES.filter(({ bit }) => features.hasBit(incompatible, bit));
  if (names.length > 0) {
    extensions.push({ type: format.EXTENSION_FEATURE_NAMES, bytes: features.encodeFeatureNames(names) });
  }
  return extensions;
}

function placeName(header: format.Header): format.Header {
  if (header.backing === undefined) return header;
  const name = new TextEncoder().encode(header.backing.name);
  if (name.length === 0 || name.includes(0)) refuse('The name of the backing file is empty or no text');
  if (name.length > limits.MOST_BACKING_NAME_BYTES) refuse('The name of the backing file is too long');
  const tight = extensionsEnd(header);
  const spare = tight + SPARE_EXTENSION_BYTES + name.length <= header.clusterSize ? SPARE_EXTENSION_BYTES : 0;
  if (tight + name.length > header.clusterSize) refuse('The name of the backing file does not fit into a cluster');
  return { ...header, backingNameOffset: tight + spare };
}

/** Where the header's extensions end, the end mark included. */
export function extensionsEnd(header: format.Header): number {
  return header.extensions.reduce((at, { bytes }) => at + 8 + roundUp(bytes.length, 8), header.headerLength) + 8;
}

function makePlan(header: format.Header, preallocated: boolean): Plan {
  const { clusterSize, refcountBits, size } = header;
  // A disk of no bytes gets an entry too, so that its table has a place.
  const entries = Math.max(1, format.l1EntriesFor(size, header));
  if (entries * 8 > limits.MOST_L1_BYTES) refuse('The disk is too large for this cluster size');
  const l1Clusters = Math.ceil((entries * 8) / clusterSize);
  const dataClusters = preallocated ? Math.ceil(size / clusterSize) : 0;
  const l2Clusters = preallocated && size > 0 ? entries : 0;
  const perBlock = (clusterSize * 8) / refcountBits;
  let blocks = 1;
  let tableClusters = 1;
  let clusters = 0;
  for (;;) {
    clusters = 1 + tableClusters + blocks + l1Clusters + l2Clusters + dataClusters;
    const neededBlocks = Math.ceil(clusters / perBlock);
    const neededTable = Math.ceil((neededBlocks * 8) / clusterSize);
    if (neededBlocks <= blocks && neededTable <= tableClusters) break;
    blocks = neededBlocks;
    tableClusters = neededTable;
  }
  if (tableClusters * clusterSize > limits.MOST_REFCOUNT_TABLE_BYTES) refuse('The disk is too large to preallocate');
  const l1First = 1 + tableClusters + blocks;
  return {
    header: {
      ...header,
      l1: { offset: l1First * clusterSize, entries },
      refcountTable: { offset: clusterSize, clusters: tableClusters },
    },
    blocks: { first: 1 + tableClusters, count: blocks },
    tables: { first: l1First + l1Clusters, count: l2Clusters },
    data: { first: l1First + l1Clusters + l2Clusters, count: dataClusters },
    clusters,
  };
}

async function writeRefcounts(file: HostFile, plan: Plan): Promise<void> {
  const { clusterSize, refcountBits, refcountTable } = plan.header;
  const table = new Uint8Array(refcountTable.clusters * clusterSize);
  for (let index = 0; index < plan.blocks.count; index += 1) {
    writeU64(viewOf(table), index * 8, (plan.blocks.first + index) * clusterSize);
  }
  await file.write(refcountTable.offset, [table]);
  const perBlock = (clusterSize * 8) / refcountBits;
  for (let index = 0; index < plan.blocks.count; index += 1) {
    const block = new Uint8Array(clusterSize);
    const used = Math.min(perBlock, plan.clusters - index * perBlock);
    for (let entry = 0; entry < used; entry += 1) setRefcount(viewOf(block), entry, refcountBits, 1);
    await file.write((plan.blocks.first + index) * clusterSize, [block]);
  }
}

async function writeMapping(file: HostFile, plan: Plan): Promise<void> {
  const { header, tables, data } = plan;
  const { clusterSize } = header;
  const l1 = new Uint8Array(roundUp(header.l1.entries * 8, clusterSize));
  for (let index = 0; index < tables.count; index += 1) {
    encodeTableEntry(viewOf(l1), index * 8, { host: (tables.first + index) * clusterSize, copied: true });
  }
  await file.write(header.l1.offset, [l1]);
  const shape = entryShape(header);
  const tablesAtOnce = Math.max(1, Math.floor(PIECE_BYTES / clusterSize));
  for (let first = 0; first < tables.count; first += tablesAtOnce) {
    const count = Math.min(tablesAtOnce, tables.count - first);
    const piece = new Uint8Array(count * clusterSize);
    const firstData = first * shape.entries;
    const used = Math.min(count * shape.entries, data.count - firstData);
    for (let index = 0; index < used; index += 1) {
      const host = (data.first + firstData + index) * clusterSize;
      const entry = { host, copied: true, allocated: shape.all, zero: 0, compressedLength: 0 };
      encodeEntry(viewOf(piece), index * shape.entryBytes, entry, shape);
    }
    await file.write((tables.first + first) * clusterSize, [piece]);
  }
}

/** The header's cluster as far as it is used: fields, extensions, the backing file's name. */
export function encodeHeader(header: format.Header): Uint8Array {
  const name = header.backing === undefined ? new Uint8Array() : new TextEncoder().encode(header.backing.name);
  const bytes = new Uint8Array(Math.max(extensionsEnd(header), header.backingNameOffset + name.length));
  const view = viewOf(bytes);
  view.setUint32(0, format.MAGIC);
  view.setUint32(4, header.version);
  writeU64(view, 8, header.backingNameOffset);
  view.setUint32(16, name.length);
  view.setUint32(20, header.clusterBits);
  writeU64(view, 24, header.size);
  view.setUint32(36, header.l1.entries);
  writeU64(view, 40, header.l1.offset);
  writeU64(view, 48, header.refcountTable.offset);
  view.setUint32(56, header.refcountTable.clusters);
  view.setUint32(60, header.snapshots.count);
  writeU64(view, 64, header.snapshots.offset);
  if (header.version === 3) {
    view.setBigUint64(72, header.incompatible);
    view.setBigUint64(80, header.compatible);
    view.setBigUint64(88, header.autoclear);
    view.setUint32(96, Math.log2(header.refcountBits));
    view.setUint32(100, header.headerLength);
    if (header.headerLength > format.COMPRESSION_TYPE_AT) {
      view.setUint8(format.COMPRESSION_TYPE_AT, header.compression === 'zstd' ? 1 : 0);
    }
  }
  let at = header.headerLength;
  for (const extension of header.extensions) {
    view.setUint32(at, extension.type);
    view.setUint32(at + 4, extension.bytes.length);
    bytes.set(extension.bytes, at + 8);
    at += 8 + roundUp(extension.bytes.length, 8);
  }
  bytes.set(name, header.backingNameOffset);
  return bytes;
}
