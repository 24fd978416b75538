// Content for checkpoints in tests: pages that can be told apart, codecs, headers.
import { deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { About } from '../../engine/checkpoint/about.ts';
import type { BlockCodecs } from '../../engine/checkpoint/codecs.ts';
import type { Hex } from '../../engine/checkpoint/format.ts';
import type { Space } from '../../engine/checkpoint/header.ts';
import type { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import type { Random } from '../contract/random.ts';

export const PAGE = 4096;

const unzstd = (bytes: Uint8Array, limit: number) => zstdDecompressSync(bytes, { maxOutputLength: limit });
const inflate = (bytes: Uint8Array, limit: number) => inflateRawSync(bytes, { maxOutputLength: limit });
export const plain: BlockCodecs = { unzstd, inflate };
export const zstd: BlockCodecs = { ...plain, compress: { codec: 'zstd', run: bytes => zstdCompressSync(bytes) } };
export const deflate: BlockCodecs = {
  ...plain,
  compress: { codec: 'deflate', run: bytes => deflateRawSync(bytes, { level: 1 }) },
};

/** A page that its number and a stamp determine; stamp 0 is a page of zeroes. Every third does not compress. */
export function pageOf(page: number, stamp: number): Uint8Array {
  const bytes = new Uint8Array(PAGE);
  if (stamp === 0) return bytes;
  if (stamp % 3 === 0) {
    let state = page * 7919 + stamp;
    for (let at = 0; at < PAGE; at += 1) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      bytes[at] = state >>> 23;
    }
  } else {
    bytes.fill(stamp % 251);
  }
  new DataView(bytes.buffer).setUint32(0, page, true);
  new DataView(bytes.buffer).setUint32(4, stamp, true);
  return bytes;
}

export const identity = (random: Random): Hex =>
  Array.from({ length: 32 }, () => random.below(16).toString(16)).join('');

export const MACHINE: Hex = 'aa'.repeat(16);

export const memory = (pages: number): Space => ({ kind: 'memory', name: 'memory', bytes: pages * PAGE });

export const about = (name: string, change: Partial<About> = {}): About => ({
  name,
  note: '',
  takenAt: 1_790_000_000_000,
  origin: 'manual',
  pauseMicroseconds: 250,
  pendingRequests: 0,
  machine: '{}',
  writer: 'test',
  ...change,
});

/** What the checkpoint says each page of memory is, as stamps; throws for a page that is neither. */
export async function stampsOf(reader: CheckpointReader, space = 0): Promise<number[]> {
  const count = reader.spaces[space]!.bytes / PAGE;
  const pages = Array.from({ length: count }, (_, page) => page);
  const frames = pages.map(() => new Uint8Array(PAGE).fill(0xee));
  await reader.readPages(space, pages, frames);
  return pages.map(page => {
    const frame = frames[page]!;
    const stamp = new DataView(frame.buffer).getUint32(4, true);
    if (!Buffer.from(frame).equals(pageOf(page, stamp))) throw new Error(`Page ${page} is not any that was written`);
    return stamp;
  });
}
