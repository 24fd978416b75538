import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { checkImage } from '../../../engine/disk/qcow2/check.ts';
import { type CreateOptions, createImage } from '../../../engine/disk/qcow2/create.ts';
import { readHeader } from '../../../engine/disk/qcow2/header.ts';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { FaultyFile } from './faulty-file.ts';
import { contentOf, firstDifference, loadFile, openImage, Random, saveFile } from './images.ts';
import { qemuCheck, qemuImg, qemuIo } from './qemu.ts';

const SIZE = 4 * 2 ** 20 + 512;

const variants: readonly CreateOptions[] = [
  { size: SIZE },
  { size: 0 },
  { size: SIZE, version: 2 },
  { size: SIZE, extendedL2: true },
  { size: SIZE, lazyRefcounts: true },
  { size: SIZE, preallocation: 'metadata' },
  { size: SIZE, preallocation: 'metadata', extendedL2: true, clusterSize: 16_384 },
  { size: SIZE, preallocation: 'metadata', clusterSize: 512, refcountBits: 64 },
  { size: SIZE, compression: 'zstd' },
  { size: SIZE, refcountBits: 1 },
  { size: SIZE, refcountBits: 2, clusterSize: 2 ** 21 },
  { size: 2 ** 40, clusterSize: 4096 },
];

it.each(variants)('QEMU finds in a new image what was asked for, and writes to it: %j', async options => {
  const name = path.join(temporaryFolder(), 'a.qcow2');
  const file = new MemoryFile('a.qcow2');
  await createImage(file, options);
  await saveFile(file, name);
  expect(await qemuCheck(name)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  const info = JSON.parse(await qemuImg('info', '--output=json', name));
  expect(info).toMatchObject({ 'virtual-size': options.size, 'cluster-size': options.clusterSize ?? 65_536 });
  const data = info['format-specific'].data;
  if (options.version === 2) expect(data.compat).toBe('0.10');
  else {
    expect(data).toMatchObject({
      compat: '1.1',
      'refcount-bits': options.refcountBits ?? 16,
      'lazy-refcounts': options.lazyRefcounts ?? false,
      'extended-l2': options.extendedL2 ?? false,
      'compression-type': options.compression === 'zstd' ? 'zstd' : 'zlib',
      corrupt: false,
    });
  }
  if (options.size !== SIZE) return;
  await qemuIo(name, ['write -P 1 100000 200000', 'write -P 2 4M 512', 'discard 128k 64k', 'write -P 3 3M 1024']);
  expect(await qemuCheck(name)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', name, `${name}.raw`);
  const theirs = await loadFile(name);
  const image = await openImage(theirs);
  const expected = await readFile(`${name}.raw`);
  expect(firstDifference(await contentOf(image), expected)).toBe(-1);
  // And we into what QEMU has written to.
  await image.write(99_840, [new Uint8Array(5120).fill(9)]);
  expected.fill(9, 99_840, 99_840 + 5120);
  await image.close();
  await saveFile(theirs, name);
  expect(await qemuCheck(name)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  expect(firstDifference(await contentOf(await openImage(await loadFile(name))), expected)).toBe(-1);
});

it.each([512, 65_536])('records the backing file and its format, with clusters of %i', async clusterSize => {
  const folder = temporaryFolder();
  await writeFile(path.join(folder, 'größe.raw'), new Uint8Array(4096).fill(5));
  const name = path.join(folder, 'a.qcow2');
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 65_536, clusterSize, backing: { path: 'größe.raw', format: 'raw' } });
  await saveFile(file, name);
  expect(JSON.parse(await qemuImg('info', '--output=json', name))).toMatchObject({
    'backing-filename': 'größe.raw',
    'backing-filename-format': 'raw',
  });
  await qemuIo(name, ['read -P 5 0 4096', 'read -P 0 4096 4096']);
  const image = await openImage(new MemoryFile('copy', file.content()));
  await expect(contentOf(image)).rejects.toMatchObject({ kind: 'missing' });
  // Allocation needs no backing file.
  expect(await image.allocation(0, 65_536)).toEqual([{ kind: 'backing', offset: 0, length: 65_536 }]);
});

it('clears autoclear bits that it does not know with its first change, and not before', async () => {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 65_536 });
  await file.write(88, [new Uint8Array([0x80])]);
  const image = await openImage(file);
  await contentOf(image);
  expect((await readHeader(file)).autoclear).toBe(1n << 63n);
  await image.write(0, [new Uint8Array(512)]);
  expect((await readHeader(file)).autoclear).toBe(0n);
});

