// Operands for the floating-point tests: the edges of the formats, and random ones that lie where errors do.
import type { Random } from '../contract/random.ts';
import { multiply } from './arithmetic.ts';
import { formatOf, type Kind } from './operations.ts';
import { decode, type Format, infinityBits, RNE, settle, signBit } from './oracle.ts';

/** Bits of the value `significand * 2^exponent`, rounded to nearest. */
function bitsOf(significand: bigint, exponent: number, format: Format): bigint {
  return settle({ kind: 'finite', negative: false, significand, exponent, beyond: false }, format, RNE).bits;
}

/** Each of `centres` with the values a step below and above it. */
function withNeighbours(centres: readonly bigint[]): bigint[] {
  return centres.flatMap(centre => [centre - 1n, centre, centre + 1n]);
}

/** Magnitudes at the edges of a format, those of narrower formats and of the integers. */
function edgeMagnitudes(format: Format): bigint[] {
  const fraction = BigInt(format.precision - 1);
  const leastNormal = 1n << fraction;
  const infinity = infinityBits(format);
  const power = (exponent: number) => bitsOf(1n, exponent, format);
  const least = 2 - format.greatestExponent - format.precision;
  return [
    0n,
    1n,
    2n,
    3n,
    leastNormal >> 1n,
    ...withNeighbours([leastNormal, leastNormal << 1n]),
    // Products and roots at the border of the subnormals.
    ...withNeighbours([power((1 - format.greatestExponent) / 2), power((1 - format.greatestExponent) / 2 - 1)]),
    power(least + format.precision + 2),
    ...withNeighbours([power(0), power(-1)]),
    bitsOf(3n, -1, format),
    bitsOf(5n, -1, format),
    bitsOf(3n, 0, format),
    bitsOf(1n, 0, format) | ((1n << (fraction / 2n)) + 1n),
    // Half of the last place beside 1.
    ...withNeighbours([power(-format.precision), power(1 - format.precision)]),
    // Limits of integers, of the exactly held ones too.
    ...withNeighbours([power(31), power(32), power(63), power(64), power(format.precision)]),
    bitsOf((1n << 32n) - 1n, -1, format),
    bitsOf((1n << 33n) - 1n, -1, format),
    power((format.greatestExponent + 1) / 2),
    power(format.greatestExponent),
    infinity - 2n,
    infinity - 1n,
    infinity,
    infinity + 1n,
    infinity + (leastNormal >> 1n) - 1n,
    infinity + (leastNormal >> 1n),
    infinity + leastNormal - 1n,
  ];
}

/** Values of binary64 where binary32 ends or rounds. */
function binary32Edges(format: Format): bigint[] {
  const greatest = (1n << 24n) - 1n;
  return withNeighbours([
    bitsOf(greatest, 104, format),
    bitsOf(greatest * 2n + 1n, 103, format),
    bitsOf(1n, 128, format),
    bitsOf(1n, -126, format),
    bitsOf(greatest * 2n + 1n, -151, format),
    bitsOf(greatest * 4n + 3n, -152, format),
    bitsOf(1n, -149, format),
    bitsOf(1n, -150, format),
    bitsOf(3n, -150, format),
    bitsOf(greatest * 2n + 1n, -24, format),
    bitsOf((greatest - 1n) * 2n + 1n, -24, format),
  ]);
}

function edgeIntegers(width: number): bigint[] {
  const all = [0n, 1n, 2n, 3n];
  for (const bit of [23, 24, 25, 30, 31, 32, 52, 53, 54, 62, 63]) {
    if (bit < width) all.push(...withNeighbours([1n << BigInt(bit)]), (3n << BigInt(bit)) >> 1n);
  }
  // Halfway between neighbours of binary32 and of binary64, and one beside it.
  const top = 1n << BigInt(width - 2);
  for (const precision of [24n, 53n]) {
    const half = top >> precision;
    all.push(top + half - 1n, top + half, top + half + 1n, top + 3n * half);
  }
  return [...all, ...all.map(value => -value)].map(value => BigInt.asUintN(width, value));
}

function distinct(list: readonly bigint[]): bigint[] {
  return [...new Set(list)];
}

