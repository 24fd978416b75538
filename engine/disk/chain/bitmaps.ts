// Dirty bitmaps of a disk, which is a chain: what was written since a named point. Each layer records what is written
// into it. A layer that is put on top goes on under the same stored name, so that what has changed is the union of the
// layers' bitmaps from the top down, as far as they have one of that name.
//
// A bitmap that starts anew while layers below keep the old one gets another stored name: NAME, NAME~2, NAME~3...
import { AfterimageError } from '../../base/errors.ts';
import type { DirtyRange } from '../qcow2/bitmaps.ts';
import type { Qcow2Image } from '../qcow2/image.ts';
import type { Layer } from './layer.ts';

const GENERATION = /~(\d{1,9})$/;

export interface DiskBitmap {
  readonly name: string;
  /** Bytes of disk to a bit. */
  readonly granularity: number;
  readonly enabled: boolean;
  /** False after a crash or a change by another program: then everything counts as changed. */
  readonly trusted: boolean;
}

/** The bitmaps in force at the top of a chain. */
export async function listBitmaps(top: Layer): Promise<DiskBitmap[]> {
  const found: DiskBitmap[] = [];
  for (const { name: stored, granularity, enabled } of await latestIn(top)) {
    const { trusted } = await layersWith(top, stored);
    found.push({ name: nameOf(stored), granularity, enabled, trusted });
  }
  return found;
}

/** Begins to record writes: the named point is now. Requests wait for a moment. Errors: `usage`, `unsupported` for a raw disk. */
export async function addBitmap(top: Layer, name: string, granularity?: number): Promise<void> {
  if (GENERATION.test(name)) throw new AfterimageError('usage', 'The name ends like one that we give', { name });
  if ((await storedIn(top)).some(({ name: stored }) => nameOf(stored) === name)) {
    throw new AfterimageError('usage', 'There is a bitmap of this name', { name });
  }
  const image = imageOf(top);
  (await image.changeBitmaps()).create(await freeName(top, name), granularity);
  await save(top);
}

/** Sets the named point to now; a bitmap that was not trusted is trusted again. */
export async function clearBitmap(top: Layer, name: string): Promise<void> {
  const stored = await storedName(top, name);
  const bitmaps = await imageOf(top).changeBitmaps();
  const earlier = bitmaps.list().filter(one => nameOf(one.name) === name && one.name !== stored);
  for (const one of earlier) bitmaps.remove(one.name);
  const info = bitmaps.list().find(one => one.name === stored)!;
  const below = top.backing === undefined ? [] : await generationsFrom(top.backing, name);
  if (below.length === 0) bitmaps.clear(stored);
  else {
    bitmaps.remove(stored);
    bitmaps.create(await freeName(top, name), info.granularity, info.enabled);
  }
  await save(top);
}

export async function removeBitmap(top: Layer, name: string): Promise<void> {
  await storedName(top, name);
  const bitmaps = await imageOf(top).changeBitmaps();
  for (const one of bitmaps.list()) if (nameOf(one.name) === name) bitmaps.remove(one.name);
  await save(top);
}

/**
 * What was written to since the named point, in order. Errors: `missing`, and `state` when that is not known: then a
 * backup must take everything.
 */
export async function dirtyRanges(top: Layer, name: string): Promise<DirtyRange[]> {
  const stored = await storedName(top, name);
  const { layers, trusted } = await layersWith(top, stored);
  if (!trusted) {
    throw new AfterimageError(
      'state',
      'The bitmap has missed writes and is not trusted; everything counts as changed',
      {
        name,
      },
    );
  }
  const all: DirtyRange[] = [];
  for (const layer of layers) {
    const bitmaps = await imageOf(layer).bitmaps();
    for (const range of await bitmaps.ranges(stored)) all.push(range);
  }
  // A layer below may be the larger one.
  return joined(clipped(all, top.size));
}

