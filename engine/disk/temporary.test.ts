import { describe, expect, it } from 'vitest';
import { Random } from '../../test/contract/random.ts';
import { DelayedFile } from '../../test/disk/delayed-file.ts';
import { runModel } from '../../test/disk/model.ts';
import { MemoryFile } from './memory-file.ts';
import { RawDisk } from './raw.ts';
import { TemporaryDisk } from './temporary.ts';

async function over(content: Uint8Array, options = {}) {
  const file = new MemoryFile('base.raw', content, true);
  return { file, disk: new TemporaryDisk(await RawDisk.open(file), options) };
}

describe('temporary disk', () => {
  it.each([
    [1, 300],
    [2, 300],
    [3, 301],
    // More than one table, so that whole tables are zeroed.
    [4, 7000],
    [5, 7003],
  ])('reads what was written and leaves the base alone (seed %i, %i sectors)', async (seed, sectors) => {
    const random = new Random(seed);
    const content = new Uint8Array(sectors * 512).fill(seed);
    const inner = new MemoryFile('base.raw', content, true);
    const file = new DelayedFile(inner, random);
    const disk = new TemporaryDisk(await RawDisk.open(file));
    expect(disk.readonly).toBe(false);
    await runModel(disk, content.slice(), random, sectors > 1000 ? 600 : 2000);
    expect(file.mostPending).toBeGreaterThan(1);
    expect(Buffer.from(inner.content()).equals(content)).toBe(true);
    expect(disk.storedBytes).toBeLessThanOrEqual(Math.ceil(content.length / 4096) * 4096);
    await disk.writeZeroes(0, disk.size);
    expect(disk.storedBytes).toBeLessThanOrEqual(4096);
  });

  it('keeps whole blocks only, and fills those that are written in part from the base', async () => {
    const { disk } = await over(new Uint8Array(16384).fill(5));
    await disk.write(4096, [new Uint8Array(4096).fill(1)]);
    expect(disk.storedBytes).toBe(4096);
    await disk.write(8191, [Uint8Array.of(2, 3)]);
    expect(disk.storedBytes).toBe(8192);
    const whole = new Uint8Array(16384);
    await disk.read(0, [whole]);
    expect(whole).toEqual(new Uint8Array(16384).fill(5).fill(1, 4096, 8191).fill(2, 8191).fill(3, 8192).fill(5, 8193));
  });

  it('reads the same place many times at once', async () => {
    const inner = new MemoryFile('disk.raw', new Uint8Array(8192).fill(1));
    const file = new DelayedFile(inner, new Random(1));
    const disk = new TemporaryDisk(await RawDisk.open(file));
    await Promise.all(Array.from({ length: 5 }, () => disk.read(100, [new Uint8Array(5000)])));
    expect(file.mostPending).toBe(5);
  });

  it.each([2 ** 20 - 100, 2 ** 20 - 4096, 2 ** 20, 2 ** 20 + 1])('zeroes exactly %i bytes', async length => {
    const { disk } = await over(new Uint8Array(2 ** 21).fill(5));
    await disk.writeZeroes(0, length);
    const whole = new Uint8Array(2 ** 21);
    await disk.read(0, [whole]);
    expect(Buffer.from(whole).equals(new Uint8Array(2 ** 21).fill(5).fill(0, 0, length))).toBe(true);
  });

  it('gives memory back when blocks are discarded or zeroed', async () => {
    const { disk } = await over(new Uint8Array(2 ** 21).fill(5));
    await disk.write(0, [new Uint8Array(2 ** 21).fill(1)]);
    expect(disk.storedBytes).toBe(2 ** 21);
    await disk.discard(100, 2 ** 20);
    expect(disk.storedBytes).toBe(2 ** 20 + 4096);
    await disk.writeZeroes(2 ** 20, 2 ** 20);
    expect(disk.storedBytes).toBe(4096);
    const edge = new Uint8Array(200);
    await disk.read(0, [edge]);
    expect(edge).toEqual(new Uint8Array(200).fill(1));
  });

  it('does not remember discards of blocks that were never written', async () => {
    const { disk } = await over(new Uint8Array(2 ** 21).fill(5));
    await disk.discard(0, 2 ** 21);
    const byte = new Uint8Array(1);
    await disk.read(2 ** 20, [byte]);
    expect(byte[0]).toBe(5);
  });

  it('refuses what exceeds its limit as a whole, and takes it when there is room again', async () => {
    const { disk } = await over(new Uint8Array(65536).fill(5), { limit: 12288 });
    await disk.write(0, [new Uint8Array(8192).fill(1)]);
    await disk.write(100, [new Uint8Array(8000).fill(2)]);
    const full = { kind: 'no-space', context: { stored: 8192, limit: 12288 } };
    await expect(disk.write(8000, [new Uint8Array(5000).fill(3)])).rejects.toMatchObject(full);
    const found = new Uint8Array(65536);
    await disk.read(0, [found]);
    expect(found).toEqual(new Uint8Array(65536).fill(5).fill(1, 0, 8192).fill(2, 100, 8100));
    await disk.write(8000, [new Uint8Array(1000).fill(3)]);
    await expect(disk.writeZeroes(20_000, 10)).rejects.toMatchObject({ kind: 'no-space' });
    await disk.writeZeroes(20_480, 40_960);
    await disk.discard(0, 4096);
    await disk.write(20_480, [new Uint8Array(4096).fill(4)]);
    expect(disk.storedBytes).toBe(12288);
  });

  it('passes on errors of the base without changing anything', async () => {
    const { file, disk } = await over(new Uint8Array(8192).fill(5));
    const read = file.read.bind(file);
    file.read = () => Promise.reject(new Error('broken'));
    await expect(disk.write(10, [Uint8Array.of(1)])).rejects.toThrow('broken');
    await expect(disk.read(0, [new Uint8Array(1)])).rejects.toThrow('broken');
    await disk.write(4096, [new Uint8Array(4096)]);
    file.read = read;
    const byte = new Uint8Array(1);
    await disk.read(10, [byte]);
    expect([byte[0], disk.storedBytes]).toEqual([5, 4096]);
  });

  it('refuses ranges outside the disk', async () => {
    const { disk } = await over(new Uint8Array(1024));
    await expect(disk.write(1000, [new Uint8Array(25)])).rejects.toMatchObject({ kind: 'usage' });
    await expect(disk.discard(-1, 1)).rejects.toMatchObject({ kind: 'usage' });
  });

  it('closes its base', async () => {
    const { file, disk } = await over(new Uint8Array(1024));
    await disk.flush();
    await disk.close();
    await expect(file.size()).rejects.toMatchObject({ kind: 'state' });
  });
});
