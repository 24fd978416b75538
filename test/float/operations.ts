// Every operation of the floating-point unit with its operands and the oracle's answer.
import { add, compare, divide, multiply, multiplyAdd, squareRoot } from './arithmetic.ts';
import {
  type Answer,
  BINARY32,
  BINARY64,
  bitLength,
  decode,
  type Format,
  finite,
  infinite,
  NV,
  NX,
  nanBits,
  notNumber,
  type Outcome,
  roundToUnit,
  settle,
  type Value,
} from './oracle.ts';

export type Kind = 'f64' | 'f32' | 'i64' | 'u64' | 'i32' | 'u32';

export interface Operation {
  /** The exported function. */
  readonly name: string;
  readonly operands: readonly Kind[];
  readonly result: Kind;
  /** Whether the function takes a rounding mode last. */
  readonly rounds: boolean;
  /** Given raw operand bits, the answer for each rounding mode (any one, if it does not round). */
  readonly answer: (operands: readonly bigint[]) => (mode: number) => Answer;
}

type Arithmetic = (values: readonly Value[]) => Outcome;

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`Operand ${index} is missing`);
  return item;
}

export function formatOf(kind: Kind): Format {
  return kind === 'f32' ? BINARY32 : BINARY64;
}

function negated(value: Value): Value {
  return value.kind === 'nan' ? value : { ...value, negative: !value.negative };
}

function arithmetic(prefix: 'f64' | 'f32', suffix: string, count: number, compute: Arithmetic): Operation {
  const format = formatOf(prefix);
  return {
    name: prefix + suffix,
    operands: new Array<Kind>(count).fill(prefix),
    result: prefix,
    rounds: true,
    answer: operands => {
      const outcome = compute(operands.map(bits => decode(bits, format)));
      return mode => settle(outcome, format, mode);
    },
  };
}

function extreme(prefix: 'f64' | 'f32', suffix: 'Min' | 'Max'): Operation {
  const format = formatOf(prefix);
  return {
    name: prefix + suffix,
    operands: [prefix, prefix],
    result: prefix,
    rounds: false,
    answer: operands => {
      const [aBits, bBits] = [at(operands, 0), at(operands, 1)];
      const [a, b] = [decode(aBits, format), decode(bBits, format)];
      const flags = [a, b].some(value => value.kind === 'nan' && value.signaling) ? NV : 0;
      if (a.kind === 'nan') return () => ({ bits: b.kind === 'nan' ? nanBits(format) : bBits, flags });
      if (b.kind === 'nan') return () => ({ bits: aBits, flags });
      // Zeros compare equal but are ordered by sign.
      const order = compare(a, b) || Number(b.negative) - Number(a.negative);
      const first = suffix === 'Min' ? order <= 0 : order >= 0;
      return () => ({ bits: first ? aBits : bBits, flags });
    },
  };
}

function comparison(
  prefix: 'f64' | 'f32',
  suffix: string,
  quiet: boolean,
  holds: (order: number) => boolean,
): Operation {
  const format = formatOf(prefix);
  return {
    name: prefix + suffix,
    operands: [prefix, prefix],
    result: 'u32',
    rounds: false,
    answer: operands => {
      const values = operands.map(bits => decode(bits, format));
      const invalid = values.some(value => value.kind === 'nan' && (value.signaling || !quiet));
      const order = compare(at(values, 0), at(values, 1));
      return () => ({ bits: order !== undefined && holds(order) ? 1n : 0n, flags: invalid ? NV : 0 });
    },
  };
}

function classification(prefix: 'f64' | 'f32'): Operation {
  const format = formatOf(prefix);
  const bitOf = (value: Value): number => {
    if (value.kind === 'nan') return value.signaling ? 8 : 9;
    if (value.kind === 'infinity') return value.negative ? 0 : 7;
    if (value.significand === 0n) return value.negative ? 3 : 4;
    const subnormal = bitLength(value.significand) < format.precision;
    return value.negative ? (subnormal ? 2 : 1) : subnormal ? 5 : 6;
  };
  return {
    name: `${prefix}Class`,
    operands: [prefix],
    result: 'u32',
    rounds: false,
    answer: operands => {
      const bits = 1n << BigInt(bitOf(decode(at(operands, 0), format)));
      return () => ({ bits, flags: 0 });
    },
  };
}

