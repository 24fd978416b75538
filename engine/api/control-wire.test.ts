import { expect, it } from 'vitest';
import { decodeLine, encodeLine, LineReader } from './control-wire.ts';

it('carries messages with bytes, however deep, whatever kind of byte array', () => {
  const message = {
    id: 1,
    call: 'x',
    arguments: { bytes: Uint8Array.of(1, 2, 255), deep: [{ more: Buffer.from('ab') }] },
  };
  const line = encodeLine(message);
  expect(line.endsWith('\n')).toBe(true);
  expect(line.indexOf('\n')).toBe(line.length - 1);
  expect(decodeLine(line)).toEqual({
    ...message,
    arguments: { bytes: Uint8Array.of(1, 2, 255), deep: [{ more: Uint8Array.of(0x61, 0x62) }] },
  });
});

it.each(['', '{', 'nul', '{"a":{"$bytes":5}}', '{"$bytes":"A"}', '{"$bytes":"QQ==","more":1}'])('refuses %j', line => {
  expect(() => decodeLine(line)).toThrow(expect.objectContaining({ kind: 'corrupt' }));
});

it('finds lines in whatever pieces they come, and refuses endless ones', () => {
  const text = 'one\n\ntwo\nthree';
  for (let size = 1; size <= text.length; size += 1) {
    const lines: string[] = [];
    const reader = new LineReader(line => lines.push(line), 5);
    for (let at = 0; at < text.length; at += size) reader.push(text.slice(at, at + size));
    expect(lines).toEqual(['one', 'two']);
    expect(() => reader.push('456')).toThrow(expect.objectContaining({ kind: 'too-large' }));
  }
});
