import { describe, expect, expectTypeOf, it } from 'vitest';
import { Random } from '../../test/contract/random.ts';
import { AfterimageError, type ErrorContext, type ErrorKind } from '../base/errors.ts';
import {
  array,
  bool,
  bytesOf,
  bytesUpTo,
  choice,
  list,
  optional,
  since,
  struct,
  text,
  u8,
  u16,
  u32,
  u53,
  u64,
} from './kinds.ts';
import { decode, encode, refuseState, type StateOf, section } from './section.ts';

const everything = section(
  'everything',
  { version: 2, oldest: 1 },
  {
    small: u8,
    half: u16,
    word: u32,
    long: u64,
    count: u53,
    flag: bool,
    mode: choice('off', 'slow', 'fast'),
    mac: bytesOf(6),
    received: bytesUpTo(16),
    label: text(20),
    pair: array(u16, 2),
    queues: list(struct({ size: u16, ready: bool }), 8),
    latched: optional(u64),
    added: since(2, u32, 7),
  },
);

const value: StateOf<typeof everything> = {
  small: 0xfe,
  half: 0xfedc,
  word: 0xfedcba98,
  long: 0xfedcba9876543210n,
  count: 2 ** 53 - 1,
  flag: true,
  mode: 'fast',
  mac: Uint8Array.of(1, 2, 3, 4, 5, 6),
  received: Uint8Array.of(0x41, 0x42),
  label: 'Größe €',
  pair: [1, 2],
  queues: [
    { size: 256, ready: true },
    { size: 0, ready: false },
  ],
  latched: 5n,
  added: 9,
};

function failure(attempt: () => unknown): { kind: ErrorKind; context: ErrorContext; message: string } {
  try {
    attempt();
  } catch (error) {
    if (error instanceof AfterimageError) return error;
    throw error;
  }
  return expect.fail('was accepted');
}

