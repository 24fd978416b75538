import { AfterimageError } from '../../base/errors.ts';
import { carryUp } from '../chain/bitmaps.ts';
import type { Layer } from '../chain/layer.ts';
import { layersFrom } from '../chain/open.ts';
import { backingName } from '../chain/paths.ts';
import { setBacking } from './header-edit.ts';
import type { Job } from './job.ts';
import { Journal } from './journal.ts';
import { PIECE_BYTES, Pipeline, piecesOf, rangesOf } from './ranges.ts';

/**
 * Puts a layer onto another one (or onto none) without a look at what they hold: its content stays the same only if
 * they agree wherever it says nothing itself. The layer may be in use; its requests wait meanwhile.
 */
export async function pivot(layer: Layer, backing: Layer | undefined): Promise<void> {
  if (layer.format !== 'qcow2') {
    throw new AfterimageError('usage', 'Only a qcow2 image has a backing file', { file: layer.path });
  }
  const reference = backing && { name: backingName(layer.path, backing.path), format: backing.format };
  const { access } = layer;
  await layer.reopen({ access: 'write', change: file => setBacking(file, reference), backing: backing ?? null });
  if (access === 'read') await layer.reopen({ access });
}

/**
 * Puts a layer that no machine writes to onto another one and keeps its content: what the two backing files do not
 * have in common is copied into it first. Layers that are not below it any more are closed.
 */
export async function rebase(layer: Layer, backing: Layer | undefined, job: Job): Promise<void> {
  const onto = backing === undefined ? {} : { base: backing.path };
  await Journal.during(layer.folder, { kind: 'rebase', layer: layer.path, ...onto, spare: [] }, () =>
    keepAndPivot(layer, backing, job),
  );
}

async function keepAndPivot(layer: Layer, backing: Layer | undefined, job: Job): Promise<void> {
  job.expect(layer.size);
  await Pipeline.during(job, async pipeline => {
    for await (const range of rangesOf(layer, 0, layer.size)) {
      if (range.kind !== 'below') {
        job.advance(range.length);
        continue;
      }
      for (const { offset, length } of piecesOf(range.offset, range.length)) {
        await pipeline.start(length, () => keep(layer, backing, offset, length));
      }
    }
  });
  await layer.flush();
  const before = layersFrom(layer).slice(1);
  job.enter('pivoting');
  const kept = new Set(backing === undefined ? [] : layersFrom(backing));
  await carryUp(
    before.filter(one => !kept.has(one)),
    layer,
  );
  await pivot(layer, backing);
  const below = new Set(layersFrom(layer));
  for (const gone of before) if (!below.has(gone)) await gone.close();
}

async function keep(layer: Layer, backing: Layer | undefined, offset: number, length: number): Promise<void> {
  const now = new Uint8Array(length);
  const then = new Uint8Array(length);
  await layer.read(offset, [now]);
  const within = Math.max(0, Math.min(length, (backing?.size ?? 0) - offset));
  if (within > 0) await backing!.read(offset, [then.subarray(0, within)]);
  await writeDifferent(layer, offset, now, then);
}

/** Blocks compared one by one: what a file system writes at once. */
const BLOCK = 4096;

/** Writes the blocks of `wanted` that differ from `present`, in runs. */
export async function writeDifferent(
  layer: Layer,
  offset: number,
  wanted: Uint8Array,
  present: Uint8Array,
): Promise<void> {
  let start = -1;
  for (let at = 0; at < Math.min(wanted.length, PIECE_BYTES) + BLOCK; at += BLOCK) {
    const differs = at < wanted.length && !sameBytes(wanted.subarray(at, at + BLOCK), present.subarray(at, at + BLOCK));
    if (differs && start < 0) start = at;
    if (differs || start < 0) continue;
    await layer.fill(offset + start, [wanted.subarray(start, at)]);
    start = -1;
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  const { byteOffset, length } = bytes;
  if (byteOffset % 4 !== 0 || length % 4 !== 0) return bytes.every(byte => byte === 0);
  const words = new Int32Array(bytes.buffer as ArrayBuffer, byteOffset, length / 4);
  for (let at = 0; at < words.length; at += 1) if (words[at] !== 0) return false;
  return true;
}
