// What happens when damage is met while an image is in use.
import { expect, it } from 'vitest';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { createImage } from '../../../engine/disk/qcow2/create.ts';
import { readHeader } from '../../../engine/disk/qcow2/header.ts';
import { repairImage } from '../../../engine/disk/qcow2/repair.ts';
import { contentOf, openImage } from './images.ts';

const CLUSTER = 65_536;
const CORRUPT = 2n;

async function image(): Promise<MemoryFile> {
  const file = new MemoryFile('damaged.qcow2');
  await createImage(file, { size: 64 * CLUSTER });
  const made = await openImage(file);
  await made.write(0, [new Uint8Array(4 * CLUSTER).fill(1)]);
  await made.close();
  // Closed with the image.
  return new MemoryFile(file.name, file.content());
}

async function put(file: MemoryFile, at: number, value: bigint): Promise<void> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  await file.write(at, [bytes]);
}

async function word(file: MemoryFile, at: number): Promise<bigint> {
  const bytes = new Uint8Array(8);
  await file.read(at, [bytes]);
  return new DataView(bytes.buffer).getBigUint64(0);
}

/** The entry of guest cluster 2 points to the L1 table: data would be written over it. */
async function pointIntoMetadata(file: MemoryFile): Promise<void> {
  const { l1 } = await readHeader(file);
  const table = Number((await word(file, l1.offset)) & 0xff_ffff_ffff_fe00n);
  await put(file, table + 16, BigInt(l1.offset) | (1n << 63n));
}

it('marks the image when a write meets damaged metadata, and changes it no more', async () => {
  const file = await image();
  await pointIntoMetadata(file);
  const disk = await openImage(file);
  await disk.write(0, [new Uint8Array(512).fill(7)]);
  await expect(disk.write(2 * CLUSTER, [new Uint8Array(512)])).rejects.toMatchObject({ kind: 'corrupt' });
  const marked = file.content();
  const refused = { kind: 'corrupt', message: /L1 table/ };
  await expect(disk.write(0, [new Uint8Array(512)])).rejects.toMatchObject(refused);
  await expect(disk.discard(0, CLUSTER)).rejects.toMatchObject(refused);
  await expect(disk.writeZeroes(0, CLUSTER)).rejects.toMatchObject(refused);
  const start = await contentOf(disk, 0, 1024);
  expect([start[0], start[511], start[512]]).toEqual([7, 7, 1]);
  await disk.flush();
  await disk.close();
  expect(Buffer.from(file.content()).equals(marked)).toBe(true);
  const again = new MemoryFile(file.name, marked);
  expect((await readHeader(again)).incompatible & CORRUPT).toBe(CORRUPT);
  await expect(openImage(again)).rejects.toMatchObject({ kind: 'corrupt', message: /marked as damaged/ });
});

it('does not mark it for a read', async () => {
  const file = await image();
  const table = Number((await word(file, (await readHeader(file)).l1.offset)) & 0xff_ffff_ffff_fe00n);
  await put(file, table, 1n << 40n);
  const disk = await openImage(file);
  await expect(contentOf(disk, 0, 512)).rejects.toMatchObject({ kind: 'corrupt' });
  await disk.write(CLUSTER, [new Uint8Array(512).fill(7)]);
  await disk.close();
  const after = new MemoryFile(file.name, file.content());
  expect((await readHeader(after)).incompatible & CORRUPT).toBe(0n);
  expect((await repairImage(after)).after.corruptions).toBe(1);
});

it('can be written to again when its owner gives up what is lost', async () => {
  const file = await image();
  const table = Number((await word(file, (await readHeader(file)).l1.offset)) & 0xff_ffff_ffff_fe00n);
  await put(file, table + 8, (1n << 40n) | (1n << 63n));
  await put(file, table + 16, 0x1e00n);
  const disk = await openImage(file);
  await expect(disk.write(CLUSTER, [new Uint8Array(512)])).rejects.toMatchObject({ kind: 'corrupt' });
  await disk.close();
  const marked = new MemoryFile(file.name, file.content());
  const kept = await repairImage(marked);
  expect(kept).toMatchObject({ lost: 0, after: { corruptions: 2, markedCorrupt: true } });
  const given = await repairImage(marked, { giveUpLost: true });
  expect(given).toMatchObject({ lost: 2, after: { corruptions: 0, leaks: 0, markedCorrupt: false } });
  const mended = await openImage(marked);
  await mended.write(2 * CLUSTER, [new Uint8Array(512).fill(9)]);
  const content = await contentOf(mended, 0, 4 * CLUSTER);
  const expected = new Uint8Array(4 * CLUSTER)
    .fill(1)
    .fill(0, CLUSTER, 3 * CLUSTER)
    .fill(9, 2 * CLUSTER, 2 * CLUSTER + 512);
  expect(Buffer.from(content).equals(expected)).toBe(true);
});
