import { describe, expect, it } from 'vitest';
import { Random } from '../../test/contract/random.ts';
import { DelayedFile } from '../../test/disk/delayed-file.ts';
import { runModel } from '../../test/disk/model.ts';
import { MemoryFile } from './memory-file.ts';
import { RawDisk } from './raw.ts';

const seeds = [1, 2, 3, 4];

describe('raw disk', () => {
  it.each(seeds)('reads what was written, whatever is in flight (seed %i)', async seed => {
    const random = new Random(seed);
    const content = new Uint8Array(300 * 512).fill(seed);
    const inner = new MemoryFile('disk.raw', content);
    const file = new DelayedFile(inner, random);
    const disk = await RawDisk.open(file);
    await runModel(disk, content.slice(), random, 2000);
    expect(file.mostPending).toBeGreaterThan(4);
    const whole = new Uint8Array(disk.size);
    await disk.read(0, [whole]);
    expect(inner.content()).toEqual(whole);
  });

  it('shows every byte of a file that ends within a sector, and grows it only by writing there', async () => {
    const file = new MemoryFile('odd.raw', new Uint8Array(700).fill(7));
    const disk = await RawDisk.open(file);
    expect(disk.size).toBe(1024);
    const sector = new Uint8Array(512);
    await disk.read(512, [sector]);
    expect(sector).toEqual(new Uint8Array(512).fill(7, 0, 188));
    await disk.write(0, [sector]);
    expect(file.content()).toHaveLength(700);
    await disk.write(512, [sector]);
    expect(file.content()).toHaveLength(1024);
    const small = new MemoryFile('odd.raw', new Uint8Array(700), true);
    expect((await RawDisk.open(small)).size).toBe(1024);
    expect(small.content()).toHaveLength(700);
  });

  it('reads the same place many times at once', async () => {
    const inner = new MemoryFile('disk.raw', new Uint8Array(8192).fill(1));
    const file = new DelayedFile(inner, new Random(1));
    const disk = await RawDisk.open(file);
    await Promise.all(Array.from({ length: 5 }, () => disk.read(100, [new Uint8Array(5000)])));
    expect(file.mostPending).toBe(5);
  });

  it('is empty for an empty file', async () => {
    const disk = await RawDisk.open(new MemoryFile('empty.raw'));
    expect(disk.size).toBe(0);
    await disk.read(0, []);
    await expect(disk.read(0, [new Uint8Array(1)])).rejects.toMatchObject({ kind: 'usage' });
  });

  it.each([
    ['the file', new MemoryFile('ro.raw', new Uint8Array(1024), true), {}],
    ['its caller', new MemoryFile('rw.raw', new Uint8Array(1024)), { readonly: true }],
  ])('refuses changes when %s says read-only', async (_who, file, options) => {
    const disk = await RawDisk.open(file, options);
    expect(disk.readonly).toBe(true);
    const refused = { kind: 'usage', message: 'Disk is read-only' };
    await expect(disk.write(0, [new Uint8Array(512)])).rejects.toMatchObject(refused);
    await expect(disk.writeZeroes(0, 512)).rejects.toMatchObject(refused);
    await expect(disk.discard(0, 512)).rejects.toMatchObject(refused);
    await disk.read(0, [new Uint8Array(512)]);
    await disk.flush();
  });

  it.each([
    [-512, 512],
    [1024, 1],
    [512, 1024],
    [0.5, 1],
    [Number.NaN, 1],
    [2 ** 60, 512],
  ])('refuses a range outside the disk (%d, %d)', async (offset, length) => {
    const disk = await RawDisk.open(new MemoryFile('disk.raw', new Uint8Array(1024)));
    const refused = { kind: 'usage', message: 'Request is outside the disk' };
    await expect(disk.read(offset, [new Uint8Array(length)])).rejects.toMatchObject(refused);
    await expect(disk.write(offset, [new Uint8Array(length)])).rejects.toMatchObject(refused);
    await expect(disk.writeZeroes(offset, length)).rejects.toMatchObject(refused);
    await expect(disk.discard(offset, length)).rejects.toMatchObject(refused);
  });

  it('gives the space of whole blocks back when it is discarded or zeroed', async () => {
    const file = new MemoryFile('disk.raw', new Uint8Array(2 ** 22).fill(1));
    const punched: number[][] = [];
    const punch = file.punch.bind(file);
    file.punch = (at, length) => {
      punched.push([at, length]);
      return punch(at, length);
    };
    const disk = await RawDisk.open(file);
    await disk.discard(512, 4096);
    await disk.discard(512, 12_288);
    await disk.writeZeroes(2 ** 20 + 512, 2 ** 20);
    await disk.writeZeroes(2 ** 20 * 3, 8192);
    expect(punched).toEqual([
      [4096, 8192],
      [2 ** 20 + 4096, 2 ** 20 - 4096],
    ]);
    const expected = new Uint8Array(2 ** 22).fill(1).fill(0, 4096, 12_288);
    expected.fill(0, 2 ** 20 + 512, 2 ** 21 + 512).fill(0, 2 ** 20 * 3, 2 ** 20 * 3 + 8192);
    expect(Buffer.from(file.content()).equals(expected)).toBe(true);
  });

  it('writes zeroes over large ranges in bounded pieces where no space can be given back', async () => {
    const file = new MemoryFile('disk.raw', new Uint8Array(10_000_000 - 320).fill(1));
    file.punch = async () => false;
    const lengths: number[] = [];
    const write = file.write.bind(file);
    file.write = (at, from) => {
      lengths.push(from.reduce((sum, piece) => sum + piece.length, 0));
      return write(at, from);
    };
    const disk = await RawDisk.open(file);
    await disk.writeZeroes(100, 9_000_000);
    const expected = new Uint8Array(10_000_000 - 320).fill(1).fill(0, 100, 9_000_100);
    // Comparing megabytes as values of a test takes seconds.
    expect(Buffer.from(file.content()).equals(expected)).toBe(true);
    expect(lengths.length).toBe(3);
    expect(Math.max(...lengths)).toBe(2 ** 22);
  });

  it('passes on the errors of the file and closes it', async () => {
    const file = new MemoryFile('disk.raw', new Uint8Array(1024));
    const disk = await RawDisk.open(file);
    await disk.close();
    await expect(disk.read(0, [new Uint8Array(1)])).rejects.toMatchObject({ kind: 'state' });
    await expect(disk.flush()).rejects.toMatchObject({ kind: 'state', context: { file: 'disk.raw', during: 'flush' } });
  });
});