/** Has an overlay go on with what its backing records, or, for names in `restarted`, begin anew. */
export async function continueBitmaps(overlay: Layer, restarted: readonly string[] = []): Promise<void> {
  const { backing, image } = overlay;
  if (backing === undefined || image === undefined) return;
  const going = (await latestIn(backing)).filter(({ enabled }) => enabled);
  if (going.length === 0) return;
  const bitmaps = await image.changeBitmaps();
  for (const { name: stored, granularity } of going) {
    const name = nameOf(stored);
    bitmaps.create(restarted.includes(name) ? await freeName(overlay, name) : stored, granularity);
  }
  await save(overlay);
}

/**
 * Takes over what a layer has recorded into the one below, which is to stand in its place. Returns false, with nothing
 * done, when that one cannot keep bitmaps.
 */
export async function carryDown(layer: Layer, below: Layer): Promise<boolean> {
  if ((await storedIn(layer)).length === 0) return true;
  if (below.image === undefined || below.image.header.version < 3) return false;
  await copyBitmaps(layer, below.image);
  await save(below);
  return true;
}

/** Takes over into a layer what those below it have recorded for its bitmaps, before they leave the chain. */
export async function carryUp(gone: readonly Layer[], layer: Layer): Promise<void> {
  const infos = await storedIn(layer);
  if (infos.length === 0 || layer.image === undefined) return;
  const { access } = layer;
  if (access === 'read') await layer.reopen({ access: 'write' });
  const target = await layer.image.changeBitmaps();
  for (const { name } of infos) {
    const { layers, trusted } = await layersWith(layer, name);
    if (!trusted) await target.markIn(name, [{ offset: 0, length: layer.size }]);
    else
      for (const from of layers) if (gone.includes(from)) await target.markIn(name, await rangesIn(from, name, layer));
  }
  await save(layer, access);
}

/**
 * Opening an image anew stores its bitmaps. From then on they are in the file, if only as not to be trusted: a crash
 * must not leave a chain where some layers have a bitmap and the one that missed it counts as older.
 */
async function save(layer: Layer, access: 'read' | 'write' = 'write'): Promise<void> {
  await layer.reopen({ access });
}

async function rangesIn(from: Layer, stored: string, on: Layer): Promise<DirtyRange[]> {
  return clipped(await (await imageOf(from).bitmaps()).ranges(stored), on.size);
}

/** Adds what a layer has recorded to an image's bitmaps. What is not trusted counts as changed everywhere. */
export async function copyBitmaps(from: Layer, to: Qcow2Image): Promise<void> {
  const source = await from.image?.bitmaps();
  const infos = source?.list() ?? [];
  if (source === undefined || infos.length === 0) return;
  const target = await to.changeBitmaps();
  const present = new Set(target.list().map(({ name }) => name));
  for (const { name, granularity, enabled, trusted } of infos) {
    if (!present.has(name)) target.create(name, granularity, enabled);
    await target.markIn(name, clipped(trusted ? await source.ranges(name) : [{ offset: 0, length: to.size }], to.size));
  }
}

export interface KeptBitmap extends DiskBitmap {
  readonly ranges: readonly DirtyRange[];
}

/** Takes all bitmaps off an image, for a change that they would not survive. A crash before they are back loses them. */
export async function takeBitmaps(layer: Layer): Promise<KeptBitmap[]> {
  const infos = await storedIn(layer);
  if (infos.length === 0) return [];
  const bitmaps = await imageOf(layer).changeBitmaps();
  const kept: KeptBitmap[] = [];
  for (const info of infos) {
    kept.push({ ...info, ranges: info.trusted ? await bitmaps.ranges(info.name) : [] });
    bitmaps.remove(info.name);
  }
  await layer.reopen({});
  return kept;
}

