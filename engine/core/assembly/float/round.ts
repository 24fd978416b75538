// Rounding an exact or sticky significand into a format: IEEE 754 sections 4.3 and 7.4-7.6, tininess after rounding
// (RISC-V "F" chapter, 11.2).
import { F32_INFINITY, F64_INFINITY, NX, OF, RDN, RMM, RNE, RUP, raise, shiftRightSticky, UF } from './common';

/** Whether the magnitude grows by a unit. `rest` lies below the kept bits, `half` is half a unit of them. */
function roundsUp(negative: bool, odd: bool, rest: u64, half: u64, rm: u32): bool {
  if (rm == RNE) return rest > half || (rest == half && odd);
  if (rm == RMM) return rest >= half;
  if (rm == RDN) return negative && rest != 0;
  if (rm == RUP) return !negative && rest != 0;
  return false;
}

/**
 * Rounds to a format that drops `dropped` of 64 significand bits and whose infinity has the bits `infinity`.
 *
 * `exponent` is the format's biased exponent of the leading bit, unbounded both ways; `significand` has its leading
 * bit at bit 63, anything nonzero below its end folded into bit 0. Raises NX, UF and OF. Returns the magnitude's bits.
 */
function roundMagnitude(negative: bool, exponent: i32, significand: u64, rm: u32, dropped: u64, infinity: u64): u64 {
  const half = (<u64>1) << (dropped - 1);
  const mask = (half << 1) - 1;
  let tiny = false;
  if (exponent < 1) {
    // Not tiny if rounding at full precision, with no lower bound on the exponent, already gives the least normal.
    const carries =
      significand >> dropped == ~(<u64>0) >> dropped && roundsUp(negative, true, significand & mask, half, rm);
    tiny = exponent < 0 || !carries;
    significand = shiftRightSticky(significand, 1 - exponent);
    exponent = 1;
  }
  const rest = significand & mask;
  let kept = significand >> dropped;
  if (rest != 0) {
    kept += u64(roundsUp(negative, (kept & 1) != 0, rest, half, rm));
    raise(tiny ? NX | UF : NX);
  }
  // A kept leading bit adds one to the exponent field, as does a carry out of the fraction.
  const largestExponent = <i32>(infinity >> (63 - dropped)) - 1;
  if (exponent <= largestExponent) {
    const magnitude = ((<u64>(exponent - 1)) << (63 - dropped)) + kept;
    if (magnitude < infinity) return magnitude;
  }
  raise(NX | OF);
  const toInfinity = rm == RNE || rm == RMM || rm == (negative ? RDN : RUP);
  return toInfinity ? infinity : infinity - 1;
}

/** Rounds to binary64; `sign` is the sign bit in place. */
export function roundToF64(sign: u64, exponent: i32, significand: u64, rm: u32): u64 {
  return sign | roundMagnitude(sign != 0, exponent, significand, rm, 11, F64_INFINITY);
}

/** Rounds to binary32; `sign` is the sign bit in place. */
export function roundToF32(sign: u32, exponent: i32, significand: u64, rm: u32): u32 {
  return sign | <u32>roundMagnitude(sign != 0, exponent, significand, rm, 40, F32_INFINITY);
}
