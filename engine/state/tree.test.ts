import { describe, expect, it } from 'vitest';
import { Random } from '../../test/contract/random.ts';
import { AfterimageError, type ErrorKind } from '../base/errors.ts';
import { u8, u32 } from './kinds.ts';
import { section } from './section.ts';
import { StateTreeReader, StateTreeWriter } from './tree.ts';

const uart = section('uart', { version: 1, oldest: 1 }, { ier: u8 });
const plic = section('plic', { version: 1, oldest: 1 }, { word: u32 });

function sample(): Uint8Array {
  const writer = new StateTreeWriter();
  writer.put('machine/uart0', uart, { ier: 5 });
  writer.put('machine/plic', plic, { word: 6 });
  writer.put('machine/hint', plic, { word: 7 }, { optional: true });
  return writer.finish();
}

function kindOf(attempt: () => unknown): ErrorKind {
  try {
    attempt();
  } catch (error) {
    if (error instanceof AfterimageError) return error.kind;
    throw error;
  }
  return expect.fail('was accepted');
}

describe('a tree of sections', () => {
  it('gives back each section by its path', () => {
    const reader = new StateTreeReader(sample());
    expect(reader.paths).toEqual(['machine/uart0', 'machine/plic', 'machine/hint']);
    expect(reader.take('machine/plic', plic)).toEqual({ word: 6 });
    expect(reader.take('machine/uart0', uart)).toEqual({ ier: 5 });
    expect(reader.takeIfPresent('machine/hint', plic)).toEqual({ word: 7 });
    expect(reader.takeIfPresent('machine/other', plic)).toBeUndefined();
    reader.finish();
  });

  it('skips an optional section that nobody knows', () => {
    const reader = new StateTreeReader(sample());
    reader.take('machine/plic', plic);
    reader.take('machine/uart0', uart);
    expect(() => reader.finish()).not.toThrow();
  });

  it('stops the load at any other section that nobody knows', () => {
    const reader = new StateTreeReader(sample());
    reader.take('machine/uart0', uart);
    expect(() => reader.finish()).toThrow(/machine\/plic/);
    expect(kindOf(() => reader.finish())).toBe('unsupported');
  });

  it('refuses a missing section and one of another device', () => {
    const reader = new StateTreeReader(sample());
    expect(kindOf(() => reader.take('machine/uart1', uart))).toBe('corrupt');
    expect(kindOf(() => reader.take('machine/plic', uart))).toBe('corrupt');
  });

  it('does not write a path twice, nor a malformed one', () => {
    const writer = new StateTreeWriter();
    writer.put('machine/a', uart, { ier: 1 });
    for (const path of ['machine/a', '', '/a', 'a/', 'a//b', 'A', 'a b', 'a'.repeat(256)]) {
      expect(kindOf(() => writer.put(path, uart, { ier: 1 }))).toBe('internal');
    }
  });

  it('refuses repeated and malformed paths, unknown flags and versions', () => {
    const writer = new StateTreeWriter();
    writer.put('aa', uart, { ier: 1 });
    writer.put('bb', uart, { ier: 1 });
    const bytes = writer.finish();
    const changed = (at: number, value: number) => {
      const copy = bytes.slice();
      copy[at] = value;
      return copy;
    };
    const first = bytes.indexOf(0x61);
    const second = bytes.indexOf(0x62);
    expect(kindOf(() => new StateTreeReader(changed(0, 2)))).toBe('unsupported');
    expect(kindOf(() => new StateTreeReader(changed(first, 0x2f)))).toBe('corrupt');
    expect(kindOf(() => new StateTreeReader(changed(first - 2, 2)))).toBe('corrupt');
    const repeated = changed(second, 0x61);
    repeated[second + 1] = 0x61;
    expect(kindOf(() => new StateTreeReader(repeated))).toBe('corrupt');
    expect(kindOf(() => new StateTreeReader(changed(5, 0xff)))).toBe('corrupt');
  });

  it('refuses every truncation and survives random damage', () => {
    const bytes = sample();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(['corrupt', 'unsupported']).toContain(kindOf(() => new StateTreeReader(bytes.subarray(0, length))));
    }
    expect(kindOf(() => new StateTreeReader(Uint8Array.of(...bytes, 0)))).toBe('corrupt');
    const random = new Random(9);
    let refused = 0;
    for (let round = 0; round < 2000; round += 1) {
      const damaged = bytes.slice();
      damaged[random.below(damaged.length)]! ^= 1 + random.below(255);
      try {
        const reader = new StateTreeReader(damaged);
        reader.take('machine/uart0', uart);
        reader.take('machine/plic', plic);
        reader.finish();
      } catch (error) {
        expect(error).toBeInstanceOf(AfterimageError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(500);
  });
});
