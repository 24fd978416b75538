// Entries that point past the end of the file: what a repair does must never make them point to something.
import { expect, it } from 'vitest';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { checkImage } from '../../../engine/disk/qcow2/check.ts';
import { createImage } from '../../../engine/disk/qcow2/create.ts';
import { readHeader } from '../../../engine/disk/qcow2/header.ts';
import { repairImage } from '../../../engine/disk/qcow2/repair.ts';
import { openImage } from './images.ts';

const CLUSTER = 512;
const CLUSTERS = 8;
const FILL = 0xab;

async function image(): Promise<MemoryFile> {
  const file = new MemoryFile('a.qcow2');
  await createImage(file, { size: 64 * CLUSTER * CLUSTERS, clusterSize: CLUSTER });
  const disk = await openImage(file);
  for (let index = 0; index < CLUSTERS; index += 1) {
    await disk.write(index * CLUSTER, [new Uint8Array(CLUSTER).fill(index + 1)]);
  }
  await disk.close();
  return new MemoryFile(file.name, file.content());
}

async function put(file: MemoryFile, at: number, value: bigint): Promise<void> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  await file.write(at, [bytes]);
}

it('what a shortened file has lost is not given to others after a repair', async () => {
  const file = await image();
  await file.truncate((await file.size()) - 2 * CLUSTER);
  const { after } = await repairImage(file);
  expect(after).toMatchObject({ corruptions: 2, leaks: 0 });
  const disk = await openImage(file);
  for (let index = CLUSTERS; index < 4 * CLUSTERS; index += 1) {
    await disk.write(index * CLUSTER, [new Uint8Array(CLUSTER).fill(FILL)]);
  }
  const lost = new Uint8Array(2 * CLUSTER).fill(1);
  await disk.read((CLUSTERS - 2) * CLUSTER, [lost]).catch(() => lost.fill(0));
  expect(lost.every(byte => byte === 0)).toBe(true);
  await disk.close();
});

it.each([false, true])(
  'new refcounts are never put where an entry points to, the owner giving up: %s',
  async giveUpLost => {
    const file = await image();
    const { l1, refcountTable } = await readHeader(file);
    // A table just behind the file, and refcounts that have to be made anew there.
    await put(file, l1.offset + 8, BigInt(await file.size()) | (1n << 63n));
    await put(file, refcountTable.offset, 1n);
    const before = file.content();
    if (!giveUpLost) {
      await expect(repairImage(file)).rejects.toMatchObject({ kind: 'unsupported' });
      expect(file.content()).toEqual(before);
      return;
    }
    expect(await repairImage(file, { giveUpLost })).toMatchObject({ lost: 1, after: { corruptions: 0, leaks: 0 } });
    expect(await checkImage(file)).toMatchObject({ corruptions: 0, leaks: 0 });
    const disk = await openImage(file);
    const found = new Uint8Array(CLUSTER).fill(1);
    await disk.read(64 * CLUSTER, [found]);
    expect(found.every(byte => byte === 0)).toBe(true);
  },
);
