// Conversions between the formats and to and from integers. Integer results are 64-bit register values, 32-bit ones
// sign-extended; what does not fit saturates with NV alone (RISC-V "F" chapter, 11.7).
import {
  exponentOf,
  F32_BIAS,
  F32_INFINITY,
  F32_MAGNITUDE,
  F32_MIN_NORMAL,
  F32_NAN,
  F64_BIAS,
  F64_MAGNITUDE,
  F64_NAN,
  F64_SIGN,
  isNaN32,
  isNaN64,
  isSignaling32,
  isSignaling64,
  NV,
  NX,
  RDN,
  RMM,
  RNE,
  RTZ,
  raise,
  significandOf,
} from './common';
import { roundToF32, roundToF64 } from './round';

/** Above this magnitude a binary64 value may not be the exact image of an integer. */
const EXACT_INTEGERS: u64 = 0x20000000000000;

export function f64ToF32(a: u64, rm: u32): u32 {
  const value = reinterpret<f64>(a);
  const nearest = <f32>value;
  const bits = reinterpret<u32>(nearest);
  if (<f64>nearest == value) return bits;
  // Inexact, or a NaN. Nearest is final when it cannot have over- or underflowed.
  if (rm == RNE && (bits & F32_MAGNITUDE) - F32_MIN_NORMAL - 1 < F32_INFINITY - F32_MIN_NORMAL - 1) {
    raise(NX);
    return bits;
  }
  return narrowExact(a, rm);
}

/** Rounds any binary64 value that no binary32 value equals. */
export function narrowExact(a: u64, rm: u32): u32 {
  if (isNaN64(a)) {
    if (isSignaling64(a)) raise(NV);
    return F32_NAN;
  }
  const magnitude = a & F64_MAGNITUDE;
  const sign = <u32>((a & F64_SIGN) >> 32);
  return roundToF32(sign, exponentOf(magnitude) - F64_BIAS + F32_BIAS, significandOf(magnitude), rm);
}

export function f32ToF64(a: u32): u64 {
  if (isNaN32(a)) {
    if (isSignaling32(a)) raise(NV);
    return F64_NAN;
  }
  return reinterpret<u64>(<f64>reinterpret<f32>(a));
}

/** Rounds to an integral value; exact, since a value with a fraction is below 2^52. */
function toIntegral(value: f64, rm: u32): f64 {
  if (rm == RTZ) return trunc<f64>(value);
  if (rm == RNE) return nearest<f64>(value);
  if (rm == RDN) return floor<f64>(value);
  if (rm != RMM) return ceil<f64>(value);
  const truncated = trunc<f64>(value);
  return abs<f64>(value - truncated) >= 0.5 ? truncated + copysign<f64>(1, value) : truncated;
}

function noteInexact(rounded: f64, value: f64): void {
  if (rounded != value) raise(NX);
}

/** The register value for an operand out of range: a NaN counts as too large. */
function saturated(value: f64, least: u64, greatest: u64): u64 {
  raise(NV);
  return value < 0 ? least : greatest;
}

function toI32(value: f64, rm: u32): u64 {
  const rounded = toIntegral(value, rm);
  if (!(rounded >= -2147483648.0 && rounded <= 2147483647.0)) return saturated(value, 0xffffffff80000000, 0x7fffffff);
  noteInexact(rounded, value);
  return <u64>(<i64>rounded);
}

function toU32(value: f64, rm: u32): u64 {
  const rounded = toIntegral(value, rm);
  if (!(rounded >= 0.0 && rounded <= 4294967295.0)) return saturated(value, 0, 0xffffffffffffffff);
  noteInexact(rounded, value);
  return <u64>(<i64>(<i32>(<i64>rounded)));
}

function toI64(value: f64, rm: u32): u64 {
  const rounded = toIntegral(value, rm);
  if (!(rounded >= -9223372036854775808.0 && rounded < 9223372036854775808.0)) {
    return saturated(value, 0x8000000000000000, 0x7fffffffffffffff);
  }
  noteInexact(rounded, value);
  return <u64>(<i64>rounded);
}

function toU64(value: f64, rm: u32): u64 {
  const rounded = toIntegral(value, rm);
  if (!(rounded >= 0.0 && rounded < 18446744073709551616.0)) return saturated(value, 0, 0xffffffffffffffff);
  noteInexact(rounded, value);
  return <u64>rounded;
}

export function f64ToI32(a: u64, rm: u32): u64 {
  return toI32(reinterpret<f64>(a), rm);
}

export function f64ToU32(a: u64, rm: u32): u64 {
  return toU32(reinterpret<f64>(a), rm);
}

export function f64ToI64(a: u64, rm: u32): u64 {
  return toI64(reinterpret<f64>(a), rm);
}

export function f64ToU64(a: u64, rm: u32): u64 {
  return toU64(reinterpret<f64>(a), rm);
}

export function f32ToI32(a: u32, rm: u32): u64 {
  return toI32(<f64>reinterpret<f32>(a), rm);
}

export function f32ToU32(a: u32, rm: u32): u64 {
  return toU32(<f64>reinterpret<f32>(a), rm);
}

export function f32ToI64(a: u32, rm: u32): u64 {
  return toI64(<f64>reinterpret<f32>(a), rm);
}

export function f32ToU64(a: u32, rm: u32): u64 {
  return toU64(<f64>reinterpret<f32>(a), rm);
}

/** Exact; `rm` is there for the uniform signature of conversions. */
export function f64FromI32(value: i32, rm: u32): u64 {
  return reinterpret<u64>(<f64>value);
}

/** Exact; `rm` is there for the uniform signature of conversions. */
export function f64FromU32(value: u32, rm: u32): u64 {
  return reinterpret<u64>(<f64>value);
}

export function f64FromI64(value: i64, rm: u32): u64 {
  const magnitude = value < 0 ? <u64>-value : <u64>value;
  if (magnitude <= EXACT_INTEGERS) return reinterpret<u64>(<f64>value);
  return integerToF64(value < 0 ? F64_SIGN : 0, magnitude, rm);
}

export function f64FromU64(value: u64, rm: u32): u64 {
  if (value <= EXACT_INTEGERS) return reinterpret<u64>(<f64>(<i64>value));
  return integerToF64(0, value, rm);
}

export function f32FromI32(value: i32, rm: u32): u32 {
  return f64ToF32(reinterpret<u64>(<f64>value), rm);
}

export function f32FromU32(value: u32, rm: u32): u32 {
  return f64ToF32(reinterpret<u64>(<f64>value), rm);
}

export function f32FromI64(value: i64, rm: u32): u32 {
  const magnitude = value < 0 ? <u64>-value : <u64>value;
  if (magnitude <= EXACT_INTEGERS) return f64ToF32(reinterpret<u64>(<f64>value), rm);
  return integerToF32(value < 0 ? 0x80000000 : 0, magnitude, rm);
}

export function f32FromU64(value: u64, rm: u32): u32 {
  if (value <= EXACT_INTEGERS) return f64ToF32(reinterpret<u64>(<f64>(<i64>value)), rm);
  return integerToF32(0, value, rm);
}

function integerToF64(sign: u64, magnitude: u64, rm: u32): u64 {
  const shift = clz(magnitude);
  return roundToF64(sign, F64_BIAS + 63 - <i32>shift, magnitude << shift, rm);
}

function integerToF32(sign: u32, magnitude: u64, rm: u32): u32 {
  const shift = clz(magnitude);
  return roundToF32(sign, F32_BIAS + 63 - <i32>shift, magnitude << shift, rm);
}
