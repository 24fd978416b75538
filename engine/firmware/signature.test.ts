import { expect, test } from 'vitest';
import { formatSignature, signatureRange } from './signature.ts';

const BYTES = Uint8Array.from({ length: 16 }, (_, index) => index + 0xa0);

test.each([
  [4, 'a3a2a1a0\na7a6a5a4\nabaaa9a8\nafaeadac\n'],
  [8, 'a7a6a5a4a3a2a1a0\nafaeadacabaaa9a8\n'],
  [16, 'afaeadacabaaa9a8a7a6a5a4a3a2a1a0\n'],
] as const)('lines of %i bytes', (granularity, text) => {
  expect(formatSignature(BYTES, granularity)).toBe(text);
});

test('the last line is filled with zeroes', () => {
  expect(formatSignature(BYTES.subarray(0, 6), 4)).toBe('a3a2a1a0\n0000a5a4\n');
  expect(formatSignature(new Uint8Array(0), 4)).toBe('');
});

test('the range comes from the symbols', () => {
  const symbols = new Map([
    ['begin_signature', 0x8000_2000],
    ['end_signature', 0x8000_2010],
  ]);
  expect(signatureRange(symbols)).toEqual({ at: 0x8000_2000, length: 16 });
  expect(() => signatureRange(new Map([['begin_signature', 1]]))).toThrow(
    expect.objectContaining({ kind: 'unsupported' }),
  );
  for (const end of [0x8000_1fff, 0x9000_0000]) {
    expect(() => signatureRange(new Map(symbols).set('end_signature', end))).toThrow(
      expect.objectContaining({ kind: 'corrupt' }),
    );
  }
});
