// Binary32 operations, computed in native binary64. A binary64 result with 53 bits determines the binary32 one in every
// mode, flags included:
// - a product of two 24-bit significands is exact;
// - a quotient or root that is not itself a 25-bit value differs from each of those by at least 2^-50 of its size, more
//   than the binary64 rounding error, so it lies on the same side of every binary32 value and midpoint as the true one;
// - a sum is rounded to odd, which keeps 53 >= 24 + 2 bits as good as the exact value.
// No intermediate over- or underflows binary64, whose exponent range holds any product of two binary32 values.

import {
  DZ,
  F32_INFINITY,
  F32_MAGNITUDE,
  F32_MIN_NORMAL,
  F32_NAN,
  F32_QUIET,
  F32_SIGN,
  invalid32,
  isNaN32,
  isSignaling32,
  NV,
  propagateNaN32,
  RDN,
  raise,
  sumError,
} from './common';
import { f64ToF32 } from './convert';

/** The exact value of a binary32 number that is not a NaN. */
function widen(a: u32): f64 {
  return <f64>reinterpret<f32>(a);
}

function narrow(value: f64, rm: u32): u32 {
  return f64ToF32(reinterpret<u64>(value), rm);
}

/** What an operation gives whose native result is a NaN. */
function notANumber(a: u32, b: u32): u32 {
  return isNaN32(a) || isNaN32(b) ? propagateNaN32(a, b) : invalid32();
}

/** The exact sum of two values, not both infinite with opposite signs, rounded once. */
function narrowSum(x: f64, y: f64, sum: f64, rm: u32): u32 {
  if (sum == 0) {
    // A zero from terms of opposite sign is negative only when rounding down.
    const opposite = (reinterpret<u64>(x) ^ reinterpret<u64>(y)) >> 63 != 0;
    if (opposite) return rm == RDN ? F32_SIGN : 0;
  }
  const error = sumError(x, y, sum);
  let bits = reinterpret<u64>(sum);
  // Round to odd: of the two neighbours that enclose an inexact sum, the one with an odd significand. Infinite terms
  // make the error NaN and are exact.
  if (abs<f64>(error) > 0 && (bits & 1) == 0) bits += error > 0 == sum > 0 ? 1 : -1;
  return f64ToF32(bits, rm);
}

export function f32Add(a: u32, b: u32, rm: u32): u32 {
  const x = widen(a);
  const y = widen(b);
  const sum = x + y;
  return sum == sum ? narrowSum(x, y, sum, rm) : notANumber(a, b);
}

export function f32Sub(a: u32, b: u32, rm: u32): u32 {
  return f32Add(a, b ^ F32_SIGN, rm);
}

export function f32Mul(a: u32, b: u32, rm: u32): u32 {
  const product = widen(a) * widen(b);
  return product == product ? narrow(product, rm) : notANumber(a, b);
}

export function f32Div(a: u32, b: u32, rm: u32): u32 {
  const quotient = widen(a) / widen(b);
  if (quotient != quotient) return notANumber(a, b);
  if ((b & F32_MAGNITUDE) == 0 && (a & F32_MAGNITUDE) != F32_INFINITY) raise(DZ);
  return narrow(quotient, rm);
}

export function f32Sqrt(a: u32, rm: u32): u32 {
  const root = sqrt<f64>(widen(a));
  return root == root ? narrow(root, rm) : notANumber(a, a);
}

/** `a * b + c`, rounded once. An infinite product of zero raises NV even when `c` is a quiet NaN. */
export function f32MulAdd(a: u32, b: u32, c: u32, rm: u32): u32 {
  const product = widen(a) * widen(b);
  const addend = widen(c);
  const sum = product + addend;
  if (sum == sum) return narrowSum(product, addend, sum, rm);
  if (product != product) {
    propagateNaN32(c, c);
    return notANumber(a, b);
  }
  return isNaN32(c) ? propagateNaN32(c, c) : invalid32();
}

/** minimumNumber of IEEE 754-2019: a NaN yields to a number, -0 is below +0. */
export function f32Min(a: u32, b: u32): u32 {
  const x = reinterpret<f32>(a);
  const y = reinterpret<f32>(b);
  if (x == x && y == y) return reinterpret<u32>(min<f32>(x, y));
  return numberBesideNaN(a, b);
}

/** maximumNumber of IEEE 754-2019: a NaN yields to a number, +0 is above -0. */
export function f32Max(a: u32, b: u32): u32 {
  const x = reinterpret<f32>(a);
  const y = reinterpret<f32>(b);
  if (x == x && y == y) return reinterpret<u32>(max<f32>(x, y));
  return numberBesideNaN(a, b);
}

function numberBesideNaN(a: u32, b: u32): u32 {
  propagateNaN32(a, b);
  if (!isNaN32(a)) return a;
  return isNaN32(b) ? F32_NAN : b;
}

/** Quiet comparison: only a signaling NaN raises NV. */
export function f32Eq(a: u32, b: u32): i32 {
  if (isSignaling32(a) || isSignaling32(b)) raise(NV);
  return i32(reinterpret<f32>(a) == reinterpret<f32>(b));
}

/** Signaling comparison: any NaN raises NV. */
export function f32Lt(a: u32, b: u32): i32 {
  if (isNaN32(a) || isNaN32(b)) raise(NV);
  return i32(reinterpret<f32>(a) < reinterpret<f32>(b));
}

/** Signaling comparison: any NaN raises NV. */
export function f32Le(a: u32, b: u32): i32 {
  if (isNaN32(a) || isNaN32(b)) raise(NV);
  return i32(reinterpret<f32>(a) <= reinterpret<f32>(b));
}

/** The mask of fclass.s: bits 0 to 7 from -infinity to +infinity, 8 signaling NaN, 9 quiet NaN. */
export function f32Class(a: u32): u32 {
  const magnitude = a & F32_MAGNITUDE;
  if (magnitude > F32_INFINITY) return (a & F32_QUIET) != 0 ? 1 << 9 : 1 << 8;
  const negative = (a & F32_SIGN) != 0;
  if (magnitude == F32_INFINITY) return negative ? 1 << 0 : 1 << 7;
  if (magnitude >= F32_MIN_NORMAL) return negative ? 1 << 1 : 1 << 6;
  if (magnitude != 0) return negative ? 1 << 2 : 1 << 5;
  return negative ? 1 << 3 : 1 << 4;
}