it('ignores compatible bits that it does not know and keeps them', async () => {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 65_536 });
  await file.write(80, [new Uint8Array([0x40])]);
  const image = await openImage(file);
  await image.write(0, [new Uint8Array(512)]);
  await image.flush();
  expect((await readHeader(file)).compatible).toBe(1n << 62n);
});

it.each<[string, CreateOptions]>([
  ['a size that is no number of sectors', { size: 1000 }],
  ['clusters of 3000 bytes', { size: 512, clusterSize: 3000 }],
  ['clusters of 4 MiB', { size: 512, clusterSize: 2 ** 22 }],
  ['subclusters of 256 bytes', { size: 512, clusterSize: 8192, extendedL2: true }],
  ['refcounts of 3 bits', { size: 512, refcountBits: 3 }],
  ['features in version 2', { size: 512, version: 2, extendedL2: true }],
  [
    'preallocation over a backing file',
    { size: 512, preallocation: 'metadata', backing: { path: 'a', format: 'raw' } },
  ],
  ['a backing file without a name', { size: 512, backing: { path: '', format: 'raw' } }],
  ['a disk too large for its clusters', { size: 2 ** 45, clusterSize: 512 }],
])('refuses %s', async (_, options) => {
  await expect(createImage(new MemoryFile('a'), options)).rejects.toMatchObject({ kind: 'usage' });
});

it('does not overwrite a file that holds something', async () => {
  const file = new MemoryFile('a', new Uint8Array(1));
  await expect(createImage(file, { size: 512 })).rejects.toMatchObject({ kind: 'usage' });
});

it('writes nothing over tables, whatever a damaged image says', async () => {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 2 ** 20 });
  const first = await openImage(file);
  await first.write(0, [new Uint8Array(65_536).fill(1)]);
  await first.close();
  const bytes = file.content();
  const view = new DataView(bytes.buffer);
  const l1 = Number(view.getBigUint64(40));
  const l2 = Number(view.getBigUint64(l1) & 0xffff_ffff_fe00n);
  // Cluster 0 is said to lie where the L1 table is.
  view.setBigUint64(l2, (1n << 63n) | BigInt(l1));
  const damaged = new MemoryFile('a.qcow2', bytes);
  const image = await openImage(damaged);
  await expect(image.write(0, [new Uint8Array(65_536)])).rejects.toMatchObject({
    kind: 'corrupt',
    context: { offset: l1 },
  });
  // All that changes is the header's bit that says so.
  bytes[79]! |= 2;
  expect(firstDifference(damaged.content(), bytes)).toBe(-1);
});

it('writes nothing and stays clean when an image is only read', async () => {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 2 ** 20 });
  const before = file.content();
  const image = await openImage(file);
  await contentOf(image);
  await image.flush();
  await image.close();
  expect(firstDifference(file.content(), before)).toBe(-1);
});

it('close waits for requests under way, those that wait for others included', async () => {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 2 ** 20 });
  const image = await openImage(new FaultyFile(new Random(3), file));
  const writes = Array.from({ length: 8 }, (_, value) => image.write(4096, [new Uint8Array(4096).fill(value)]));
  await image.close();
  await Promise.all(writes);
  await expect(image.write(0, [new Uint8Array(512)])).rejects.toMatchObject({ kind: 'state' });
  const again = await openImage(new MemoryFile('a.qcow2', file.content()));
  expect((await contentOf(again, 4096, 4096)).every(byte => byte === 7)).toBe(true);
});

it('keeps its caches within what they were given', async () => {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 2 ** 25, clusterSize: 512 });
  const cache = { l2Bytes: 32_768, refcountBytes: 8192 };
  const image = await openImage(file, { cache });
  const data = new Uint8Array(512).fill(1);
  for (let at = 0; at < image.size; at += 65_536) {
    await image.write(at, [data]);
    // One new table may come on top of what is full.
    expect(await image.cachedBytes()).toBeLessThanOrEqual(cache.l2Bytes + cache.refcountBytes + 2 * 512);
  }
  await image.close();
  expect(await checkImage(new MemoryFile('a', file.content()))).toMatchObject({ corruptions: 0, leaks: 0 });
});
