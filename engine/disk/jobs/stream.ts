// Stream: what the layers below have comes into an overlay, which then needs them no more.
import { AfterimageError } from '../../base/errors.ts';
import { BufferPool } from '../buffers.ts';
import { carryUp } from '../chain/bitmaps.ts';
import type { Layer } from '../chain/layer.ts';
import type { LiveDisk } from '../chain/live-disk.ts';
import { layersFrom } from '../chain/open.ts';
import type { Job } from './job.ts';
import { Journal } from './journal.ts';
import { PIECE_BYTES, Pipeline, piecesOf, rangesOf } from './ranges.ts';
import { isZero, pivot } from './rebase.ts';

/** For all streams: as many as steps that run together. */
const pool = new BufferPool(PIECE_BYTES);

export interface StreamParts {
  readonly live: LiveDisk;
  readonly job: Job;
}

/**
 * Pulls what lies between `layer` and `base` (or below it all, without a base) into `layer`, active or frozen, and
 * puts it onto `base`. The layers in between are closed and their files left alone: others may need them; returned
 * are their names. A failure or cancel leaves the same content; to resume is to do it again, which skips what is there.
 */
export async function stream(parts: StreamParts, layer: Layer, base: Layer | undefined): Promise<string[]> {
  const between = layersFrom(layer).slice(1);
  const end = base === undefined ? between.length : between.indexOf(base);
  if (end < 0) throw new AfterimageError('usage', 'The base is not below the layer', { file: layer.path });
  if (layer.format !== 'qcow2')
    throw new AfterimageError('usage', 'A raw layer has nothing below', { file: layer.path });
  const onto = base === undefined ? {} : { base: base.path };
  await Journal.during(layer.folder, { kind: 'stream', layer: layer.path, ...onto, spare: [] }, () =>
    pullInto(parts, layer, between.slice(0, end), base),
  );
  return between.slice(0, end).map(gone => gone.path);
}

async function pullInto(
  parts: StreamParts,
  layer: Layer,
  between: readonly Layer[],
  base: Layer | undefined,
): Promise<void> {
  const { live, job } = parts;
  for (const one of layersFrom(layer)) await live.freezeAgain(one);
  const { frozen } = layer;
  layer.thaw();
  try {
    if (layer.readonly) await layer.reopen({ access: 'write' });
    layer.image?.expectBelow(base?.size ?? 0);
    await pull(parts, layer, between, base);
    await layer.flush();
    job.enter('ready');
    await live.exclusively(async () => {
      job.enter('pivoting');
      await carryUp(between, layer);
      await pivot(layer, base);
    });
  } finally {
    if (frozen) layer.freeze();
  }
  for (const gone of between) await gone.close();
}

async function pull(parts: StreamParts, layer: Layer, between: readonly Layer[], base: Layer | undefined) {
  const { job, live } = parts;
  job.expect(layer.size);
  await Pipeline.during(job, async pipeline => {
    for await (const range of rangesOf(layer, 0, layer.size)) {
      if (range.kind !== 'below') {
        job.advance(range.length);
        continue;
      }
      for (const { offset, length } of piecesOf(range.offset, range.length)) {
        await pipeline.start(length, async () => {
          // Only what the active layer's guest may write to meanwhile has to be held.
          const release = layer === live.active ? await live.hold(offset, length) : () => undefined;
          try {
            await pullPiece(layer, between, base, offset, length);
          } finally {
            release();
          }
        });
      }
    }
  });
}

/** The look-up is made again under the hold: the guest may have written since. */
async function pullPiece(
  layer: Layer,
  between: readonly Layer[],
  base: Layer | undefined,
  offset: number,
  length: number,
): Promise<void> {
  for await (const range of rangesOf(layer, offset, offset + length)) {
    if (range.kind === 'below') await pullRange(layer, between, base, range.offset, range.length);
  }
}

/** Copies a range that the layer says nothing about, as far as the first of the layers between say something. */
async function pullRange(
  layer: Layer,
  between: readonly Layer[],
  base: Layer | undefined,
  offset: number,
  length: number,
): Promise<void> {
  const [next, ...rest] = between;
  if (next === undefined) return;
  // Past the end of a layer there are zeroes, whatever lies below it.
  const end = Math.min(offset + length, Math.max(offset, next.size));
  for await (const range of rangesOf(next, offset, end)) {
    if (range.kind === 'below') await pullRange(layer, rest, base, range.offset, range.length);
    else if (range.kind === 'zero') await putZeroes(layer, base, range.offset, range.length);
    else await put(layer, base, range.offset, range.length);
  }
  if (end < offset + length) await putZeroes(layer, base, end, offset + length - end);
}

async function put(layer: Layer, base: Layer | undefined, offset: number, length: number): Promise<void> {
  await pool.lend(length, async bytes => {
    await layer.read(offset, [bytes]);
    if (isZero(bytes)) await putZeroes(layer, base, offset, length);
    else await layer.fill(offset, [bytes]);
  });
}

/** Zeroes need a place only where the base would show something else. */
async function putZeroes(layer: Layer, base: Layer | undefined, offset: number, length: number): Promise<void> {
  if (base !== undefined && offset < base.size) await layer.fillZeroes(offset, length);
}
