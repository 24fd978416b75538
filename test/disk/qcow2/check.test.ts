import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { checkImage } from '../../../engine/disk/qcow2/check.ts';
import { readHeader } from '../../../engine/disk/qcow2/header.ts';
import { repairImage } from '../../../engine/disk/qcow2/repair.ts';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { contentOf, firstDifference, loadFile, openImage, saveFile } from './images.ts';
import { qemuCheck, qemuImg, qemuIo } from './qemu.ts';

async function used(file: string, options: string, snapshot = false): Promise<void> {
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, file, '4M');
  await qemuIo(file, ['write -P 1 0 700000', 'write -P 2 2M 512k', 'discard 2M 128k']);
  if (!snapshot) return;
  await qemuImg('snapshot', '-c', 'one', file);
  await qemuIo(file, ['write -P 3 65536 131072']);
}

const VARIANTS = [
  'compat=0.10',
  'cluster_size=512',
  'cluster_size=2097152',
  'extended_l2=on',
  'refcount_bits=1',
  'refcount_bits=4',
  'refcount_bits=64',
  'preallocation=metadata',
];

it.each(VARIANTS)('finds nothing wrong with what QEMU made: %s', async options => {
  const file = path.join(temporaryFolder(), 'a.qcow2');
  await used(file, options, !options.includes('refcount_bits=1'));
  expect((await checkImage(await loadFile(file, true))).findings).toEqual([]);
});

async function word(file: MemoryFile, at: number): Promise<bigint> {
  const bytes = new Uint8Array(8);
  await file.read(at, [bytes]);
  return new DataView(bytes.buffer).getBigUint64(0);
}

async function setWord(file: MemoryFile, at: number, value: bigint): Promise<void> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  await file.write(at, [bytes]);
}

const damages: Record<string, (file: MemoryFile) => Promise<void>> = {
  'a leak': async file => {
    const block = Number(await word(file, (await readHeader(file)).refcountTable.offset));
    await file.write(block + 2 * 6, [new Uint8Array([0, 5])]);
  },
  'a refcount too low': async file => {
    const block = Number(await word(file, (await readHeader(file)).refcountTable.offset));
    await file.write(block + 2 * 6, [new Uint8Array([0, 0])]);
  },
  'no refcount block': async file => setWord(file, (await readHeader(file)).refcountTable.offset, 0n),
  'a refcount block past the end': async file => {
    await setWord(file, (await readHeader(file)).refcountTable.offset, 0x10_0000_0000n);
  },
  'a missing flag in L1': async file => {
    const { offset } = (await readHeader(file)).l1;
    await setWord(file, offset, (await word(file, offset)) & ~(1n << 63n));
  },
  'a missing flag in L2': async file => {
    const table = Number((await word(file, (await readHeader(file)).l1.offset)) & 0xffff_ffff_fe00n);
    await setWord(file, table + 8, (await word(file, table + 8)) & ~(1n << 63n));
  },
};

it.each(Object.keys(damages))('repairs %s, and QEMU agrees before and after', async name => {
  const path1 = path.join(temporaryFolder(), 'a.qcow2');
  await used(path1, 'compat=1.1', name.includes('leak'));
  const before = await contentOf(await openImage(await loadFile(path1, true)));
  const file = await loadFile(path1);
  await damages[name]!(file);
  await saveFile(file, path1);
  const theirs = await qemuCheck(path1);
  const report = await repairImage(file);
  expect({ corrupt: report.before.corruptions > 0, leaks: report.before.leaks }).toEqual({
    corrupt: theirs.corruptions > 0,
    leaks: theirs.leaks,
  });
  expect(report.after.findings).toEqual([]);
  await saveFile(file, path1);
  expect(await qemuCheck(path1)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  expect(firstDifference(await contentOf(await openImage(file)), before)).toBe(-1);
});

it('reports entries that point nowhere and leaves them alone', async () => {
  const path1 = path.join(temporaryFolder(), 'a.qcow2');
  await used(path1, 'compat=1.1');
  const file = await loadFile(path1);
  const table = Number((await word(file, (await readHeader(file)).l1.offset)) & 0xffff_ffff_fe00n);
  await setWord(file, table, 0x8000_0001_0000_0000n);
  const report = await repairImage(file);
  expect(report.after).toMatchObject({ corruptions: 1, leaks: 0 });
  expect(report.after.findings[0]).toMatchObject({ kind: 'corruption', offset: table });
  await expect(contentOf(await openImage(file))).rejects.toMatchObject({ kind: 'corrupt', context: { offset: table } });
});

it('rebuilds the refcounts of an image that was not closed (lazy refcounts) before it is written to', async () => {
  const path1 = path.join(temporaryFolder(), 'a.qcow2');
  await used(path1, 'lazy_refcounts=on');
  // Killed before it could write refcounts: the dirty bit stays.
  await qemuIo(path1, ['write -P 7 3M 300k', 'flush', 'abort']).catch(() => undefined);
  expect((await readHeader(await loadFile(path1))).incompatible & 1n).toBe(1n);
  await qemuImg('convert', '-U', '-f', 'qcow2', '-O', 'raw', path1, `${path1}.raw`);
  const expected = await readFile(`${path1}.raw`);
  const file = await loadFile(path1);
  const image = await openImage(file);
  expect(firstDifference(await contentOf(image), expected)).toBe(-1);
  await image.write(0, [new Uint8Array(1000).fill(9)]);
  expected.fill(9, 0, 1000);
  await image.close();
  await saveFile(file, path1);
  expect(await qemuCheck(path1)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  expect(firstDifference(await contentOf(await openImage(await loadFile(path1))), expected)).toBe(-1);
});
