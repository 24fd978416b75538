import path from 'node:path';
import { expect, it } from 'vitest';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { checkImage } from '../../../engine/disk/qcow2/check.ts';
import { createImage } from '../../../engine/disk/qcow2/create.ts';
import { RawDisk } from '../../../engine/disk/raw.ts';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { FaultyFile } from './faulty-file.ts';
import { loadFile, openImage, Random, saveFile } from './images.ts';
import { fileAfterCut } from './power-cut.ts';
import { qemuCheck, qemuImg, qemuIo } from './qemu.ts';

const SIZE = 8 * 2 ** 20;

async function info(file: string): Promise<{ name: string; flags: string[] }[]> {
  const { 'format-specific': specific } = JSON.parse(await qemuImg('info', '--output=json', file));
  return specific.data.bitmaps ?? [];
}

async function reopened(file: MemoryFile): Promise<MemoryFile> {
  return new MemoryFile(file.name, file.content());
}

it('keeps up bitmaps that QEMU has made, and QEMU reads them back', async () => {
  const name = path.join(temporaryFolder(), 'a.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', name, String(SIZE));
  await qemuImg('bitmap', '--add', '-g', '64k', name, 'on');
  await qemuImg('bitmap', '--add', '--disable', name, 'off');
  await qemuIo(name, ['write -P 1 1M 64k']);
  const file = await loadFile(name);
  const image = await openImage(file);
  expect((await image.bitmaps()).list()).toEqual([
    { name: 'on', granularity: 65_536, enabled: true, trusted: true },
    { name: 'off', granularity: 65_536, enabled: false, trusted: true },
  ]);
  expect(await (await image.bitmaps()).ranges('on')).toEqual([{ offset: 2 ** 20, length: 65_536 }]);
  await image.write(65_536 * 4 - 512, [new Uint8Array(1024)]);
  await image.writeZeroes(2 ** 21, 512);
  // While it is written to, the file says that the bitmap must not be trusted.
  await saveFile(await reopened(file), name);
  expect((await info(name)).find(bitmap => bitmap.name === 'on')?.flags).toContain('in-use');
  await image.close();
  await saveFile(file, name);
  expect(await qemuCheck(name)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  expect(await info(name)).toMatchObject([
    { name: 'off', flags: [] },
    { name: 'on', flags: ['auto'] },
  ]);
  const again = await openImage(await loadFile(name, true));
  const ranges = [
    { offset: 65_536 * 3, length: 131_072 },
    { offset: 2 ** 20, length: 65_536 },
    { offset: 2 ** 21, length: 65_536 },
  ];
  expect(await (await again.bitmaps()).ranges('on')).toEqual(ranges);
  // QEMU merges it into another one and finds the same.
  await qemuImg('bitmap', '--merge', 'on', name, 'off');
  const merged = await openImage(await loadFile(name, true));
  expect(await (await merged.bitmaps()).ranges('off')).toEqual(ranges);
});

it.each([512, 4096, 65_536])('makes, clears and removes bitmaps in images with clusters of %i', async clusterSize => {
  const folder = temporaryFolder();
  const name = path.join(folder, 'a.qcow2');
  const base = new MemoryFile('base.raw', new Uint8Array(SIZE), true);
  await saveFile(base, path.join(folder, 'base.raw'));
  let file = new MemoryFile('a.qcow2');
  const backing = { path: 'base.raw', format: 'raw' };
  await createImage(file, { size: SIZE, clusterSize, backing, compression: 'zstd' });
  const open = async () => await openImage(file, { backing: await RawDisk.open(base) });
  let image = await open();
  (await image.changeBitmaps()).create('backup', 512);
  await image.write(512, [new Uint8Array(512).fill(1)]);
  await image.close();
  await saveFile(file, name);
  expect(await qemuCheck(name)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  expect(await info(name)).toMatchObject([{ name: 'backup', granularity: 512, flags: ['auto'] }]);

  file = await reopened(file);
  image = await open();
  expect(await (await image.bitmaps()).ranges('backup')).toEqual([{ offset: 512, length: 512 }]);
  (await image.changeBitmaps()).clear('backup');
  await image.write(4096, [new Uint8Array(512).fill(2)]);
  await image.close();
  file = await reopened(file);
  image = await open();
  expect(await (await image.bitmaps()).ranges('backup')).toEqual([{ offset: 4096, length: 512 }]);
  (await image.changeBitmaps()).remove('backup');
  await image.close();
  await saveFile(file, name);
  expect(await qemuCheck(name)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  expect(await info(name)).toEqual([]);
});

it('trusts no bitmap after a crash until it is cleared, and none that others have ignored', async () => {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: SIZE });
  let image = await openImage(file);
  (await image.changeBitmaps()).create('b');
  await image.close();
  const crashed = await reopened(file);
  image = await openImage(crashed);
  await image.write(0, [new Uint8Array(512)]);
  await image.flush();
  const after = await reopened(crashed);
  image = await openImage(after);
  expect((await image.bitmaps()).list()).toMatchObject([{ name: 'b', trusted: false }]);
  await expect((await image.bitmaps()).ranges('b')).rejects.toMatchObject({ kind: 'state' });
  (await image.changeBitmaps()).clear('b');
  await image.close();
  const healed = await reopened(after);
  expect((await (await openImage(healed)).bitmaps()).list()).toMatchObject([{ name: 'b', trusted: true }]);
  expect(await checkImage(healed)).toMatchObject({ corruptions: 0, leaks: 0 });

  await healed.write(88, [new Uint8Array(8)]);
  const ignored = await (await openImage(healed)).bitmaps();
  expect(ignored.lost).toBe(true);
  expect(ignored.list()).toEqual([]);
});

it('a power cut while bitmaps are saved leaves them whole or not trusted', { timeout: 60_000 }, async () => {
  const random = new Random(9);
  const memory = new MemoryFile('a.qcow2');
  await createImage(memory, { size: SIZE, clusterSize: 512 });
  const first = await openImage(memory);
  (await first.changeBitmaps()).create('b', 512);
  await first.write(0, [new Uint8Array(4096).fill(1)]);
  await first.close();
  const start = memory.content();
  const file = new FaultyFile(random, new MemoryFile('a.qcow2', start), true);
  const image = await openImage(file);
  await image.write(2 ** 20, [new Uint8Array(300_032).fill(2)]);
  await image.close();
  let trusted = 0;
  for (let cut = 0; cut <= file.events.length; cut += 1) {
    const after = fileAfterCut(start, file.events, cut, random);
    expect(await checkImage(after)).toMatchObject({ corruptions: 0 });
    const bitmaps = await (await openImage(after)).bitmaps();
    if (bitmaps.list()[0]?.trusted !== true) continue;
    trusted += 1;
    const ranges = await bitmaps.ranges('b');
    const content = new Uint8Array(512);
    await (await openImage(after)).read(2 ** 20, [content]);
    // Where the write shows, the bitmap knows of it.
    if (content[0] === 2) expect(ranges).toContainEqual({ offset: 2 ** 20, length: 300_032 });
    else expect(ranges[0]).toEqual({ offset: 0, length: 4096 });
  }
  expect(trusted).toBeGreaterThan(0);
});
