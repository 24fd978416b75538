// Integer helpers of the interpreter that are more than one operator.
import { CODE_META, CODE_POOL, CODE_SLOT_SIZE, SCRATCH_RECORD } from './layout';
import { frameAddress } from './memory';
import { loadSlow } from './mmu';

/** A record that means: the next instruction is at `target`, outside of this page. */
export const FAR_RECORD: u32 = SCRATCH_RECORD + 0x20;

/** Upper half of the unsigned product. */
export function mulhu(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  const cross = aLow * bHigh + (middle & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (cross >> 32);
}

/** Upper half of the signed product. */
export function mulhs(a: u64, b: u64): u64 {
  return mulhu(a, b) - (<i64>a < 0 ? b : 0) - (<i64>b < 0 ? a : 0);
}

/** Upper half of signed `a` times unsigned `b`. */
export function mulhsu(a: u64, b: u64): u64 {
  return mulhu(a, b) - (<i64>a < 0 ? b : 0);
}

// Division by zero and overflow have results, not traps (unprivileged specification, table "Semantics for division").
export function divideSigned(a: u64, b: u64): u64 {
  if (b == 0) return u64.MAX_VALUE;
  if (<i64>b == -1) return 0 - a;
  return <u64>(<i64>a / <i64>b);
}

export function divideUnsigned(a: u64, b: u64): u64 {
  return b == 0 ? u64.MAX_VALUE : a / b;
}

export function remainderSigned(a: u64, b: u64): u64 {
  if (b == 0) return a;
  if (<i64>b == -1) return 0;
  return <u64>(<i64>a % <i64>b);
}

export function remainderUnsigned(a: u64, b: u64): u64 {
  return b == 0 ? a : a % b;
}

/** orc.b: every byte that is not zero becomes 0xff. */
export function orCombine(value: u64): u64 {
  // Bit 7 of each byte says whether any of its bits is set; the sum of the low seven never carries into the next byte.
  const any = (((value & 0x7f7f7f7f7f7f7f7f) + 0x7f7f7f7f7f7f7f7f) | value) & 0x8080808080808080;
  return (any >> 7) * 0xff;
}

/** A load whose result goes to x0: only its faults and device effects count. */
export function loadDiscarded(base: u64, bits: u32): void {
  loadSlow(base + <u64>(<i64>(<i32>bits >> 20)), 1 << ((bits >> 12) & 3));
}

/** The encoding of the instruction that a record stands for, as mtval wants it. */
export function instructionBits(ip: u32, records: u32): u64 {
  if (ip == SCRATCH_RECORD) return <u64>load<u32>(SCRATCH_RECORD, 8);
  const meta = CODE_META + (((records - CODE_POOL) / CODE_SLOT_SIZE) << 4);
  const offset = (ip - records) >> 2;
  const code = frameAddress(load<u32>(meta) - 1) + offset;
  const low = <u64>load<u16>(code);
  if (load<u8>(ip, 1) == 8) return low;
  const high = offset == 4094 ? load<u32>(meta, 8) & 0xffff : <u32>load<u16>(code, 2);
  return low | (<u64>high << 16);
}
