// Writing a disk anew: into another format, or into the same one without what it does not need.
import { AfterimageError } from '../../base/errors.ts';
import { BufferPool } from '../buffers.ts';
import { copyBitmaps } from '../chain/bitmaps.ts';
import { createWhole, type Folder, partialName } from '../chain/folder.ts';
import type { Layer, LayerFormat } from '../chain/layer.ts';
import { backingName } from '../chain/paths.ts';
import { SharedFile } from '../chain/shared-file.ts';
import type { Disk, HostFile } from '../disk.ts';
import type { Preallocation } from '../preallocate.ts';
import type { ClusterCodecs } from '../qcow2/compressed.ts';
import { type CreateOptions, createImage } from '../qcow2/create.ts';
import { Qcow2Image } from '../qcow2/image.ts';
import { createRaw, RawDisk } from '../raw.ts';
import type { Job } from './job.ts';
import { Journal } from './journal.ts';
import { PIECE_BYTES, Pipeline, piecesOf, type Range, rangesOf } from './ranges.ts';
import { isZero, sameBytes } from './rebase.ts';

export interface ConvertOptions {
  readonly format: LayerFormat;
  /** For qcow2: how the image is made. Size and backing file are those of the disk. */
  readonly image?: Omit<CreateOptions, 'size' | 'backing'>;
  /** Write compressed clusters, where that makes them smaller. */
  readonly compress?: boolean;
  /** Keep this layer below instead of copying what it has. */
  readonly backing?: Layer;
  readonly codecs?: ClusterCodecs | undefined;
}

/** What a copied block must not be smaller than, in a format without clusters. */
const RAW_UNIT = 4096;

/**
 * Writes what a disk reads as into a new file, which appears when it is complete. Blocks of zeroes take no room.
 * Nobody may write to the disk meanwhile. Returns the preallocation that the file has. Errors: `state` when the name is
 * taken.
 */
export async function convert(
  from: Layer,
  folder: Folder,
  to: string,
  options: ConvertOptions,
  job: Job,
): Promise<Preallocation> {
  let preallocation: Preallocation = 'off';
  if (await folder.exists(to)) throw new AfterimageError('state', 'The file exists already', { file: to });
  const write = () =>
    createWhole(folder, to, async file => {
      preallocation = await writeAnew(from, file, to, options, job);
    });
  // Into another folder no journal of this one can point: there the half-made file is just overwritten next time.
  if (folder !== from.folder) await write();
  else await Journal.during(folder, { kind: 'convert', layer: from.path, to, spare: [] }, write);
  return preallocation;
}

/**
 * Writes a layer anew with only what it needs: no freed clusters, no zeroes where nothing lies below, nothing that is
 * the same below. It takes the old file's place in one step; nobody may write to the layer until then. Returns the bytes
 * that the file takes less.
 */
export async function compact(layer: Layer, options: { readonly compress?: boolean }, job: Job): Promise<number> {
  refuseToCompact(layer, options);
  const record = { kind: 'compact', layer: layer.path, spare: [] } as const;
  return await Journal.during(layer.folder, record, () => replaceByCompact(layer, options, job));
}

export function refuseToCompact({ path, format, image }: Layer, options: { readonly compress?: boolean }): void {
  if (format === 'raw' && options.compress) {
    throw new AfterimageError('usage', 'A raw file has no compressed clusters', { file: path });
  }
  if (image !== undefined && image.header.snapshots.count > 0) {
    throw new AfterimageError('unsupported', 'An image with internal snapshots cannot be compacted', { file: path });
  }
}

/** As `compact`, for who keeps the journal. */
export async function replaceByCompact(
  layer: Layer,
  options: { readonly compress?: boolean },
  job: Job,
): Promise<number> {
  const { folder, path, format, image, backing, codecs } = layer;
  const before = await folder.allocatedBytes(path);
  const made: ConvertOptions = {
    format,
    codecs,
    ...(options.compress === undefined ? {} : { compress: options.compress }),
    ...(backing === undefined ? {} : { backing }),
    ...(image === undefined ? {} : { image: optionsOf(image) }),
  };
  const partial = partialName(path);
  await folder.remove(partial);
  try {
    const file = await folder.create(partial);
    try {
      await writeAnew(layer, file, path, made, job, layer);
      await file.flush();
    } finally {
      await file.close();
    }
    job.enter('pivoting');
    await layer.replaceFile(partial);
  } catch (thrown) {
    await folder.remove(partial).catch(() => undefined);
    throw thrown;
  }
  return before - (await folder.allocatedBytes(path));
}

/** How an image must be made to be like another one. */
export function optionsOf({ header }: Qcow2Image): Omit<CreateOptions, 'size' | 'backing'> {
  const { version, clusterSize, extendedL2, refcountBits, compression } = header;
  return { version, clusterSize, extendedL2, refcountBits, compression };
}