/** The edge operands of a kind. */
export function edgesOf(kind: Kind): bigint[] {
  if (kind !== 'f64' && kind !== 'f32') return distinct(edgeIntegers(kind.endsWith('32') ? 32 : 64));
  const format = formatOf(kind);
  const magnitudes = [...edgeMagnitudes(format), ...(kind === 'f64' ? binary32Edges(format) : [])];
  return distinct(magnitudes.flatMap(bits => [bits, bits | signBit(format)]));
}

/** A selection of edges small enough that all triples can be tried. */
export function tripleEdgesOf(kind: 'f64' | 'f32'): bigint[] {
  const format = formatOf(kind);
  const one = bitsOf(1n, 0, format);
  const leastNormal = 1n << BigInt(format.precision - 1);
  const infinity = infinityBits(format);
  const magnitudes = [
    0n,
    1n,
    leastNormal - 1n,
    leastNormal,
    bitsOf(1n, -format.greatestExponent / 2 - 0.5, format),
    bitsOf(1n, -format.precision, format),
    one - 1n,
    one,
    one + 1n,
    bitsOf(3n, -1, format),
    bitsOf(1n, (format.greatestExponent + 1) / 2, format),
    infinity - 1n,
    infinity,
    infinity + 1n,
    infinity + leastNormal - 1n,
  ];
  return magnitudes.flatMap(bits => [bits, bits | signBit(format)]);
}

export type Distribution = (random: Random, kinds: readonly Kind[]) => bigint[];

function randomBits(random: Random, width: number): bigint {
  const bits = (BigInt(random.word()) << 32n) | BigInt(random.word());
  return BigInt.asUintN(width, bits);
}

function widthOf(kind: Kind): number {
  return kind.endsWith('32') ? 32 : 64;
}

/** A significand fraction: uniform, or with few ones, or with a long run of ones. */
function randomFraction(random: Random, format: Format): bigint {
  const width = format.precision - 1;
  const shape = random.below(4);
  if (shape === 0) return 1n << BigInt(random.below(width));
  if (shape === 1) return (1n << BigInt(random.below(width))) | (1n << BigInt(random.below(width)));
  if (shape === 2) return (1n << BigInt(width)) - (1n << BigInt(random.below(width)));
  return randomBits(random, width);
}

/** A finite value with a biased exponent, clamped to the format. */
function randomWith(random: Random, format: Format, biased: number): bigint {
  const exponent = Math.min(Math.max(biased, 0), 2 * format.greatestExponent);
  const sign = random.below(2) === 0 ? 0n : signBit(format);
  return sign | (BigInt(exponent) << BigInt(format.precision - 1)) | randomFraction(random, format);
}

function spread(random: Random, reach: number): number {
  return random.below(2 * reach + 1) - reach;
}

/** Integer operands have no exponents to steer: any width is as likely. */
function integerOperand(random: Random, kind: Kind): bigint {
  const width = widthOf(kind);
  const value = randomBits(random, 1 + random.below(width));
  return BigInt.asUintN(width, random.below(2) === 0 ? value : -value);
}

/** A distribution given by the biased exponents of its floating-point operands. */
function byExponent(choose: (random: Random, format: Format) => readonly [number, number, number]): Distribution {
  return (random, kinds) => {
    const exponents = choose(random, formatOf(kinds[0] ?? 'f64'));
    return kinds.map((kind, index) => {
      if (kind !== 'f64' && kind !== 'f32') return integerOperand(random, kind);
      return randomWith(random, formatOf(kind), exponents[index] ?? 0);
    });
  };
}

const uniform: Distribution = (random, kinds) => kinds.map(kind => randomBits(random, widthOf(kind)));

const edgy: Distribution = (random, kinds) =>
  kinds.map(kind => {
    const edge = random.pick(EDGES[kind]);
    return BigInt.asUintN(widthOf(kind), edge + BigInt(spread(random, 2)));
  });

const ordinary = byExponent((random, format) => {
  const middle = () => format.greatestExponent + spread(random, 12);
  return [middle(), middle(), middle()];
});

/** Exponents apart by about one and two significands, where terms stop touching. */
const apart = byExponent((random, format) => {
  const bias = format.greatestExponent;
  const first = bias + spread(random, 30);
  const second = bias + spread(random, 30);
  const distance = format.precision * random.pick([1, 1, 2]) + spread(random, 4);
  const product = first + second - bias;
  return [first, random.below(2) === 0 ? second : first - distance, product + random.pick([1, -1]) * distance];
});

