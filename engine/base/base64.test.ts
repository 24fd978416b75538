import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { fromBase64, toBase64 } from './base64.ts';

it('makes what others make, and reads it', () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = new Uint8Array(randomBytes(length));
    const text = toBase64(bytes);
    expect(text).toBe(Buffer.from(bytes).toString('base64'));
    expect(fromBase64(text)).toEqual(bytes);
  }
});

it.each(['A', 'AB', 'AB=', 'A===', '=', '====', 'AB==AAAA', 'AB C', 'AB\n=', 'ABC€', 'AB-_', 'AB==='])(
  'refuses %j',
  text => expect(fromBase64(text)).toBeUndefined(),
);

it('has one text for each value', () => {
  expect(fromBase64('QQ==')).toEqual(Uint8Array.of(0x41));
  expect(fromBase64('QR==')).toBeUndefined();
  expect(fromBase64('QUI=')).toEqual(Uint8Array.of(0x41, 0x42));
  expect(fromBase64('QUJ=')).toBeUndefined();
});
