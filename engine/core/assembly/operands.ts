// How the interpreter's handlers reach the operands of a record (see record.ts for its layout).
import { CAUSE_ILLEGAL, EVENT_TRAP, event, raise } from './hart';
import { F, FP_READY, FRM, INSTRET, PC, X } from './layout';
import { enableFloat } from './csr';
import { instructionBits } from './arithmetic';

@inline
export function rs1(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 3), X);
}
@inline
export function rs2(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 4), X);
}
/** Second source of stores and branches, which have no destination. */
@inline
export function source(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 2), X);
}
@inline
export function imm(ip: u32): i32 {
  return load<i32>(ip, 4);
}
@inline
export function imm64(ip: u32): u64 {
  return <u64>(<i64>load<i32>(ip, 4));
}
@inline
export function rdOffset(ip: u32): u32 {
  return <u32>load<u8>(ip, 2);
}
@inline
export function setRd(ip: u32, value: u64): void {
  store<u64>(<u32>load<u8>(ip, 2), value, X);
}
@inline
export function setWord(ip: u32, value: i32): void {
  store<i64>(<u32>load<u8>(ip, 2), <i64>value, X);
}
/** Integer result of an FP instruction: rd may be x0. */
@inline
export function setRdUnlessZero(ip: u32, value: u64): void {
  const rd = <u32>load<u8>(ip, 2);
  if (rd) store<u64>(rd, value, X);
}
@inline
export function d1(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 3), F);
}
@inline
export function d2(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 4), F);
}
@inline
export function d3(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 6), F);
}
@inline
export function setD(ip: u32, value: u64): void {
  store<u64>(<u32>load<u8>(ip, 2), value, F);
}
@inline
export function unbox(value: u64): u32 {
  return <u32>(value >> 32) == 0xffffffff ? <u32>value : 0x7fc00000;
}
@inline
export function s1(ip: u32): u32 {
  return unbox(d1(ip));
}
@inline
export function s2(ip: u32): u32 {
  return unbox(d2(ip));
}
@inline
export function s3(ip: u32): u32 {
  return unbox(d3(ip));
}
@inline
export function setS(ip: u32, value: u32): void {
  setD(ip, <u64>value | 0xffffffff00000000);
}
@inline
export function floatReady(): bool {
  return load<u32>(FP_READY) != 0 || enableFloat();
}
/** The rounding mode of an instruction, dynamic ones resolved; above 4 the instruction is illegal. */
@inline
export function rounding(ip: u32): u32 {
  const mode = <u32>load<u8>(ip, 5);
  return mode == 7 ? load<u32>(FRM) : mode;
}
@inline
export function entryOf(va: u64, table: u32): u32 {
  return table + (<u32>(va >> 8) & 0xff0);
}

/** Stores where execution stands: at the instruction itself when it did not happen, after it otherwise. */
export function leaveLoop(ip: u32, pc: u64, retired: u64): void {
  if (event >= EVENT_TRAP) {
    store<u64>(PC, pc);
    store<u64>(INSTRET, retired - 1);
  } else {
    store<u64>(PC, pc + <u64>(<u32>load<u8>(ip, 1) >> 2));
    store<u64>(INSTRET, retired);
  }
}

/** An encoding that is not an instruction here and now. */
export function raiseIllegal(ip: u32, records: u32): void {
  raise(CAUSE_ILLEGAL, instructionBits(ip, records));
}
