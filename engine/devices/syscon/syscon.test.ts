import { describe, expect, it } from 'vitest';
import { deviceContract } from '../../../test/contract/device.ts';
import type { AccessWidth } from '../device.ts';
import { type Outcome, Syscon } from './device.ts';
import { sysconSection } from './state.ts';

const ignore = { finish: () => {} };

deviceContract('syscon', {
  section: sysconSection,
  window: 0x1000,
  make: () => new Syscon(ignore),
  restore: state => Syscon.restore(ignore, state),
  offsets: [0, 4],
});

function outcomesOf(...writes: [number, AccessWidth, number][]): Outcome[] {
  const outcomes: Outcome[] = [];
  const syscon = new Syscon({ finish: outcome => outcomes.push(outcome) });
  for (const [offset, width, value] of writes) syscon.write(offset, width, value);
  return outcomes;
}

describe('syscon', () => {
  it('powers off with code 0', () => {
    expect(outcomesOf([0, 4, 0x5555], [0, 2, 0x5555], [0, 4, 0x125555])).toEqual(
      Array(3).fill({ kind: 'poweroff', code: 0 }),
    );
  });

  it('fails with the code that the guest gives', () => {
    expect(outcomesOf([0, 4, 0x3333], [0, 4, 0x00073333], [0, 4, 0xffff3333])).toEqual([
      { kind: 'fail', code: 0 },
      { kind: 'fail', code: 7 },
      { kind: 'fail', code: 0xffff },
    ]);
  });

  it('resets', () => {
    expect(outcomesOf([0, 4, 0x7777])).toEqual([{ kind: 'reset', code: 0 }]);
  });

  it('ignores other values, places and widths', () => {
    expect(outcomesOf([0, 4, 0], [0, 4, 0x5554], [4, 4, 0x5555], [0, 1, 0x55], [0, 8, 0x5555])).toEqual([]);
  });
});
