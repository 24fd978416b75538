// A chain of layers as one disk, piece by piece: what an exported checkpoint holds of it.
import { PAGE_SIZE } from '../base/addresses.ts';
import type { DiskRun, FlatDisk } from '../checkpoint/export.ts';
import type { Layer } from '../disk/chain/layer.ts';
import { rangesOf } from '../disk/jobs/ranges.ts';

const PIECE = 1024 * 1024;

export function flatDisk(device: string, top: Layer): FlatDisk {
  return { device, bytes: top.size, runs: runsOf(top) };
}

/** All that is not zeroes by the chain's maps, in whole pages. */
async function* runsOf(top: Layer): AsyncGenerator<DiskRun> {
  const buffer = new Uint8Array(PIECE);
  let next = 0;
  for await (const { from, to } of dataRanges(top, 0, top.size)) {
    const end = Math.min(top.size, Math.ceil(to / PAGE_SIZE) * PAGE_SIZE);
    // Two ranges may share a page.
    for (let at = Math.max(next, Math.floor(from / PAGE_SIZE) * PAGE_SIZE); at < end; ) {
      const length = Math.min(PIECE, end - at);
      const bytes = buffer.subarray(0, length);
      await top.read(at, [bytes]);
      yield { offset: at, bytes };
      at += length;
      next = at;
    }
  }
}

/** Ranges that some layer has data for. */
async function* dataRanges(layer: Layer, from: number, to: number): AsyncGenerator<{ from: number; to: number }> {
  for await (const { kind, offset, length } of rangesOf(layer, from, to)) {
    const { backing } = layer;
    if (kind === 'data') yield { from: offset, to: offset + length };
    else if (kind === 'below' && backing !== undefined) {
      const end = Math.min(offset + length, backing.size);
      if (offset < end) yield* dataRanges(backing, offset, end);
    }
  }
}
