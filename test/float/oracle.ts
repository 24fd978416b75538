// An oracle for floating-point arithmetic, written from the definitions of IEEE 754 with exact integers: a value is
// computed without rounding, then rounded once, then its flags are read off. It shares nothing with the unit under test.

export const RNE = 0;
export const RTZ = 1;
export const RDN = 2;
export const RUP = 3;
export const RMM = 4;
export const MODES = [RNE, RTZ, RDN, RUP, RMM] as const;

export const NX = 1;
export const UF = 2;
export const OF = 4;
export const DZ = 8;
export const NV = 16;

/** A binary interchange format. */
export interface Format {
  readonly width: number;
  /** Significand bits, the implied one included. */
  readonly precision: number;
  /** The exponent of the greatest finite value; that of the least normal is 1 less its negation. */
  readonly greatestExponent: number;
}

export const BINARY64: Format = { width: 64, precision: 53, greatestExponent: 1023 };
export const BINARY32: Format = { width: 32, precision: 24, greatestExponent: 127 };

/** Result bits and the flags that the operation raises. */
export interface Answer {
  readonly bits: bigint;
  readonly flags: number;
}

/** A magnitude of (significand + part) * 2^exponent, where part is 0, or somewhere between 0 and 1 if `beyond`. */
export interface Finite {
  readonly kind: 'finite';
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
  readonly beyond: boolean;
}

export type Value =
  | Finite
  | { readonly kind: 'infinity'; readonly negative: boolean }
  | { readonly kind: 'nan'; readonly signaling: boolean };

/** What an operation gives before rounding. */
export type Outcome =
  | Finite
  | { readonly kind: 'infinity'; readonly negative: boolean; readonly flags: number }
  | { readonly kind: 'nan'; readonly flags: number }
  /** An exact zero from terms of opposite sign: its sign depends on the rounding mode. */
  | { readonly kind: 'cancelled' };

export function finite(negative: boolean, significand: bigint, exponent: number, beyond = false): Finite {
  return { kind: 'finite', negative, significand, exponent, beyond };
}

export function infinite(negative: boolean, flags = 0): Outcome {
  return { kind: 'infinity', negative, flags };
}

export function notNumber(flags: number): Outcome {
  return { kind: 'nan', flags };
}

function fractionBits(format: Format): bigint {
  return BigInt(format.precision - 1);
}

function exponentField(format: Format): bigint {
  return BigInt(format.greatestExponent * 2 + 1);
}

export function decode(bits: bigint, format: Format): Value {
  const negative = bits >> BigInt(format.width - 1) === 1n;
  const field = (bits >> fractionBits(format)) & exponentField(format);
  const fraction = bits & ((1n << fractionBits(format)) - 1n);
  if (field === exponentField(format)) {
    if (fraction === 0n) return { kind: 'infinity', negative };
    return { kind: 'nan', signaling: fraction >> (fractionBits(format) - 1n) === 0n };
  }
  const leastUnit = 2 - format.greatestExponent - format.precision;
  if (field === 0n) return finite(negative, fraction, leastUnit);
  return finite(negative, fraction | (1n << fractionBits(format)), leastUnit + Number(field) - 1);
}

export function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  const digits = value.toString(16);
  return digits.length * 4 - Math.clz32(Number.parseInt(digits.charAt(0), 16)) + 28;
}

/** The bits of infinity, of the canonical NaN and of a sign. */
export function infinityBits(format: Format): bigint {
  return exponentField(format) << fractionBits(format);
}

export function nanBits(format: Format): bigint {
  return infinityBits(format) | (1n << (fractionBits(format) - 1n));
}

export function signBit(format: Format): bigint {
  return 1n << BigInt(format.width - 1);
}

/** Rounds to a multiple of 2^unit; gives the multiple and whether anything was lost. */
export function roundToUnit(value: Finite, unit: number, mode: number): { multiple: bigint; inexact: boolean } {
  const distance = unit - value.exponent;
  if (distance <= 0) {
    if (value.beyond) throw new Error('The oracle needs more bits of a value than it was given');
    return { multiple: value.significand << BigInt(-distance), inexact: false };
  }
  const down = value.significand >> BigInt(distance);
  const rest = value.significand - (down << BigInt(distance));
  const inexact = rest !== 0n || value.beyond;
  if (!inexact) return { multiple: down, inexact };
  const half = 1n << BigInt(distance - 1);
  const aboveHalf = rest > half || (rest === half && value.beyond);
  const exactlyHalf = rest === half && !value.beyond;
  let away: boolean;
  if (mode === RNE) away = aboveHalf || (exactlyHalf && (down & 1n) === 1n);
  else if (mode === RMM) away = aboveHalf || exactlyHalf;
  else if (mode === RDN) away = value.negative;
  else if (mode === RUP) away = !value.negative;
  else away = false;
  return { multiple: away ? down + 1n : down, inexact };
}

/** Rounds what an operation gives into a format (IEEE 754 sections 4.3, 6.3, 7; tininess after rounding). */
export function settle(outcome: Outcome, format: Format, mode: number): Answer {
  if (outcome.kind === 'nan') return { bits: nanBits(format), flags: outcome.flags };
  if (outcome.kind === 'cancelled') return { bits: mode === RDN ? signBit(format) : 0n, flags: 0 };
  const sign = outcome.negative ? signBit(format) : 0n;
  if (outcome.kind === 'infinity') return { bits: sign | infinityBits(format), flags: outcome.flags };
  if (outcome.significand === 0n) return { bits: sign, flags: 0 };

  const { precision, greatestExponent } = format;
  const leastExponent = 1 - greatestExponent;
  const exponent = bitLength(outcome.significand) - 1 + outcome.exponent;
  // As if the exponent range were unbounded: this decides overflow and tininess.
  const unboundedUnit = exponent - precision + 1;
  const unbounded = roundToUnit(outcome, unboundedUnit, mode).multiple;
  const roundedExponent = bitLength(unbounded) - 1 + unboundedUnit;
  if (roundedExponent > greatestExponent) {
    const towardsZero = mode === RTZ || mode === (outcome.negative ? RUP : RDN);
    return { bits: sign | (infinityBits(format) - (towardsZero ? 1n : 0n)), flags: OF | NX };
  }
  const tiny = roundedExponent < leastExponent;
  const unit = Math.max(unboundedUnit, leastExponent - precision + 1);
  const { multiple, inexact } = roundToUnit(outcome, unit, mode);
  const flags = inexact ? (tiny ? UF | NX : NX) : 0;
  return { bits: sign | encodeMagnitude(multiple, unit, format), flags };
}

/** The bits of multiple * 2^unit, which the format must hold exactly. */
function encodeMagnitude(multiple: bigint, unit: number, format: Format): bigint {
  const leastUnit = 2 - format.greatestExponent - format.precision;
  let significand = multiple;
  let exponent = unit;
  if (bitLength(significand) > format.precision) {
    significand >>= 1n;
    exponent += 1;
  }
  if (bitLength(significand) < format.precision) return significand;
  return (BigInt(exponent - leastUnit) << fractionBits(format)) + significand;
}
