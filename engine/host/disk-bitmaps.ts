import { type BitmapAction, type BitmapResult, MOST_RANGES } from '../api/disk.ts';
import { addBitmap, clearBitmap, dirtyRanges, listBitmaps, removeBitmap } from '../disk/chain/bitmaps.ts';
import type { Layer } from '../disk/chain/layer.ts';

/** Does what is asked with the bitmaps in force at the top of a chain. */
export async function runBitmapAction(top: Layer, does: BitmapAction): Promise<BitmapResult> {
  if (does.action === 'add') await addBitmap(top, does.name, does.granularity);
  else if (does.action === 'clear') await clearBitmap(top, does.name);
  else if (does.action === 'remove') await removeBitmap(top, does.name);
  const bitmaps = await listBitmaps(top);
  if (does.action !== 'map') return { kind: 'bitmap', bitmaps };
  const { from = 0 } = does;
  const all = (await dirtyRanges(top, does.name)).filter(({ offset }) => offset >= from);
  const ranges = all.slice(0, MOST_RANGES);
  const next = all[MOST_RANGES]?.offset;
  return { kind: 'bitmap', bitmaps, ranges, ...(next === undefined ? {} : { next }) };
}
