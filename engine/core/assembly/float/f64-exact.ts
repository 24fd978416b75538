// Binary64 arithmetic in integers, for every operand, rounding mode and flag. f64.ts comes here when the native
// operation cannot be shown to give the same bits and flags.
import {
  cancelled64,
  DZ,
  exponentOf,
  F64_BIAS,
  F64_FRACTION,
  F64_INFINITY,
  F64_MAGNITUDE,
  F64_MIN_NORMAL,
  F64_SIGN,
  invalid64,
  isNaN64,
  multiplyHigh,
  propagateNaN64,
  raise,
  shiftRightSticky,
  significandOf,
} from './common';
import { roundToF64 } from './round';

/** The bits of 1.0. */
const ONE: u64 = 0x3ff0000000000000;

/** Exact sum of any two values, rounded. */
export function addExact(a: u64, b: u64, rm: u32): u64 {
  const aMagnitude = a & F64_MAGNITUDE;
  const bMagnitude = b & F64_MAGNITUDE;
  const aSign = a & F64_SIGN;
  const opposite = ((a ^ b) & F64_SIGN) != 0;
  if (aMagnitude >= F64_INFINITY || bMagnitude >= F64_INFINITY) {
    if (isNaN64(a) || isNaN64(b)) return propagateNaN64(a, b);
    if (aMagnitude == bMagnitude && opposite) return invalid64();
    return aMagnitude == F64_INFINITY ? a : b;
  }
  if (aMagnitude == bMagnitude && opposite) return cancelled64(rm);
  if (bMagnitude == 0) return a;
  if (aMagnitude == 0) return b;
  if (aMagnitude < bMagnitude)
    return addOrdered(aSign ^ (opposite ? F64_SIGN : 0), bMagnitude, aMagnitude, opposite, rm);
  return addOrdered(aSign, aMagnitude, bMagnitude, opposite, rm);
}

/** Sum or difference of nonzero finite magnitudes, the larger first; they differ if `opposite`. */
function addOrdered(sign: u64, larger: u64, smaller: u64, opposite: bool, rm: u32): u64 {
  const exponent = exponentOf(larger);
  // One bit above for the carry; ten guard bits below. A sticky bit only forms when the exponents lie so far apart
  // that at most one leading bit cancels.
  const left = significandOf(larger) >> 1;
  const right = shiftRightSticky(significandOf(smaller) >> 1, exponent - exponentOf(smaller));
  const sum = opposite ? left - right : left + right;
  const shift = clz(sum);
  return roundToF64(sign, exponent + 1 - <i32>shift, sum << shift, rm);
}

/** Exact product of any two values, rounded. */
export function mulExact(a: u64, b: u64, rm: u32): u64 {
  const aMagnitude = a & F64_MAGNITUDE;
  const bMagnitude = b & F64_MAGNITUDE;
  const sign = (a ^ b) & F64_SIGN;
  if (aMagnitude >= F64_INFINITY || bMagnitude >= F64_INFINITY) {
    if (isNaN64(a) || isNaN64(b)) return propagateNaN64(a, b);
    if (aMagnitude == 0 || bMagnitude == 0) return invalid64();
    return sign | F64_INFINITY;
  }
  if (aMagnitude == 0 || bMagnitude == 0) return sign;
  const aSignificand = significandOf(aMagnitude);
  const bSignificand = significandOf(bMagnitude);
  const high = multiplyHigh(aSignificand, bSignificand);
  const low = aSignificand * bSignificand;
  // The product's leading bit is bit 127 or 126.
  const shift = clz(high);
  const significand = (high << shift) | u64(low != 0);
  return roundToF64(sign, exponentOf(aMagnitude) + exponentOf(bMagnitude) - F64_BIAS + 1 - <i32>shift, significand, rm);
}

/** Exact quotient of any two values, rounded. */
export function divExact(a: u64, b: u64, rm: u32): u64 {
  const aMagnitude = a & F64_MAGNITUDE;
  const bMagnitude = b & F64_MAGNITUDE;
  const sign = (a ^ b) & F64_SIGN;
  if (aMagnitude >= F64_INFINITY || bMagnitude >= F64_INFINITY) {
    if (isNaN64(a) || isNaN64(b)) return propagateNaN64(a, b);
    if (aMagnitude == bMagnitude) return invalid64();
    return aMagnitude == F64_INFINITY ? sign | F64_INFINITY : sign;
  }
  if (bMagnitude == 0) {
    if (aMagnitude == 0) return invalid64();
    raise(DZ);
    return sign | F64_INFINITY;
  }
  if (aMagnitude == 0) return sign;
  const dividend = significandOf(aMagnitude) >> 11;
  const divisor = significandOf(bMagnitude) >> 11;
  // Doubling the smaller dividend puts the quotient in [1, 2). The native quotient of these is within half a unit, so
  // the exact remainder fits 64 bits although its terms do not, and its sign says on which side the true value lies.
  const doubled = u64(dividend < divisor);
  const nearest = reinterpret<u64>(f64(<i64>(dividend << doubled)) / f64(<i64>divisor));
  const quotient = (nearest & F64_FRACTION) | F64_MIN_NORMAL;
  const remainder = <i64>((dividend << (52 + doubled)) - quotient * divisor);
  const exponent = exponentOf(aMagnitude) - exponentOf(bMagnitude) + F64_BIAS - <i32>doubled;
  return roundToF64(sign, exponent, besides(quotient, remainder), rm);
}

/** Exact square root of any value, rounded. */
export function sqrtExact(a: u64, rm: u32): u64 {
  if (isNaN64(a)) return propagateNaN64(a, a);
  if ((a & F64_MAGNITUDE) == 0) return a;
  if ((a & F64_SIGN) != 0) return invalid64();
  if (a == F64_INFINITY) return a;
  const exponent = exponentOf(a) - F64_BIAS;
  const odd = <u64>(exponent & 1);
  // The radicand in [1, 4) has its root in [1, 2): native to half a unit, completed by the sign of the exact remainder
  // as in a division.
  const fraction = (significandOf(a) >> 11) & F64_FRACTION;
  const nearest = reinterpret<u64>(sqrt<f64>(reinterpret<f64>((ONE + (odd << 52)) | fraction)));
  const root = (nearest & F64_FRACTION) | F64_MIN_NORMAL;
  const remainder = <i64>(((fraction | F64_MIN_NORMAL) << (52 + odd)) - root * root);
  return roundToF64(0, ((exponent - <i32>odd) >> 1) + F64_BIAS, besides(root, remainder), rm);
}

/** A 53-bit significand moved to bit 63, one step of the last bit towards where `remainder` says the value lies. */
function besides(nearest: u64, remainder: i64): u64 {
  return (nearest << 11) + <u64>(i64(remainder > 0) - i64(remainder < 0));
}
