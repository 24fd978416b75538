// Resizing an image whose dirty bitmaps a crash has left without the promise that they are right.
import { expect, it } from 'vitest';
import { createWhole } from '../../engine/disk/chain/folder.ts';
import { openChain } from '../../engine/disk/chain/open.ts';
import { resizeDisk } from '../../engine/disk/jobs/resize.ts';
import { checkImage } from '../../engine/disk/qcow2/check.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { repairImage } from '../../engine/disk/qcow2/repair.ts';
import { MemoryFolder } from './memory-folder.ts';

const SIZE = 2 ** 20;
const AUTOCLEAR_AT = 88;
const PLACE = { path: 'a.qcow2', format: 'qcow2' } as const;

it('an image whose bitmaps count no more can be resized, and they stay lost', async () => {
  const folder = new MemoryFolder();
  await createWhole(folder, PLACE.path, file => createImage(file, { size: SIZE }));
  const made = await openChain(folder, PLACE, { access: 'write' });
  (await made.image!.changeBitmaps()).create('daily');
  await made.close();
  // Between taking back the promise and taking away the directory, when the last bitmap is removed.
  const file = await folder.open(PLACE.path, 'write');
  await file.write(AUTOCLEAR_AT, [new Uint8Array(8)]);
  await file.close();
  const layer = await openChain(folder, PLACE, { access: 'write' });
  expect((await layer.image!.bitmaps()).lost).toBe(true);
  await resizeDisk(layer, 2 * SIZE);
  expect(layer.size).toBe(2 * SIZE);
  expect((await layer.image!.bitmaps()).list()).toEqual([]);
  await layer.close();
  const whole = await folder.open(PLACE.path, 'write');
  await repairImage(whole);
  expect(await checkImage(whole)).toMatchObject({ corruptions: 0, leaks: 0 });
  await whole.close();
});