function toInteger(prefix: 'f64' | 'f32', suffix: 'I32' | 'U32' | 'I64' | 'U64'): Operation {
  const format = formatOf(prefix);
  const width = suffix.endsWith('32') ? 32n : 64n;
  const signed = suffix.startsWith('I');
  const least = signed ? -(1n << (width - 1n)) : 0n;
  const greatest = (1n << (signed ? width - 1n : width)) - 1n;
  // A register holds 32-bit results sign-extended, unsigned ones too.
  const register = (value: bigint) => BigInt.asUintN(64, BigInt.asIntN(Number(width), value));
  return {
    name: `${prefix}To${suffix}`,
    operands: [prefix],
    result: 'u64',
    rounds: true,
    answer: operands => {
      const value = decode(at(operands, 0), format);
      return mode => {
        if (value.kind === 'nan') return { bits: register(greatest), flags: NV };
        if (value.kind === 'infinity') return { bits: register(value.negative ? least : greatest), flags: NV };
        const { multiple, inexact } = roundToUnit(value, 0, mode);
        const rounded = value.negative ? -multiple : multiple;
        if (rounded < least) return { bits: register(least), flags: NV };
        if (rounded > greatest) return { bits: register(greatest), flags: NV };
        return { bits: register(rounded), flags: inexact ? NX : 0 };
      };
    },
  };
}

function fromInteger(prefix: 'f64' | 'f32', suffix: 'I32' | 'U32' | 'I64' | 'U64'): Operation {
  const format = formatOf(prefix);
  const kind = suffix.toLowerCase() as 'i32' | 'u32' | 'i64' | 'u64';
  const width = suffix.endsWith('32') ? 32 : 64;
  return {
    name: `${prefix}From${suffix}`,
    operands: [kind],
    result: prefix,
    rounds: true,
    answer: operands => {
      const bits = at(operands, 0);
      const value = suffix.startsWith('I') ? BigInt.asIntN(width, bits) : bits;
      const outcome = finite(value < 0n, value < 0n ? -value : value, 0);
      return mode => settle(outcome, format, mode);
    },
  };
}

function betweenFormats(name: string, from: 'f64' | 'f32', to: 'f64' | 'f32', rounds: boolean): Operation {
  return {
    name,
    operands: [from],
    result: to,
    rounds,
    answer: operands => {
      const value = decode(at(operands, 0), formatOf(from));
      let outcome: Outcome;
      if (value.kind === 'nan') outcome = notNumber(value.signaling ? NV : 0);
      else outcome = value.kind === 'infinity' ? infinite(value.negative) : value;
      return mode => settle(outcome, formatOf(to), mode);
    },
  };
}

function operationsOf(prefix: 'f64' | 'f32'): Operation[] {
  const integers = ['I32', 'U32', 'I64', 'U64'] as const;
  return [
    arithmetic(prefix, 'Add', 2, values => add(at(values, 0), at(values, 1))),
    arithmetic(prefix, 'Sub', 2, values => add(at(values, 0), negated(at(values, 1)))),
    arithmetic(prefix, 'Mul', 2, values => multiply(at(values, 0), at(values, 1))),
    arithmetic(prefix, 'Div', 2, values => divide(at(values, 0), at(values, 1))),
    arithmetic(prefix, 'Sqrt', 1, values => squareRoot(at(values, 0))),
    arithmetic(prefix, 'MulAdd', 3, values => multiplyAdd(at(values, 0), at(values, 1), at(values, 2))),
    extreme(prefix, 'Min'),
    extreme(prefix, 'Max'),
    comparison(prefix, 'Eq', true, order => order === 0),
    comparison(prefix, 'Lt', false, order => order < 0),
    comparison(prefix, 'Le', false, order => order <= 0),
    classification(prefix),
    ...integers.map(suffix => toInteger(prefix, suffix)),
    ...integers.map(suffix => fromInteger(prefix, suffix)),
  ];
}

export const OPERATIONS: readonly Operation[] = [
  ...operationsOf('f64'),
  ...operationsOf('f32'),
  betweenFormats('f64ToF32', 'f64', 'f32', true),
  betweenFormats('f32ToF64', 'f32', 'f64', false),
];
