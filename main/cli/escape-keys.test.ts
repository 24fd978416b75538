import { describe, expect, it } from 'vitest';
import { EscapeKeys } from './escape-keys.ts';

/** What comes of typing the parts one after the other, written as text. */
function typed(...parts: string[]): string[] {
  const keys = new EscapeKeys();
  return parts
    .flatMap(part => keys.feed(Buffer.from(part, 'latin1')))
    .map(one => (one.kind === 'bytes' ? `"${Buffer.from(one.bytes).toString('latin1')}"` : one.kind));
}

describe('EscapeKeys', () => {
  it('passes everything else on, at once', () => {
    expect(typed('ls -l\r', '\x03', '\xff')).toEqual(['"ls -l\r"', '"\x03"', '"\xff"']);
    expect(typed('')).toEqual([]);
  });

  it('keeps what was typed before and after a wish in order', () => {
    expect(typed('a\x01hb\x01xc')).toEqual(['"a"', 'help', '"b"', 'quit', '"c"']);
    expect(typed('\x01X\x01?')).toEqual(['quit', 'help']);
  });

  it('remembers Ctrl-A until the next key', () => {
    expect(typed('a\x01', 'x')).toEqual(['"a"', 'quit']);
    expect(typed('\x01', '\x01', 'x')).toEqual(['"\x01"', '"x"']);
  });

  it('sends Ctrl-A when it is typed twice, and with a key that means nothing', () => {
    expect(typed('\x01\x01\x01\x01')).toEqual(['"\x01\x01"']);
    expect(typed('\x01k')).toEqual(['"\x01k"']);
  });
});
