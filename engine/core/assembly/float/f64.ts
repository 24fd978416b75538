// Binary64 operations: native where bits and flags can be shown to be those of the specification, else exact.
import {
  F64_INFINITY,
  F64_MAGNITUDE,
  F64_MIN_NORMAL,
  F64_NAN,
  F64_QUIET,
  F64_SIGN,
  floatFlags,
  isNaN64,
  isSignaling64,
  NV,
  NX,
  propagateNaN64,
  RNE,
  raise,
  sumError,
} from './common';
import { addExact, divExact, mulExact, sqrtExact } from './f64-exact';

/**
 * Whether a result rounded to nearest is finite and above the least normal, so that it cannot have underflowed or
 * overflowed. The least normal itself may come from below it.
 */
function isPlainResult(bits: u64): bool {
  return (bits & F64_MAGNITUDE) - F64_MIN_NORMAL - 1 < F64_INFINITY - F64_MIN_NORMAL - 1;
}

export function f64Add(a: u64, b: u64, rm: u32): u64 {
  const x = reinterpret<f64>(a);
  const y = reinterpret<f64>(b);
  const sum = x + y;
  // A sum below the least normal is always exact, so only overflow needs a look.
  if (rm == RNE && abs<f64>(sum) < Infinity) {
    if ((floatFlags & NX) != 0) return reinterpret<u64>(sum);
    const error = sumError(x, y, sum);
    if (error == 0) return reinterpret<u64>(sum);
    if (abs<f64>(error) < Infinity) {
      raise(NX);
      return reinterpret<u64>(sum);
    }
  }
  return addExact(a, b, rm);
}

export function f64Sub(a: u64, b: u64, rm: u32): u64 {
  return f64Add(a, b ^ F64_SIGN, rm);
}

export function f64Mul(a: u64, b: u64, rm: u32): u64 {
  const product = reinterpret<u64>(reinterpret<f64>(a) * reinterpret<f64>(b));
  if (rm == RNE && isPlainResult(product)) {
    if ((floatFlags & NX) != 0) return product;
    if ((a & F64_MAGNITUDE) >= F64_MIN_NORMAL && (b & F64_MAGNITUDE) >= F64_MIN_NORMAL) {
      // The exact product has 105 or 106 bits, of which this many at the end are zero; 53 fit.
      const zeros = ctz(a | F64_MIN_NORMAL) + ctz(b | F64_MIN_NORMAL);
      if (zeros > 52) return product;
      if (zeros < 52) {
        raise(NX);
        return product;
      }
    }
  }
  return mulExact(a, b, rm);
}

export function f64Div(a: u64, b: u64, rm: u32): u64 {
  if (rm == RNE && (floatFlags & NX) != 0) {
    const quotient = reinterpret<u64>(reinterpret<f64>(a) / reinterpret<f64>(b));
    if (isPlainResult(quotient)) return quotient;
  }
  return divExact(a, b, rm);
}

export function f64Sqrt(a: u64, rm: u32): u64 {
  // The root of any positive value, subnormals too, is normal.
  if (rm == RNE && (floatFlags & NX) != 0 && a < F64_INFINITY) return reinterpret<u64>(sqrt<f64>(reinterpret<f64>(a)));
  return sqrtExact(a, rm);
}

/** minimumNumber of IEEE 754-2019: a NaN yields to a number, -0 is below +0. */
export function f64Min(a: u64, b: u64): u64 {
  const x = reinterpret<f64>(a);
  const y = reinterpret<f64>(b);
  if (x == x && y == y) return reinterpret<u64>(min<f64>(x, y));
  return numberBesideNaN(a, b);
}

/** maximumNumber of IEEE 754-2019: a NaN yields to a number, +0 is above -0. */
export function f64Max(a: u64, b: u64): u64 {
  const x = reinterpret<f64>(a);
  const y = reinterpret<f64>(b);
  if (x == x && y == y) return reinterpret<u64>(max<f64>(x, y));
  return numberBesideNaN(a, b);
}

function numberBesideNaN(a: u64, b: u64): u64 {
  propagateNaN64(a, b);
  if (!isNaN64(a)) return a;
  return isNaN64(b) ? F64_NAN : b;
}

/** Quiet comparison: only a signaling NaN raises NV. */
export function f64Eq(a: u64, b: u64): i32 {
  if (isSignaling64(a) || isSignaling64(b)) raise(NV);
  return i32(reinterpret<f64>(a) == reinterpret<f64>(b));
}

/** Signaling comparison: any NaN raises NV. */
export function f64Lt(a: u64, b: u64): i32 {
  if (isNaN64(a) || isNaN64(b)) raise(NV);
  return i32(reinterpret<f64>(a) < reinterpret<f64>(b));
}

/** Signaling comparison: any NaN raises NV. */
export function f64Le(a: u64, b: u64): i32 {
  if (isNaN64(a) || isNaN64(b)) raise(NV);
  return i32(reinterpret<f64>(a) <= reinterpret<f64>(b));
}

/** The mask of fclass.d: bits 0 to 7 from -infinity to +infinity, 8 signaling NaN, 9 quiet NaN. */
export function f64Class(a: u64): u32 {
  const magnitude = a & F64_MAGNITUDE;
  if (magnitude > F64_INFINITY) return (a & F64_QUIET) != 0 ? 1 << 9 : 1 << 8;
  const negative = (a & F64_SIGN) != 0;
  if (magnitude == F64_INFINITY) return negative ? 1 << 0 : 1 << 7;
  if (magnitude >= F64_MIN_NORMAL) return negative ? 1 << 1 : 1 << 6;
  if (magnitude != 0) return negative ? 1 << 2 : 1 << 5;
  return negative ? 1 << 3 : 1 << 4;
}
