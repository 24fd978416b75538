// Binary64 fused multiply-add: a product and a sum with one rounding.
import {
  cancelled64,
  exponentOf,
  F64_BIAS,
  F64_INFINITY,
  F64_MAGNITUDE,
  F64_SIGN,
  floatFlags,
  invalid64,
  isNaN64,
  multiplyHigh,
  NX,
  propagateNaN64,
  RNE,
  shiftRightSticky,
  significandOf,
  sumError,
} from './common';
import { addExact, mulExact } from './f64-exact';
import { roundToF64 } from './round';

/**
 * Above this product every part of it is a multiple of 2^-1006 and so exact. A sum that cancels most of it is such a
 * multiple too, hence normal: the native path cannot underflow.
 */
const LEAST_PRODUCT: f64 = 2.0 ** -900;

/** Half a unit of a significand's upper 26 bits, and the mask of the 27 bits below them. */
const SPLIT_HALF: u64 = 0x4000000;
const SPLIT_MASK: u64 = 0x7ffffff;

/** `a * b + c`, rounded once. An infinite product of zero raises NV even when `c` is a quiet NaN. */
export function f64MulAdd(a: u64, b: u64, c: u64, rm: u32): u64 {
  const x = reinterpret<f64>(a);
  const y = reinterpret<f64>(b);
  const z = reinterpret<f64>(c);
  const product = x * y;
  if (abs<f64>(product) > LEAST_PRODUCT) {
    // Dekker's product: product + productError == x * y. Halves of 26 bits, the lower one signed. What overflows here
    // or is not finite to begin with makes the tail infinite or NaN, which passes neither test below.
    const xHigh = reinterpret<f64>((a + SPLIT_HALF) & ~SPLIT_MASK);
    const yHigh = reinterpret<f64>((b + SPLIT_HALF) & ~SPLIT_MASK);
    const xLow = x - xHigh;
    const yLow = y - yHigh;
    const productError = xHigh * yHigh - product + xHigh * yLow + xLow * yHigh + xLow * yLow;
    const sum = product + z;
    const tail = productError + sumError(product, z, sum);
    if (tail == 0) {
      // Nothing lies below the sum: it is the result in every mode. A zero's sign depends on the mode.
      if (sum != 0) return reinterpret<u64>(sum);
    } else if (rm == RNE && (floatFlags & NX) != 0) {
      // The true value lies within half a unit of the tail from sum + tail. Where both ends of a wider interval round
      // to the same value, so does the true one.
      const margin = abs<f64>(tail) * f64.EPSILON;
      const upper = sum + (tail + margin);
      if (upper == sum + (tail - margin) && abs<f64>(upper) < Infinity) return reinterpret<u64>(upper);
    }
  }
  return mulAddExact(a, b, c, rm);
}

/** Exact `a * b + c` of any three values, rounded. */
export function mulAddExact(a: u64, b: u64, c: u64, rm: u32): u64 {
  const aMagnitude = a & F64_MAGNITUDE;
  const bMagnitude = b & F64_MAGNITUDE;
  const cMagnitude = c & F64_MAGNITUDE;
  const sign = (a ^ b) & F64_SIGN;
  if (aMagnitude >= F64_INFINITY || bMagnitude >= F64_INFINITY || cMagnitude >= F64_INFINITY) {
    if (aMagnitude == F64_INFINITY && bMagnitude == 0) return invalid64();
    if (bMagnitude == F64_INFINITY && aMagnitude == 0) return invalid64();
    if (isNaN64(a) || isNaN64(b) || isNaN64(c)) {
      propagateNaN64(a, b);
      return propagateNaN64(c, c);
    }
    const finiteProduct = aMagnitude < F64_INFINITY && bMagnitude < F64_INFINITY;
    return finiteProduct ? c : addExact(sign | F64_INFINITY, c, rm);
  }
  if (aMagnitude == 0 || bMagnitude == 0) return addExact(sign, c, rm);
  if (cMagnitude == 0) return mulExact(a, b, rm);

  // Both terms as 128 bits whose bit 125 has the weight of their exponent: the product's leading bit is 125 or 126,
  // the addend's is 125, and a carry fits above.
  const aSignificand = significandOf(aMagnitude) >> 1;
  const bSignificand = significandOf(bMagnitude);
  let high = multiplyHigh(aSignificand, bSignificand);
  let low = aSignificand * bSignificand;
  let addendHigh = significandOf(cMagnitude) >> 2;
  let addendLow: u64 = 0;
  let exponent = exponentOf(aMagnitude) + exponentOf(bMagnitude) - F64_BIAS;
  const distance = exponent - exponentOf(cMagnitude);
  // The lesser term moves right. The product has 21 zero bits at its end and the addend 73, so a sticky bit only forms
  // when the terms lie so far apart that at most one leading bit cancels.
  if (distance > 0) {
    addendLow = lowAfterShift(addendHigh, 0, distance);
    addendHigh = distance < 64 ? addendHigh >> distance : 0;
  } else if (distance < 0) {
    exponent -= distance;
    low = lowAfterShift(high, low, -distance);
    high = distance > -64 ? high >> -distance : 0;
  }

  if (((sign ^ c) & F64_SIGN) == 0) {
    low += addendLow;
    high += addendHigh + u64(low < addendLow);
    return roundWide(sign, exponent, high, low, rm);
  }
  if (high == addendHigh && low == addendLow) return cancelled64(rm);
  if (high > addendHigh || (high == addendHigh && low > addendLow)) {
    return roundWide(sign, exponent, high - addendHigh - u64(low < addendLow), low - addendLow, rm);
  }
  return roundWide(sign ^ F64_SIGN, exponent, addendHigh - high - u64(addendLow < low), addendLow - low, rm);
}

/** The lower half of a 128-bit value shifted right by 1 or more, sticky. */
function lowAfterShift(high: u64, low: u64, distance: i32): u64 {
  if (distance < 64) return shiftRightSticky(low, distance) | (high << (64 - distance));
  return shiftRightSticky(high, distance - 64) | u64(low != 0);
}

/** Rounds a nonzero 128-bit significand whose bit 125 has the weight of `exponent`. */
function roundWide(sign: u64, exponent: i32, high: u64, low: u64, rm: u32): u64 {
  exponent += 2;
  if (high == 0) {
    exponent -= 64;
    high = low;
    low = 0;
  }
  const shift = clz(high);
  const significand = (high << shift) | ((low >> 1) >> (63 - shift)) | u64(low << shift != 0);
  return roundToF64(sign, exponent - <i32>shift, significand, rm);
}
