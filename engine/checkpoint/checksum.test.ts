import { expect, test } from 'vitest';
import { checksum } from './checksum.ts';

const ascii = (text: string) => new TextEncoder().encode(text);

test('agrees with the published values of XXH32', () => {
  expect(checksum(ascii(''))).toBe(0x02cc5d05);
  expect(checksum(ascii('a'))).toBe(0x550d7456);
  expect(checksum(ascii('abc'))).toBe(0x32d153ff);
  expect(checksum(ascii('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f);
});

test('does not depend on where the bytes lie', () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index * 7);
  for (let shift = 0; shift < 8; shift += 1) {
    const moved = new Uint8Array(1008);
    moved.set(bytes, shift);
    expect(checksum(moved.subarray(shift, shift + 1000))).toBe(checksum(bytes));
  }
});

test('changes with every bit and with the seed', () => {
  for (const length of [1, 15, 16, 37]) {
    const bytes = new Uint8Array(length).fill(0x55);
    const seen = new Set([checksum(bytes), checksum(bytes, 1)]);
    for (let bit = 0; bit < length * 8; bit += 1) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      seen.add(checksum(bytes));
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    expect(seen.size).toBe(length * 8 + 2);
  }
});
