// The words every floating-point file shares: rounding modes, exception flags, format constants, wide integer helpers.
// Values travel as raw bits: binary64 in a u64, binary32 in a u32. NaN boxing and dynamic rounding modes are the
// caller's affair (RISC-V unprivileged specification, "F" and "D" chapters).

/** Rounding modes, as encoded in an instruction's rm field. */
export const RNE: u32 = 0;
export const RTZ: u32 = 1;
export const RDN: u32 = 2;
export const RUP: u32 = 3;
export const RMM: u32 = 4;

/** Exception flags, as laid out in fcsr. */
export const NX: u32 = 1;
export const UF: u32 = 2;
export const OF: u32 = 4;
export const DZ: u32 = 8;
export const NV: u32 = 16;

/** The accrued exception flags. Operations only ever set bits; the owner of fcsr reads and replaces the value. */
export let floatFlags: u32 = 0;

export function setFloatFlags(flags: u32): void {
  floatFlags = flags;
}

export function raise(flags: u32): void {
  floatFlags |= flags;
}

export const F64_SIGN: u64 = 0x8000000000000000;
export const F64_MAGNITUDE: u64 = 0x7fffffffffffffff;
export const F64_INFINITY: u64 = 0x7ff0000000000000;
export const F64_MIN_NORMAL: u64 = 0x0010000000000000;
export const F64_FRACTION: u64 = 0x000fffffffffffff;
export const F64_QUIET: u64 = 0x0008000000000000;
export const F64_NAN: u64 = 0x7ff8000000000000;
export const F64_BIAS: i32 = 1023;

export const F32_SIGN: u32 = 0x80000000;
export const F32_MAGNITUDE: u32 = 0x7fffffff;
export const F32_INFINITY: u32 = 0x7f800000;
export const F32_MIN_NORMAL: u32 = 0x00800000;
export const F32_QUIET: u32 = 0x00400000;
export const F32_NAN: u32 = 0x7fc00000;
export const F32_BIAS: i32 = 127;

/** A significand's leading bit after normalisation. */
export const LEADING_BIT: u64 = 0x8000000000000000;

export function isNaN64(a: u64): bool {
  return (a & F64_MAGNITUDE) > F64_INFINITY;
}

export function isSignaling64(a: u64): bool {
  return isNaN64(a) && (a & F64_QUIET) == 0;
}

export function isNaN32(a: u32): bool {
  return (a & F32_MAGNITUDE) > F32_INFINITY;
}

export function isSignaling32(a: u32): bool {
  return isNaN32(a) && (a & F32_QUIET) == 0;
}

/** The result of an operation with a NaN among its operands: the canonical NaN, with NV if one of them signals. */
export function propagateNaN64(a: u64, b: u64): u64 {
  if (isSignaling64(a) || isSignaling64(b)) raise(NV);
  return F64_NAN;
}

export function propagateNaN32(a: u32, b: u32): u32 {
  if (isSignaling32(a) || isSignaling32(b)) raise(NV);
  return F32_NAN;
}

/** The result of an invalid operation. */
export function invalid64(): u64 {
  raise(NV);
  return F64_NAN;
}

export function invalid32(): u32 {
  raise(NV);
  return F32_NAN;
}

/** Biased exponent of a nonzero finite binary64 magnitude, continued below 1 for subnormals. */
export function exponentOf(magnitude: u64): i32 {
  const field = <i32>(magnitude >> 52);
  return field != 0 ? field : 12 - <i32>clz(magnitude);
}

/** Significand of a nonzero finite binary64 magnitude, leading bit at bit 63. */
export function significandOf(magnitude: u64): u64 {
  return magnitude >= F64_MIN_NORMAL ? (magnitude << 11) | LEADING_BIT : magnitude << clz(magnitude);
}

/** `value >> distance`; a one shifted out stays visible in the lowest bit, so that rounding sees it. */
export function shiftRightSticky(value: u64, distance: u32): u64 {
  if (distance > 63) return u64(value != 0);
  const lost = value & (((<u64>1) << (<u64>distance)) - 1);
  return (value >> <u64>distance) | u64(lost != 0);
}

/** The upper half of a 64 by 64 bit product; the lower is `a * b`. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  const other = aLow * bHigh + (middle & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (other >> 32);
}

/**
 * The error of a sum rounded to nearest: `a + b - sum`, exactly, or NaN or an infinity where an intermediate overflows
 * (Knuth's TwoSum; additions cannot underflow).
 */
export function sumError(a: f64, b: f64, sum: f64): f64 {
  const fromB = sum - a;
  return a - (sum - fromB) + (b - fromB);
}

/** The zero that an exact cancellation leaves: negative only when rounding down. */
export function cancelled64(rm: u32): u64 {
  return rm == RDN ? F64_SIGN : 0;
}
