// Where the unit computes natively, and where it must not.
import { beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../contract/random.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { BINARY32, BINARY64, decode, type Format, infinityBits, NX, OF, RDN, RNE, settle } from './oracle.ts';
import { compileCountingUnit, type FloatUnit } from './unit.ts';

const CASES = 500;

let unit: FloatUnit;
beforeAll(async () => {
  unit = await compileCountingUnit();
});

function operationNamed(name: string): Operation {
  const found = OPERATIONS.find(operation => operation.name === name);
  if (found === undefined) throw new Error(`No operation ${name}`);
  return found;
}

/** How many of the calls computed in integers. */
function exactCalls(name: string, cases: readonly (readonly number[])[], sticky: number, mode = RNE): number {
  const operation = operationNamed(name);
  const before = unit.global('exactCalls');
  for (const operands of cases) {
    unit.setFlags(sticky);
    const bits = operands.map((operand, index) => bitsOfNumber(operand, operation.operands[index] === 'f32'));
    unit.run(operation, bits, mode);
  }
  return unit.global('exactCalls') - before;
}

function bitsOfNumber(value: number, single: boolean): bigint {
  const view = new DataView(new ArrayBuffer(8));
  if (single) {
    view.setFloat32(0, value);
    return BigInt(view.getUint32(0));
  }
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

function randomCases(count: number, draw: (random: Random) => number): number[][] {
  const random = new Random(1);
  return Array.from({ length: CASES }, () => Array.from({ length: count }, () => draw(random)));
}

/** A number between 0.001 and 1000 that uses all bits of a double. */
function ordinary(random: Random): number {
  return 0.001 + (random.word() / 2 ** 32 + random.word() / 2 ** 64) * 999;
}

const wholeNumber = (random: Random) => 1 + random.below(100_000);

describe('ordinary numbers are computed natively', () => {
  test.each([
    ['f64Add', 2],
    ['f64Sub', 2],
    ['f64Mul', 2],
    ['f64Div', 2],
    ['f64Sqrt', 1],
    ['f64MulAdd', 3],
    ['f64ToF32', 1],
  ] as const)('%s with NX already set', (name, operands) => {
    expect(exactCalls(name, randomCases(operands, ordinary), NX)).toBe(0);
  });

  test.each([
    ['f32Add', 2],
    ['f32Sub', 2],
    ['f32Mul', 2],
    ['f32Div', 2],
    ['f32Sqrt', 1],
    ['f32MulAdd', 3],
    ['f64Add', 2],
    ['f64Sub', 2],
    ['f64ToF32', 1],
  ] as const)('%s with NX clear', (name, operands) => {
    expect(exactCalls(name, randomCases(operands, ordinary), 0)).toBe(0);
  });

  test.each([
    ['f64Add', 2],
    ['f64Sub', 2],
    ['f64MulAdd', 3],
    ['f32Mul', 2],
  ] as const)('%s of whole numbers with NX clear', (name, operands) => {
    expect(exactCalls(name, randomCases(operands, wholeNumber), 0)).toBe(0);
  });

  test('f64Mul with NX clear, but for products whose length decides', () => {
    expect(exactCalls('f64Mul', randomCases(2, ordinary), 0)).toBeLessThan(CASES / 100);
    expect(exactCalls('f64Mul', randomCases(2, wholeNumber), 0)).toBe(0);
  });
});

describe('what native arithmetic cannot tell is computed exactly', () => {
  const leastNormal = 2 ** -1022;
  test.each([
    ['an overflowing sum', 'f64Add', [Number.MAX_VALUE, Number.MAX_VALUE]],
    ['an overflowing product', 'f64Mul', [1e200, 1e200]],
    ['an underflowing product', 'f64Mul', [1e-200, 1e-200]],
    ['a product that rounds up to the least normal', 'f64Mul', [leastNormal * (1 + 2 ** -52), 1 - 2 ** -53]],
    ['an underflowing quotient', 'f64Div', [leastNormal, 3]],
    ['a quotient of infinities', 'f64Div', [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]],
    ['a root of a negative number', 'f64Sqrt', [-1]],
    ['a fused tie', 'f64MulAdd', [1 + 2 ** -30, 1 + 2 ** -23, 0.5]],
    ['a fused underflow', 'f64MulAdd', [1e-200, 1e-200, leastNormal]],
    ['a narrowing to a subnormal', 'f64ToF32', [1e-40]],
  ] as const)('%s', (_, name, operands) => {
    expect(exactCalls(name, [operands], NX)).toBe(1);
  });

  test('a fused overflow that only the rounding error of the product causes', () => {
    // The product is the greatest value and a quarter of its last place; half a last place less a bit still rounds down.
    const operands = [7205759403792793 * 2 ** 500, 5 * 2 ** 469, (2 ** 53 - 1) * 2 ** 917];
    const operation = operationNamed('f64MulAdd');
    unit.setFlags(NX);
    const result = unit.run(
      operation,
      operands.map(value => bitsOfNumber(value, false)),
      RNE,
    );
    expect({ result, flags: unit.flags() }).toEqual({ result: infinityBits(BINARY64), flags: OF | NX });
  });

  test('any other rounding mode', () => {
    for (const name of ['f64Add', 'f64Mul', 'f64Div', 'f64MulAdd']) {
      const cases = randomCases(operationNamed(name).operands.length, ordinary);
      expect(exactCalls(name, cases, NX, RDN)).toBeGreaterThan(CASES / 2);
    }
  });
});

describe('the oracle agrees with the host rounding to nearest', () => {
  const host: Record<string, (a: number, b: number) => number> = {
    Add: (a, b) => a + b,
    Sub: (a, b) => a - b,
    Mul: (a, b) => a * b,
    Div: (a, b) => a / b,
    Sqrt: a => Math.sqrt(a),
  };
  // Double rounding does no harm to these operations between the two formats.
  test.each(Object.keys(host))('%s', suffix => {
    const compute = host[suffix];
    if (compute === undefined) throw new Error('No such host operation');
    const random = new Random(2);
    for (let index = 0; index < 2000; index += 1) {
      for (const format of [BINARY64, BINARY32]) {
        const operation = operationNamed((format === BINARY32 ? 'f32' : 'f64') + suffix);
        const numbers = operation.operands.map(() => hostNumber(random, format));
        const computed = compute(numbers[0] ?? 0, numbers[1] ?? 0);
        const expected = bitsOfNumber(computed, format === BINARY32);
        const { bits } = operation.answer(numbers.map(value => bitsOfNumber(value, format === BINARY32)))(RNE);
        if (Number.isNaN(computed)) expect(decode(bits, format).kind).toBe('nan');
        else expect({ numbers, bits }).toEqual({ numbers, bits: expected });
      }
    }
  });

  function hostNumber(random: Random, format: Format): number {
    const bits = (BigInt(random.word()) << 32n) | BigInt(random.word());
    const value = decode(BigInt.asUintN(format.width, bits), format);
    if (value.kind !== 'finite') return 1;
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, settle(value, BINARY64, RNE).bits);
    return view.getFloat64(0);
  }
});
