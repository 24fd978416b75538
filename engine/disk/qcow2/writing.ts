// Everything that only an image that is written to needs: made at its first change, not when it is opened.
import type { Disk } from '../disk.ts';
import { RangeLock } from '../range-lock.ts';
import { Bitmaps } from './bitmaps.ts';
import { viewOf } from './bytes.ts';
import { Committer } from './commit.ts';
import type { ClusterCodecs, Decompressor } from './compressed.ts';
import { Eraser } from './eraser.ts';
import { INCOMPATIBLE_CORRUPT, keptAutoclear, withBit } from './features.ts';
import type { Header } from './header.ts';
import { Layout } from './layout.ts';
import { REFCOUNT_CACHE_BYTES } from './limits.ts';
import type { Grace } from './locks.ts';
import type { Mapping } from './mapping.ts';
import { Packer } from './packer.ts';
import type { Reader } from './reader.ts';
import { Refcounts } from './refcounts.ts';
import { readSnapshots } from './snapshots.ts';
import type { Storage } from './storage.ts';
import { Writer } from './writer.ts';

export const INCOMPATIBLE_AT = 72;
const AUTOCLEAR_AT = 88;

export interface WritingParts {
  readonly storage: Storage;
  readonly header: Header;
  readonly mapping: Mapping;
  readonly reader: Reader;
  readonly decompressor: Decompressor;
  readonly backing: Disk | undefined;
  readonly codecs: ClusterCodecs | undefined;
  readonly grace: Grace;
  readonly refcountCacheBytes?: number | undefined;
  /** Bytes of the disk that is to lie below, while that is being prepared: what is zero there must say so. */
  readonly expectedBelow?: () => number;
}

export interface Writing {
  readonly layout: Layout;
  readonly refcounts: Refcounts;
  readonly committer: Committer;
  readonly writer: Writer;
  readonly eraser: Eraser;
  readonly packer: Packer | undefined;
  readonly bitmaps: Bitmaps;
}

/**
 * Reads and checks what a writer must know: where all metadata lies and what is in use. Throws `corrupt` when that
 * contradicts itself; then nothing has been written.
 */
export async function prepareWriting(parts: WritingParts): Promise<Writing> {
  const { storage, header, mapping, reader, decompressor, backing, codecs, grace, expectedBelow } = parts;
  const layout = new Layout(storage);
  layout.add('header', 0, header.clusterSize);
  const committer = new Committer(storage, layout, grace);
  const refcounts = await Refcounts.open({
    storage,
    layout,
    header,
    room: committer.room,
    cacheBytes: parts.refcountCacheBytes ?? REFCOUNT_CACHE_BYTES,
  });
  committer.attach(mapping, refcounts);
  mapping.describe(layout, header.l1.entries);
  const table = await readSnapshots(storage, header);
  if (table.length > 0) layout.add('snapshot table', header.snapshots.offset, table.length);
  for (const { l1 } of table.snapshots) {
    if (l1.entries > 0) layout.add('L1 table of a snapshot', l1.offset, l1.entries * 8);
  }
  let packer: Packer | undefined;
  const below = header.backing === undefined ? 0 : (backing?.size ?? Number.POSITIVE_INFINITY);
  const writerParts = {
    storage,
    mapping,
    refcounts,
    layout,
    committer,
    reader,
    locks: new RangeLock(),
    size: header.size,
    get backingSize() {
      return Math.max(below, expectedBelow?.() ?? 0);
    },
    compressedGone: () => {
      decompressor.forget();
      packer?.forget();
    },
  };
  const writer = new Writer(writerParts);
  if (codecs !== undefined) packer = new Packer(writerParts, writer, header.compression, codecs);
  const bitmaps = await Bitmaps.open(storage, header);
  return { layout, refcounts, committer, writer, eraser: new Eraser(writerParts, writer), packer, bitmaps };
}

/** Clears the autoclear bits whose promises a writer like us does not keep, before it changes anything. */
export async function clearAutoclear(storage: Storage, header: Header): Promise<void> {
  const kept = keptAutoclear(header.autoclear);
  if (kept === header.autoclear) return;
  await writeAutoclear(storage, kept);
  await storage.flush();
}

export async function writeAutoclear(storage: Storage, bits: bigint): Promise<void> {
  const field = new Uint8Array(8);
  viewOf(field).setBigUint64(0, bits);
  await storage.write(AUTOCLEAR_AT, [field]);
}

/** Sets the bit for damaged metadata in the file, durably; what else is set there stays. */
export async function markCorrupt(storage: Storage): Promise<void> {
  const field = await storage.readBytes(INCOMPATIBLE_AT, 8);
  await writeIncompatible(storage, withBit(viewOf(field).getBigUint64(0), INCOMPATIBLE_CORRUPT, true));
  await storage.flush();
}

export async function writeIncompatible(storage: Storage, bits: bigint): Promise<void> {
  const field = new Uint8Array(8);
  viewOf(field).setBigUint64(0, bits);
  await storage.write(INCOMPATIBLE_AT, [field]);
}