/** Products, quotients and roots around the least normal and the least subnormal. */
const vanishing = byExponent((random, format) => {
  const bias = format.greatestExponent;
  const first = random.below(2 * bias);
  const target = random.pick([1, 1, 1 - format.precision, -Math.floor(format.precision / 2)]) + spread(random, 3);
  const second = random.below(2) === 0 ? target + bias - first : first + bias - target;
  return [first, second, target + spread(random, format.precision)];
});

/** Small products whose own last places lie below the least subnormal, with addends that touch or cancel them. */
const sinking = byExponent((random, format) => {
  const bias = format.greatestExponent;
  const product = 1 + random.below(3 * format.precision);
  const first = product + random.below(bias - product);
  return [first, product + bias - first, product + spread(random, random.pick([1, 60]))];
});

/** Results around the greatest finite value. */
const exploding = byExponent((random, format) => {
  const bias = format.greatestExponent;
  const first = random.below(2 * bias);
  const target = 2 * bias + spread(random, 2);
  const second = random.below(2) === 0 ? target + bias - first : first + bias - target;
  return [first, second, target + spread(random, 3)];
});

/** Sums that cancel to a few last places, or exactly. */
const cancelling: Distribution = (random, kinds) => {
  const operands = ordinary(random, kinds);
  const kind = kinds[0];
  const [first, second] = operands;
  if (first === undefined || second === undefined || (kind !== 'f64' && kind !== 'f32')) return operands;
  const format = formatOf(kind);
  const last = kinds.length - 1;
  const product = multiply(decode(first, format), decode(second, format));
  const target = kinds.length === 3 ? settle(product, format, RNE).bits : first;
  const sign = random.below(4) === 0 ? 0n : signBit(format);
  operands[last] = BigInt.asUintN(format.width, (target ^ sign) + BigInt(random.below(4)));
  return operands;
};

/** Whole numbers and their halves, for exact results and ties. */
const whole: Distribution = (random, kinds) =>
  kinds.map(kind => {
    if (kind !== 'f64' && kind !== 'f32') return integerOperand(random, kind);
    const format = formatOf(kind);
    const magnitude = bitsOf(randomBits(random, 1 + random.below(28)), -random.below(3), format);
    return random.below(2) === 0 ? magnitude : magnitude | signBit(format);
  });

/** Exact quotients and roots: the first operand is made from the second, sometimes missing by a last place. */
const composed: Distribution = (random, kinds) => {
  const operands = ordinary(random, kinds);
  const kind = kinds[0];
  if (kind !== 'f64' && kind !== 'f32') return operands;
  const format = formatOf(kind);
  const short = randomBits(random, 1 + random.below(Math.floor(format.precision / 2)));
  const factor = kinds.length === 1 ? short : BigInt(1 + random.below(1000));
  const product = bitsOf(short * factor, spread(random, 8), format);
  const miss = BigInt(random.pick([0, 0, 0, 1, -1]));
  operands[0] = product === 0n ? product : product + miss;
  if (kinds.length > 1) operands[1] = bitsOf(short, 0, format);
  return operands;
};

/** Binary64 values at, halfway between and just beside binary32 values. */
const narrow: Distribution = (random, kinds) =>
  kinds.map(kind => {
    if (kind !== 'f64') return uniform(random, [kind])[0] ?? 0n;
    const exponent = random.pick([-149, -140, -126, 0, 127]) + spread(random, 3);
    const value = decode(randomWith(random, formatOf('f32'), exponent + 127), formatOf('f32'));
    const wide = settle(value.kind === 'finite' ? value : { kind: 'cancelled' }, formatOf('f64'), RNE).bits;
    const half = 1n << 28n;
    return wide + random.pick([0n, 1n, half - 1n, half, half + 1n, 3n * half]);
  });

const EDGES: Readonly<Record<Kind, readonly bigint[]>> = {
  f64: edgesOf('f64'),
  f32: edgesOf('f32'),
  i64: edgesOf('i64'),
  u64: edgesOf('u64'),
  i32: edgesOf('i32'),
  u32: edgesOf('u32'),
};

export const DISTRIBUTIONS: Readonly<Record<string, Distribution>> = {
  uniform,
  edgy,
  ordinary,
  apart,
  vanishing,
  sinking,
  exploding,
  cancelling,
  whole,
  composed,
  narrow,
};
