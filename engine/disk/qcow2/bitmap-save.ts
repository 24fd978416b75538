// Stores dirty bitmaps when an image is closed: everything goes to new clusters, then the header names it in one step.
import { AfterimageError } from '../../base/errors.ts';
import { type BitmapEntry, encodeBitmapDirectory, readBitmapTable } from './bitmap-directory.ts';
import { type Bitmaps, type ChangedBitmap, savedEntry } from './bitmaps.ts';
import { roundUp, viewOf, writeU64 } from './bytes.ts';
import type { Committer } from './commit.ts';
import { AUTOCLEAR_BITMAPS, keptAutoclear, withBit } from './features.ts';
import { EXTENSION_BITMAPS, EXTENSION_FEATURE_NAMES, type Extension, type Header } from './header.ts';
import type { Layout } from './layout.ts';
import type { Extent, Refcounts } from './refcounts.ts';
import type { Storage } from './storage.ts';
import { writeAutoclear } from './writing.ts';

const SECTOR = 512;

export interface SaveParts {
  readonly storage: Storage;
  readonly header: Header;
  readonly layout: Layout;
  readonly refcounts: Refcounts;
  readonly committer: Committer;
}

/** Stores what has changed of the bitmaps. The disk is quiet; the caller commits afterwards. */
export async function saveBitmaps(parts: SaveParts, bitmaps: Bitmaps): Promise<void> {
  const pending = bitmaps.pending();
  if (pending === undefined) return;
  const { storage, header, committer } = parts;
  const old = await oldClusters(storage, bitmaps, pending.kept);
  const entries: BitmapEntry[] = [...pending.kept];
  for (const bitmap of pending.changed) entries.push(savedEntry(bitmap, await storeBits(parts, bitmap)));
  const extensions = header.extensions.filter(({ type }) => type !== EXTENSION_BITMAPS);
  if (entries.length > 0) {
    const directory = encodeBitmapDirectory(entries);
    const offset = await store(parts, directory);
    // First, so that what is written again and again lies in the header's own sector.
    extensions.unshift({
      type: EXTENSION_BITMAPS,
      bytes: directoryExtension(entries.length, directory.length, offset),
    });
  }
  await committer.flush();
  await writeExtensions(storage, header, extensions, entries.length > 0);
  await storage.flush();
  for (const extent of old) {
    parts.layout.remove(extent.first * header.clusterSize, extent.count * header.clusterSize);
    parts.refcounts.release(extent);
  }
}

/** The clusters of the old directory and of the tables that the new one no longer names. */
async function oldClusters(storage: Storage, bitmaps: Bitmaps, kept: readonly BitmapEntry[]): Promise<Extent[]> {
  const { directory } = bitmaps;
  if (directory === undefined || !directory.consistent) return [];
  const { clusterSize } = storage;
  const extent = (offset: number, length: number): Extent => ({
    first: offset / clusterSize,
    count: Math.ceil(length / clusterSize),
  });
  const old = [extent(directory.offset, directory.length)];
  for (const entry of directory.entries) {
    if (entry.table.entries === 0 || kept.some(({ name }) => name === entry.name)) continue;
    old.push(extent(entry.table.offset, entry.table.entries * 8));
    for (const { host } of await readBitmapTable(storage, entry)) if (host !== 0) old.push(extent(host, 1));
  }
  return old;
}

/** Writes bytes to new clusters in a row and returns where. */
async function store({ storage, layout, refcounts }: SaveParts, bytes: Uint8Array): Promise<number> {
  const { clusterSize } = storage;
  const whole = new Uint8Array(roundUp(bytes.length, clusterSize));
  whole.set(bytes);
  const { first } = await refcounts.allocateRow(whole.length / clusterSize);
  layout.add('bitmap', first * clusterSize, whole.length);
  await storage.write(first * clusterSize, [whole]);
  return first * clusterSize;
}

async function storeBits(parts: SaveParts, bitmap: ChangedBitmap): Promise<BitmapEntry['table']> {
  const { clusterSize } = parts.storage;
  const entries = Math.ceil(bitmap.bits.length / clusterSize);
  if (entries === 0) return { offset: 0, entries };
  const table = new Uint8Array(entries * 8);
  for (let index = 0; index < entries; index += 1) {
    const part = bitmap.bits.subarray(index * clusterSize, (index + 1) * clusterSize);
    if (part.some(byte => byte !== 0)) writeU64(viewOf(table), index * 8, await store(parts, part));
  }
  return { offset: await store(parts, table), entries };
}

function directoryExtension(count: number, length: number, offset: number): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = viewOf(bytes);
  view.setUint32(0, count);
  writeU64(view, 8, length);
  writeU64(view, 16, offset);
  return bytes;
}

/**
 * Writes the extensions. Where they stay within the header's sector that is one step; otherwise the promise of the
 * bitmaps is taken back meanwhile. The backing file's name is never moved: a cut in between would lose the chain.
 */
async function writeExtensions(
  storage: Storage,
  header: Header,
  wanted: readonly Extension[],
  promise: boolean,
): Promise<void> {
  const room = header.backing === undefined ? header.clusterSize : header.backingNameOffset;
  const withoutNames = wanted.filter(({ type }) => type !== EXTENSION_FEATURE_NAMES);
  const fits = (extensions: readonly Extension[], end: number) =>
    header.headerLength + encodedLength(extensions) <= end;
  // The names of features are a courtesy; the bitmaps are not.
  const extensions = fits(wanted, Math.min(room, SECTOR)) ? wanted : withoutNames;
  if (!fits(extensions, room)) {
    throw new AfterimageError('unsupported', 'The header has no room for bitmaps', { file: storage.file.name });
  }
  const bytes = encodeExtensions(extensions);
  const kept = keptAutoclear(header.autoclear);
  const oneStep = header.headerLength + bytes.length <= SECTOR;
  if (!oneStep || !promise) {
    await writeAutoclear(storage, withBit(kept, AUTOCLEAR_BITMAPS, false));
    await storage.flush();
  }
  await storage.write(header.headerLength, [bytes]);
  if (!promise) return;
  await storage.flush();
  await writeAutoclear(storage, withBit(kept, AUTOCLEAR_BITMAPS, true));
}

function encodedLength(extensions: readonly Extension[]): number {
  return extensions.reduce((sum, { bytes }) => sum + 8 + roundUp(bytes.length, 8), 8);
}

function encodeExtensions(extensions: readonly Extension[]): Uint8Array {
  const bytes = new Uint8Array(encodedLength(extensions));
  const view = viewOf(bytes);
  let at = 0;
  for (const extension of extensions) {
    view.setUint32(at, extension.type);
    view.setUint32(at + 4, extension.bytes.length);
    bytes.set(extension.bytes, at + 8);
    at += 8 + roundUp(extension.bytes.length, 8);
  }
  return bytes;
}
