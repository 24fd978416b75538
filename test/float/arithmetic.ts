// The operations of the oracle on exact values.
import { bitLength, DZ, type Finite, finite, infinite, NV, notNumber, type Outcome, type Value } from './oracle.ts';

/** Bits of a quotient or root: beyond any format's precision, so that what follows them only matters as nonzero. */
const QUOTIENT_BITS = 80;

function signalingFlags(values: readonly Value[]): number {
  return values.some(value => value.kind === 'nan' && value.signaling) ? NV : 0;
}

function isZero(value: Value): boolean {
  return value.kind === 'finite' && value.significand === 0n;
}

function signed(value: Finite, exponent: number): bigint {
  const magnitude = value.significand << BigInt(value.exponent - exponent);
  return value.negative ? -magnitude : magnitude;
}

function addFinite(a: Finite, b: Finite): Outcome {
  if (isZero(a) && isZero(b)) return a.negative === b.negative ? a : { kind: 'cancelled' };
  if (isZero(a)) return b;
  if (isZero(b)) return a;
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = signed(a, exponent) + signed(b, exponent);
  if (sum === 0n) return { kind: 'cancelled' };
  return finite(sum < 0n, sum < 0n ? -sum : sum, exponent);
}

export function add(a: Value, b: Value): Outcome {
  if (a.kind === 'nan' || b.kind === 'nan') return notNumber(signalingFlags([a, b]));
  if (a.kind === 'infinity') {
    return b.kind === 'infinity' && a.negative !== b.negative ? notNumber(NV) : infinite(a.negative);
  }
  return b.kind === 'infinity' ? infinite(b.negative) : addFinite(a, b);
}

export function multiply(a: Value, b: Value): Outcome {
  if (a.kind === 'nan' || b.kind === 'nan') return notNumber(signalingFlags([a, b]));
  const negative = a.negative !== b.negative;
  if (a.kind === 'infinity' || b.kind === 'infinity') {
    return isZero(a) || isZero(b) ? notNumber(NV) : infinite(negative);
  }
  return finite(negative, a.significand * b.significand, a.exponent + b.exponent);
}

export function divide(a: Value, b: Value): Outcome {
  if (a.kind === 'nan' || b.kind === 'nan') return notNumber(signalingFlags([a, b]));
  const negative = a.negative !== b.negative;
  if (a.kind === 'infinity') return b.kind === 'infinity' ? notNumber(NV) : infinite(negative);
  if (b.kind === 'infinity') return finite(negative, 0n, 0);
  if (isZero(b)) return isZero(a) ? notNumber(NV) : infinite(negative, DZ);
  const shift = Math.max(0, QUOTIENT_BITS + bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(shift);
  const quotient = dividend / b.significand;
  return finite(negative, quotient, a.exponent - b.exponent - shift, quotient * b.significand !== dividend);
}

function integerRoot(radicand: bigint): bigint {
  let root = 1n << BigInt((bitLength(radicand) + 1) >> 1);
  for (;;) {
    const next = (root + radicand / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

export function squareRoot(a: Value): Outcome {
  if (a.kind === 'nan') return notNumber(signalingFlags([a]));
  if (a.kind === 'finite' && a.significand === 0n) return a;
  if (a.negative) return notNumber(NV);
  if (a.kind === 'infinity') return infinite(false);
  let shift = 2 * QUOTIENT_BITS;
  if ((a.exponent - shift) % 2 !== 0) shift += 1;
  const radicand = a.significand << BigInt(shift);
  const root = integerRoot(radicand);
  return finite(false, root, (a.exponent - shift) / 2, root * root !== radicand);
}

export function multiplyAdd(a: Value, b: Value, c: Value): Outcome {
  const invalidProduct = (a.kind === 'infinity' && isZero(b)) || (b.kind === 'infinity' && isZero(a));
  if (a.kind === 'nan' || b.kind === 'nan' || c.kind === 'nan') {
    return notNumber(signalingFlags([a, b, c]) | (invalidProduct ? NV : 0));
  }
  const product = multiply(a, b);
  if (product.kind === 'finite' || product.kind === 'infinity') return add(product, c);
  return notNumber(NV);
}

/** -1, 0 or 1 as `a` is below, equal to or above `b`; zeros are equal. Undefined if either is a NaN. */
export function compare(a: Value, b: Value): -1 | 0 | 1 | undefined {
  if (a.kind === 'nan' || b.kind === 'nan') return undefined;
  const rank = (value: Value) => (value.kind === 'infinity' ? (value.negative ? -1 : 1) : 0);
  if (a.kind === 'finite' && b.kind === 'finite') {
    const exponent = Math.min(a.exponent, b.exponent);
    const left = signed(a, exponent);
    const right = signed(b, exponent);
    return left < right ? -1 : left > right ? 1 : 0;
  }
  const order = rank(a) - rank(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}