describe('section tables', () => {
  it('give back every kind of field', () => {
    expect(decode(everything, encode(everything, value))).toEqual(value);
    const other = { ...value, latched: undefined, queues: [], received: new Uint8Array(0), label: '' };
    expect(decode(everything, encode(everything, other))).toEqual(other);
  });

  it('give the type of the state', () => {
    const small = section('small', { version: 1, oldest: 1 }, { a: u8, b: optional(u64), c: list(bool, 3) });
    expectTypeOf<StateOf<typeof small>>().toEqualTypeOf<{ a: number; b: bigint | undefined; c: readonly boolean[] }>();
    expectTypeOf(value.mode).toEqualTypeOf<'off' | 'slow' | 'fast'>();
  });

  it('are stored as documented', () => {
    const table = section('ab', { version: 3, oldest: 1 }, { x: u16, y: bytesUpTo(4), z: optional(u8) });
    expect([...encode(table, { x: 0x1234, y: Uint8Array.of(9, 8), z: 7 })]).toEqual([
      2, 0x61, 0x62, 3, 0, 10, 0, 0, 0, 0x34, 0x12, 2, 0, 0, 0, 9, 8, 1, 7,
    ]);
  });

  it('hold states of any size, whichever field passes a power of two', () => {
    for (const size of [200, 255, 256, 1000, 5000, 100_000]) {
      const table = section(
        'large',
        { version: 1, oldest: 1 },
        {
          bulk: bytesUpTo(100_000),
          small: u8,
          half: u16,
          word: u32,
          long: u64,
          tail: list(u8, 300),
        },
      );
      for (let less = 0; less < 16; less += 1) {
        const bulk = new Uint8Array(size - less).fill(size);
        const large = { bulk, small: 1, half: 2, word: 3, long: 4n, tail: Array<number>(300).fill(5) };
        expect(decode(table, encode(table, large))).toEqual(large);
      }
    }
  });

  it('give a default for fields that an older version lacks', () => {
    const older = section('everything', { version: 1, oldest: 1 }, { a: u8 });
    const newer = section('everything', { version: 2, oldest: 1 }, { a: u8, b: since(2, u8, 5) });
    expect(decode(newer, encode(older, { a: 1 }))).toEqual({ a: 1, b: 5 });
    expect(decode(newer, encode(newer, { a: 1, b: 2 }))).toEqual({ a: 1, b: 2 });
  });

  it('refuse versions outside their range by number', () => {
    const at = (version: number, oldest: number) => section('aged', { version, oldest }, {});
    for (const written of [1, 4]) {
      const error = failure(() => decode(at(3, 2), encode(at(written, 1), {})));
      expect(error.kind).toBe('unsupported');
      expect(error.context).toEqual({ section: 'aged', found: written, oldest: 2, newest: 3 });
    }
  });

  it('refuse the section of another device', () => {
    const uart = section('uart', { version: 1, oldest: 1 }, { a: u8 });
    const plic = section('plic', { version: 1, oldest: 1 }, { a: u8 });
    expect(failure(() => decode(plic, encode(uart, { a: 1 }))).kind).toBe('corrupt');
  });

  it('name section, field and offset of what is damaged', () => {
    const table = section(
      'disk',
      { version: 1, oldest: 1 },
      {
        queues: list(struct({ size: u16, ready: bool }), 4),
      },
    );
    const bytes = encode(table, {
      queues: [
        { size: 1, ready: true },
        { size: 2, ready: false },
      ],
    });
    bytes[bytes.length - 1] = 2;
    const error = failure(() => decode(table, bytes));
    expect(error.kind).toBe('corrupt');
    expect(error.context).toEqual({ section: 'disk', field: 'queues[1].ready', offset: bytes.length });
    expect(error.message).toContain('queues[1].ready');
  });

  it('refuse lengths and counts beyond the bound of the table', () => {
    const wide = section('bound', { version: 1, oldest: 1 }, { it: bytesUpTo(100) });
    const narrow = section('bound', { version: 1, oldest: 1 }, { it: bytesUpTo(9) });
    const few = section('bound', { version: 1, oldest: 1 }, { it: list(struct({}), 9) });
    const short = section('bound', { version: 1, oldest: 1 }, { it: text(9) });
    const bytes = encode(wide, { it: new Uint8Array(10) });
    for (const table of [narrow, few, short]) {
      expect(failure(() => decode<unknown>(table, bytes)).context).toMatchObject({ section: 'bound', field: 'it' });
    }
    const huge = encode(wide, { it: new Uint8Array(10) });
    huge.fill(0xff, huge.length - 14, huge.length - 10);
    expect(failure(() => decode(wide, huge)).kind).toBe('corrupt');
  });

  it.each([
    ['bool', bool, [2]],
    ['choice', choice('a', 'b'), [2]],
    ['u53', u53, [0, 0, 0, 0, 0, 0, 0x20, 0]],
    ['optional', optional(u8), [2, 0]],
    ['text that is not UTF-8', text(9), [1, 0, 0, 0, 0xff]],
    ['text with a byte order mark', text(9), [3, 0, 0, 0, 0xef, 0xbb, 0xbf]],
  ])('refuse bytes that are no %s', (_, kind, payload) => {
    const raw = section('one', { version: 1, oldest: 1 }, { it: bytesOf(payload.length) });
    const table = section('one', { version: 1, oldest: 1 }, { it: kind });
    const error = failure(() => decode(table, encode(raw, { it: Uint8Array.from(payload) })));
    expect(error).toMatchObject({ kind: 'corrupt', context: { field: 'it' } });
  });

  it('refuse every truncation, and bytes after the end', () => {
    const bytes = encode(everything, value);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(failure(() => decode(everything, bytes.subarray(0, length))).kind).toBe('corrupt');
    }
    expect(failure(() => decode(everything, Uint8Array.of(...bytes, 0))).kind).toBe('corrupt');
  });

  it('refuse damage or read a value that can be written again', () => {
    const bytes = encode(everything, value);
    const random = new Random(5);
    let read = 0;
    for (let round = 0; round < 3000; round += 1) {
      const damaged = bytes.slice();
      damaged[random.below(damaged.length)]! ^= 1 + random.below(255);
      try {
        const decoded = decode(everything, damaged);
        read += 1;
        expect(decode(everything, encode(everything, decoded))).toEqual(decoded);
      } catch (error) {
        expect(error).toBeInstanceOf(AfterimageError);
        expect(['corrupt', 'unsupported']).toContain(failure(() => decode(everything, damaged)).kind);
      }
    }
    expect(read).toBeGreaterThan(100);
  });

  it('copy bytes, so that later changes of the source do not show', () => {
    const table = section('copy', { version: 1, oldest: 1 }, { it: bytesOf(2) });
    const bytes = encode(table, { it: Uint8Array.of(1, 2) });
    const decoded = decode(table, bytes);
    bytes.fill(0);
    expect([...decoded.it]).toEqual([1, 2]);
  });

  it.each([
    ['a number out of range', { small: 256 }],
    ['a negative number', { word: -1 }],
    ['a fraction', { half: 1.5 }],
    ['a bigint out of range', { long: 1n << 64n }],
    ['an unsafe integer', { count: 2 ** 53 }],
    ['too many bytes', { received: new Uint8Array(17) }],
    ['too few bytes', { mac: new Uint8Array(5) }],
    ['too many elements', { queues: Array.from({ length: 9 }, () => ({ size: 0, ready: false })) }],
    ['too few elements', { pair: [1] }],
    ['text that is too long', { label: 'x'.repeat(21) }],
    ['half a character', { label: '\ud800' }],
  ])('do not write %s', (_, change) => {
    expect(failure(() => encode(everything, { ...value, ...change })).kind).toBe('internal');
  });

  it('cannot be declared with a bad name or version', () => {
    expect(failure(() => section('Bad Name', { version: 1, oldest: 1 }, {})).kind).toBe('internal');
    expect(failure(() => section('fine', { version: 1, oldest: 2 }, {})).kind).toBe('internal');
    expect(failure(() => section('fine', { version: 65536, oldest: 1 }, {})).kind).toBe('internal');
  });

  it('let a device refuse what the table cannot say', () => {
    expect(failure(() => refuseState(everything, 'small', 'is odd'))).toMatchObject({
      kind: 'corrupt',
      context: { section: 'everything', field: 'small' },
    });
  });
});
