import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decompressXz, fileData, readPackage } from './deb.ts';
import { type TarEntry, TarReader } from './tar.ts';

let folder = '';
const LONG = `usr/share/${'long-'.repeat(30)}name`;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'afterimage-deb-'));
  const root = path.join(folder, 'root');
  mkdirSync(path.join(root, 'DEBIAN'), { recursive: true });
  writeFileSync(
    path.join(root, 'DEBIAN/control'),
    'Package: sample\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: sample\n',
  );
  mkdirSync(path.join(root, path.dirname(LONG)), { recursive: true });
  mkdirSync(path.join(root, 'usr/lib'));
  writeFileSync(path.join(root, LONG), 'long');
  writeFileSync(path.join(root, 'usr/lib/libx.so.1.2'), Buffer.alloc(200_000, 'x'));
  symlinkSync('libx.so.1.2', path.join(root, 'usr/lib/libx.so.1'));
  symlinkSync('../lib/circle', path.join(root, 'usr/lib/circle'));
  const built = spawnSync('dpkg-deb', ['--root-owner-group', '-b', root, path.join(folder, 'sample.deb')]);
  expect(built.status).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true }));

test('files come out of a real package, through links, with names of any length', async () => {
  const files = await readPackage(path.join(folder, 'sample.deb'), () => true);
  expect(Buffer.from(fileData(files, LONG)).toString()).toBe('long');
  expect(Buffer.from(fileData(files, 'usr/lib/libx.so.1'))).toEqual(Buffer.alloc(200_000, 'x'));
  expect(() => fileData(files, 'usr/lib/circle')).toThrow('has no file usr/lib/circle');
  expect(() => fileData(files, 'usr/lib/absent')).toThrow('has no file usr/lib/absent');
});

test('only what is wanted is kept', async () => {
  const files = await readPackage(path.join(folder, 'sample.deb'), name => name === LONG);
  expect([...files.keys()]).toEqual([LONG]);
});

test('a package that was cut off is refused', async () => {
  const file = path.join(folder, 'cut.deb');
  const whole = spawnSync('head', ['-c', '400', path.join(folder, 'sample.deb')]).stdout;
  writeFileSync(file, whole);
  await expect(readPackage(file, () => true)).rejects.toThrow(/dpkg-deb failed|ends in the middle/);
});

test('xz data is decompressed, and damaged xz data refused', async () => {
  const data = Buffer.from('text that repeats '.repeat(10_000));
  const packed = spawnSync('xz', ['-c'], { input: data, maxBuffer: 1e7 }).stdout;
  expect(packed.length).toBeGreaterThan(0);
  expect(Buffer.from(await decompressXz(packed, folder))).toEqual(data);
  await expect(decompressXz(packed.subarray(0, packed.length - 20), folder)).rejects.toThrow('dpkg-deb failed');
});

function tarHeader(name: string, size: number, type = '0'): Buffer {
  const block = Buffer.alloc(512);
  block.write(name);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  block.write('        ', 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function readTar(stream: Buffer, pieces: number): TarEntry[] {
  const entries: TarEntry[] = [];
  const reader = new TarReader(
    () => true,
    entry => entries.push(entry),
  );
  for (let at = 0; at < stream.length; at += pieces) reader.write(stream.subarray(at, at + pieces));
  reader.end();
  return entries;
}

test('a tar stream reads the same in pieces of any size', () => {
  const body = Buffer.alloc(1024, 'b');
  const stream = Buffer.concat([tarHeader('./a', 700), body, tarHeader('b', 0), Buffer.alloc(1024)]);
  for (const pieces of [1, 511, 512, 513, 5000]) {
    const entries = readTar(stream, pieces);
    expect(entries.map(({ path: name, data }) => [name, data.length])).toEqual([
      ['a', 700],
      ['b', 0],
    ]);
  }
});

test('tar streams that are cut off, damaged or claim impossible sizes are refused', () => {
  expect(() => readTar(tarHeader('a', 700), 512)).toThrow('ends in the middle');
  const damaged = tarHeader('a', 0);
  damaged[0] = 0x62;
  expect(() => readTar(damaged, 512)).toThrow('damaged header');
  expect(() => readTar(tarHeader('a', 2 ** 32), 512)).toThrow('impossible size');
});
