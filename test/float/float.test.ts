import { beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../contract/random.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { MODES, NX, RNE } from './oracle.ts';
import { compileFloatUnit, type FloatUnit } from './unit.ts';
import { DISTRIBUTIONS, edgesOf, tripleEdgesOf } from './values.ts';

/** Random cases for each operation and distribution; more find more, fewer are quicker. */
const CASES = Number(process.env.FLOAT_CASES ?? 1000);
/** Replays a run. */
const SEED = Number(process.env.FLOAT_SEED ?? 0x5eed);

let unit: FloatUnit;
beforeAll(async () => {
  unit = await compileFloatUnit();
});

function hex(bits: bigint): string {
  return `0x${bits.toString(16)}`;
}

/** Compares one case with the oracle in every rounding mode, with NX clear and set before. Throws on a difference. */
function check(operation: Operation, operands: readonly bigint[], origin: string): void {
  const answer = operation.answer(operands);
  for (const mode of operation.rounds ? MODES : [RNE]) {
    const { bits, flags } = answer(mode);
    for (const sticky of [0, NX]) {
      unit.setFlags(sticky);
      const result = unit.run(operation, operands, mode);
      if (result === bits && unit.flags() === (flags | sticky)) continue;
      throw new Error(
        `${operation.name}(${operands.map(hex).join(', ')}) in mode ${mode} with flags ${sticky} before: ` +
          `${hex(result)}, flags ${unit.flags()}; expected ${hex(bits)}, flags ${flags | sticky} (${origin})`,
      );
    }
  }
}

function checkEdges(operation: Operation): number {
  const [first, second, third] = operation.operands;
  if (first === undefined) throw new Error('An operation without operands');
  const values = third === 'f64' || third === 'f32' ? tripleEdgesOf(third) : edgesOf(first);
  let cases = 0;
  for (const a of values) {
    for (const b of second === undefined ? [undefined] : values) {
      for (const c of third === undefined ? [undefined] : values) {
        check(
          operation,
          [a, b, c].filter(bits => bits !== undefined),
          'edges',
        );
        cases += 1;
      }
    }
  }
  return cases;
}

describe.each(OPERATIONS)('$name', operation => {
  test('gives the exact result and flags for all combinations of edge values', () => {
    expect(checkEdges(operation)).toBeGreaterThanOrEqual(50);
  });

  test('gives the exact result and flags for random values', () => {
    for (const [name, distribution] of Object.entries(DISTRIBUTIONS)) {
      const random = new Random(SEED);
      for (let index = 0; index < CASES; index += 1) {
        check(operation, distribution(random, operation.operands), `${name} case ${index}, FLOAT_SEED=${SEED}`);
      }
    }
  });
});
