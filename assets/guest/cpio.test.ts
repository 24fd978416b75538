import { expect, test } from 'vitest';
import { readCpio } from '../../test/guest/read-cpio.ts';
import { type CpioEntry, writeCpio } from './cpio.ts';

const ENTRIES: readonly CpioEntry[] = [
  { kind: 'folder', path: '.', mode: 0o755 },
  { kind: 'folder', path: 'dev', mode: 0o755 },
  { kind: 'character-device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { kind: 'file', path: 'init', mode: 0o755, data: Buffer.from('#!/bin/sh\n') },
  { kind: 'file', path: 'empty', mode: 0o644, data: new Uint8Array() },
  { kind: 'link', path: 'sh', target: 'busybox' },
];

test('what is written is what a reader of the format finds, with type, mode, owner and numbers', () => {
  const read = readCpio(writeCpio(ENTRIES));
  expect(read.map(({ path }) => path)).toEqual(['.', 'dev', 'dev/console', 'init', 'empty', 'sh', 'TRAILER!!!']);
  expect(read.map(({ mode }) => mode.toString(8))).toEqual([
    '40755',
    '40755',
    '20600',
    '100755',
    '100644',
    '120777',
    '0',
  ]);
  expect(read[2]).toMatchObject({ deviceMajor: 5, deviceMinor: 1 });
  expect(Buffer.from(read[3]!.data).toString()).toBe('#!/bin/sh\n');
  expect(Buffer.from(read[5]!.data).toString()).toBe('busybox');
  expect(read.every(({ user, group, time }) => user === 0 && group === 0 && time === 0)).toBe(true);
});

test('names and contents of every length keep headers on multiples of four bytes', () => {
  for (let length = 1; length <= 9; length += 1) {
    const data = Buffer.alloc(length, 7);
    const [first, second] = readCpio(
      writeCpio([
        { kind: 'file', path: 'x'.repeat(length), mode: 0o644, data },
        { kind: 'file', path: 'next', mode: 0o644, data: Buffer.from('n') },
      ]),
    );
    expect(Buffer.from(first!.data)).toEqual(data);
    expect(second!.path).toBe('next');
  }
});

test('equal contents give equal bytes', () => {
  expect(writeCpio(ENTRIES)).toEqual(writeCpio(ENTRIES));
});

test.each(['/absolute', 'a/../b', 'a//b', '', 'missing/child'])('the path "%s" is refused', path => {
  expect(() => writeCpio([{ kind: 'file', path, mode: 0o644, data: new Uint8Array() }])).toThrow(/cannot hold/);
});

test('a path that comes twice is refused', () => {
  const folder: CpioEntry = { kind: 'folder', path: 'a', mode: 0o755 };
  expect(() => writeCpio([folder, folder])).toThrow(/double/);
});