async function writeAnew(
  from: Layer,
  file: HostFile,
  path: string,
  options: ConvertOptions,
  job: Job,
  /** Whose dirty bitmaps it takes over. */
  bitmapsOf?: Layer,
): Promise<Preallocation> {
  const { backing, codecs } = options;
  let target: Disk;
  let preallocation: Preallocation;
  if (options.format === 'raw') {
    preallocation = await createRaw(file, from.size, options.image?.preallocation ?? 'off');
    target = await RawDisk.open(new SharedFile(file));
  } else {
    const reference = backing && { path: backingName(path, backing.path), format: backing.format };
    const image = { ...options.image, size: from.size, ...(reference ? { backing: reference } : {}) };
    preallocation = await createImage(file, image);
    target = await Qcow2Image.open(new SharedFile(file), {
      ...(backing === undefined ? {} : { backing }),
      ...(codecs === undefined ? {} : { codecs }),
    });
  }
  try {
    job.expect(from.size);
    // A cluster is compressed as a whole.
    const piece = Math.max(PIECE_BYTES, options.image?.clusterSize ?? 0);
    const pool = new BufferPool(piece);
    await Pipeline.during(job, async pipeline => {
      for await (const range of visibleRanges(from, backing)) {
        const nothing = range.kind === 'below' || (range.kind === 'zero' && backing === undefined);
        if (nothing) {
          job.advance(range.length);
          continue;
        }
        for (const { offset, length } of piecesOf(range.offset, range.length, piece)) {
          await pipeline.start(length, () =>
            pool.lend(length, bytes => copyPiece(from, target, options, offset, bytes)),
          );
        }
      }
    });
    if (bitmapsOf !== undefined && target instanceof Qcow2Image) await copyBitmaps(bitmapsOf, target);
    await target.flush();
  } finally {
    await target.close();
  }
  return preallocation;
}

/** What a chain has above `stop`: where a layer says nothing, what the next one says. */
async function* visibleRanges(layer: Layer, stop: Layer | undefined, from = 0, to = layer.size): AsyncGenerator<Range> {
  const below = layer.backing;
  for await (const range of rangesOf(layer, from, to)) {
    if (range.kind !== 'below' || below === stop || below === undefined) {
      yield range;
      continue;
    }
    const end = Math.min(range.offset + range.length, Math.max(range.offset, below.size));
    yield* visibleRanges(below, stop, range.offset, end);
    const rest = range.offset + range.length - end;
    if (rest > 0) yield { kind: 'zero', offset: end, length: rest };
  }
}

async function copyPiece(from: Disk, target: Disk, options: ConvertOptions, offset: number, bytes: Uint8Array) {
  await from.read(offset, [bytes]);
  const below = options.backing && (await readBelow(options.backing, offset, bytes.length));
  if (target instanceof Qcow2Image && options.compress) await writeCompressed(target, bytes, below, offset);
  else await writeNeeded(target, bytes, below, offset);
}

async function readBelow(backing: Disk, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const within = Math.max(0, Math.min(length, backing.size - offset));
  if (within > 0) await backing.read(offset, [bytes.subarray(0, within)]);
  return bytes;
}

type Need = 'nothing' | 'zero' | 'data';

function need(bytes: Uint8Array, below: Uint8Array | undefined): Need {
  if (below !== undefined && sameBytes(bytes, below)) return 'nothing';
  if (!isZero(bytes)) return 'data';
  return below === undefined ? 'nothing' : 'zero';
}

/** Writes runs of blocks that are needed. */
async function writeNeeded(target: Disk, bytes: Uint8Array, below: Uint8Array | undefined, offset: number) {
  let start = 0;
  let kind: Need = 'nothing';
  const put = async (end: number) => {
    if (kind === 'data') await target.write(offset + start, [bytes.subarray(start, end)]);
    else if (kind === 'zero') await target.writeZeroes(offset + start, end - start);
  };
  for (let at = 0; at < bytes.length; at += RAW_UNIT) {
    const next = need(bytes.subarray(at, at + RAW_UNIT), below?.subarray(at, at + RAW_UNIT));
    if (next === kind) continue;
    await put(at);
    start = at;
    kind = next;
  }
  await put(bytes.length);
}

async function writeCompressed(target: Qcow2Image, bytes: Uint8Array, below: Uint8Array | undefined, offset: number) {
  const { clusterSize } = target.header;
  const end = offset + bytes.length;
  for (let at = offset; at < end; ) {
    const next = Math.min(end, (Math.floor(at / clusterSize) + 1) * clusterSize);
    const part = bytes.subarray(at - offset, next - offset);
    const wanted = need(part, below?.subarray(at - offset, next - offset));
    const whole = at % clusterSize === 0 && (part.length === clusterSize || next === target.size);
    if (wanted === 'zero') await target.writeZeroes(at, part.length);
    else if (wanted === 'data' && whole) await target.writeCompressed(at, padded(part, clusterSize));
    else if (wanted === 'data') await target.write(at, [part]);
    at = next;
  }
}

/** The last cluster of a disk is whole, too. */
function padded(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const whole = new Uint8Array(length);
  whole.set(bytes);
  return whole;
}
