// Changing the virtual size of a layer that no machine runs on.
import { AfterimageError } from '../../base/errors.ts';
import { putBitmaps, takeBitmaps } from '../chain/bitmaps.ts';
import type { Layer } from '../chain/layer.ts';
import type { Disk, HostFile } from '../disk.ts';
import { type ClusterCodecs, Decompressor } from '../qcow2/compressed.ts';
import { AUTOCLEAR_BITMAPS, hasBit } from '../qcow2/features.ts';
import { type Header, l1EntriesFor, readHeader } from '../qcow2/header.ts';
import { MOST_L1_BYTES } from '../qcow2/limits.ts';
import { Grace } from '../qcow2/locks.ts';
import { Mapping } from '../qcow2/mapping.ts';
import { Reader } from '../qcow2/reader.ts';
import { Storage } from '../qcow2/storage.ts';
import { clearAutoclear, prepareWriting, type Writing } from '../qcow2/writing.ts';
import { setL1, setSize } from './header-edit.ts';

const SECTOR = 512;

/** As `resizeLayer`, for the top of a chain, whose bitmaps it keeps: what the disk gains counts as changed. */
export async function resizeDisk(top: Layer, size: number): Promise<void> {
  checkSize(top, size);
  const before = top.size;
  if (size === before) return;
  const bitmaps = await takeBitmaps(top);
  try {
    await resizeLayer(top, size);
  } finally {
    await putBitmaps(top, bitmaps, before);
  }
}

/**
 * Makes the layer's disk larger, with zeroes at the end, or smaller, dropping what was there. Each step is durable
 * before the next: a power cut leaves the old size or the new one. Errors: `usage` for sizes that make no sense,
 * `unsupported` for images with bitmaps or, to make them smaller, internal snapshots.
 */
export async function resizeLayer(layer: Layer, size: number): Promise<void> {
  checkSize(layer, size);
  const before = layer.size;
  if (size === before) return;
  if (layer.format === 'raw') {
    await layer.reopen({
      change: async file => {
        await file.truncate(size);
        await file.flush();
      },
    });
    return;
  }
  const { image } = layer;
  // A directory that is not promised, as a crash leaves it, says nothing that could become wrong.
  if (image !== undefined && hasBit(image.header.autoclear, AUTOCLEAR_BITMAPS)) {
    throw new AfterimageError('unsupported', 'An image with bitmaps cannot be resized; remove them first', {
      file: layer.path,
    });
  }
  if (size < before) {
    if (image!.header.snapshots.count > 0) {
      throw new AfterimageError('unsupported', 'An image with internal snapshots cannot be made smaller', {
        file: layer.path,
      });
    }
    // What a later growth uncovers must be zeroes.
    await layer.writeZeroes(size, before - size);
    await layer.flush();
    await layer.reopen({ change: file => setSize(file, size) });
    return;
  }
  const { backing, codecs } = layer;
  await layer.reopen({ change: file => growImage({ file, backing, codecs }, size) });
}

function checkSize({ path: file }: Layer, size: number): void {
  if (Number.isSafeInteger(size) && size >= 0 && size % SECTOR === 0) return;
  throw new AfterimageError('usage', 'The size must be a multiple of 512 bytes', { file, size });
}

interface Image {
  readonly file: HostFile;
  readonly backing: Disk | undefined;
  readonly codecs: ClusterCodecs | undefined;
}

async function growImage(image: Image, size: number): Promise<void> {
  const header = await readHeader(image.file);
  const grown = l1EntriesFor(size, header) > header.l1.entries ? await growL1(image, header, size) : header;
  if (image.backing !== undefined && image.backing.size > header.size) await hideBacking(image, grown, size);
  await setSize(image.file, size);
}

/** What it takes to change an image of that header. */
async function writingTo(
  { file, backing, codecs }: Image,
  header: Header,
): Promise<{ writing: Writing; grace: Grace }> {
  const storage = new Storage(file, header.clusterSize, await file.size());
  const mapping = await Mapping.open(storage, header);
  const decompressor = new Decompressor(storage, header.compression, codecs);
  const { size } = header;
  const hasBacking = header.backing !== undefined;
  const reader = new Reader({ storage, mapping, decompressor, size, hasBacking, backing });
  const grace = new Grace();
  const writing = await prepareWriting({ storage, header, mapping, reader, decompressor, backing, codecs, grace });
  await clearAutoclear(storage, header);
  return { writing, grace };
}

/** Gives the image an L1 table for the new size. The disk keeps its size. */
async function growL1(image: Image, header: Header, size: number): Promise<Header> {
  const { file } = image;
  const entries = l1EntriesFor(size, header);
  if (entries * 8 > MOST_L1_BYTES) {
    throw new AfterimageError('too-large', 'The disk is too large for this cluster size', { file: file.name, size });
  }
  const { clusterSize } = header;
  const { writing } = await writingTo(image, header);
  const clustersOf = (count: number) => Math.max(1, Math.ceil((count * 8) / clusterSize));
  const { first, count } = await writing.refcounts.allocateRow(clustersOf(entries));
  const table = new Uint8Array(count * clusterSize);
  await file.read(header.l1.offset, [table.subarray(0, header.l1.entries * 8)]);
  await file.write(first * clusterSize, [table]);
  // Counted and written before the header names it.
  await writing.committer.settle();
  await file.flush();
  await setL1(file, first * clusterSize, entries);
  if (header.l1.entries > 0) {
    writing.refcounts.release({ first: header.l1.offset / clusterSize, count: clustersOf(header.l1.entries) });
    await writing.committer.settle();
  }
  return await readHeader(file);
}

/** Makes what the backing file has past the old end read as zeroes, before anyone can read it. */
async function hideBacking(image: Image, header: Header, size: number): Promise<void> {
  const { writing, grace } = await writingTo(image, { ...header, size });
  const end = Math.min(size, image.backing!.size);
  await grace.during(() => writing.eraser.erase(header.size, end - header.size, 'zero'));
  await writing.committer.settle();
}