/** Puts them back; what the disk has gained since counts as changed, and what was not trusted does so everywhere. */
export async function putBitmaps(layer: Layer, kept: readonly KeptBitmap[], sizeBefore: number): Promise<void> {
  if (kept.length === 0) return;
  const bitmaps = await imageOf(layer).changeBitmaps();
  for (const { name, granularity, enabled, trusted, ranges } of kept) {
    bitmaps.create(name, granularity, enabled);
    const gained = trusted ? sizeBefore : 0;
    await bitmaps.markIn(name, clipped([...ranges, { offset: gained, length: layer.size - gained }], layer.size));
  }
  await save(layer);
}

/** What of ranges is on a disk of a size. */
function clipped(ranges: readonly DirtyRange[], size: number): DirtyRange[] {
  const inside = ranges.filter(({ offset, length }) => length > 0 && offset < size);
  return inside.map(({ offset, length }) => ({ offset, length: Math.min(length, size - offset) }));
}

/** Adjacent and overlapping ranges made one. */
function joined(ranges: readonly DirtyRange[]): DirtyRange[] {
  const result: { offset: number; length: number }[] = [];
  for (const { offset, length } of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const last = result.at(-1);
    if (last === undefined || offset > last.offset + last.length) result.push({ offset, length });
    else last.length = Math.max(last.length, offset + length - last.offset);
  }
  return result;
}

function nameOf(stored: string): string {
  return stored.replace(GENERATION, '');
}

function imageOf(layer: Layer) {
  const { image } = layer;
  if (image === undefined) {
    throw new AfterimageError('unsupported', 'A raw file cannot keep bitmaps; put an overlay on it', {
      file: layer.path,
    });
  }
  return image;
}

async function storedIn(layer: Layer) {
  return (await layer.image?.bitmaps())?.list() ?? [];
}

async function storedName(top: Layer, name: string): Promise<string> {
  imageOf(top);
  const found = (await latestIn(top)).find(one => nameOf(one.name) === name);
  if (found === undefined) throw new AfterimageError('missing', 'The disk has no bitmap of this name', { name });
  return found.name;
}

/** Of each name the latest: a commit may have brought it into a layer that had an earlier one. */
async function latestIn(layer: Layer) {
  const all = await storedIn(layer);
  const later = (one: string, other: string) =>
    nameOf(one) === nameOf(other) && generationOf(one) > generationOf(other);
  return all.filter(({ name }) => !all.some(other => later(other.name, name)));
}

function generationOf(stored: string): number {
  return Number(GENERATION.exec(stored)?.[1] ?? 1);
}

/** Numbers of the generations of a name that layers have, from one on down. */
async function generationsFrom(layer: Layer, name: string): Promise<number[]> {
  const found: number[] = [];
  for (let next: Layer | undefined = layer; next !== undefined; next = next.backing) {
    for (const { name: stored } of await storedIn(next)) {
      if (nameOf(stored) === name) found.push(generationOf(stored));
    }
  }
  return found;
}

async function freeName(top: Layer, name: string): Promise<string> {
  const used = await generationsFrom(top, name);
  return used.length === 0 ? name : `${name}~${Math.max(...used) + 1}`;
}

/** The layers that record under a stored name, from the top, and whether they tell the whole story. */
async function layersWith(top: Layer, stored: string): Promise<{ layers: Layer[]; trusted: boolean }> {
  const layers: Layer[] = [];
  let trusted = true;
  let gap = false;
  for (let layer: Layer | undefined = top; layer !== undefined; layer = layer.backing) {
    const bitmaps = await layer.image?.bitmaps();
    const info = bitmaps?.list().find(({ name }) => name === stored);
    if (info === undefined) {
      // Another program has written to it, and may have had the bitmap go on.
      if (!gap && bitmaps?.lost) trusted = false;
      gap = true;
      continue;
    }
    // A layer between that recorded nothing.
    if (gap) trusted = false;
    layers.push(layer);
    trusted &&= info.trusted;
  }
  return { layers, trusted };
}
