// Decoded instructions. A record is 8 bytes:
//   0 opcode; 1 length of the instruction times 4 (= distance to the next record); 2 first register times 8 (rd, or
//   rs2 of stores and branches); 3 rs1 times 8; 4..7 immediate, or rs2 times 8, rounding mode, rs3 times 8.
// Registers are byte offsets into their file, offsets of branches are distances between records (4 per byte of code).
import { OP_ILLEGAL } from '../build/generated/opcodes';

export function writeRecord(at: u32, opcode: i32, size: u32, first: u32, second: u32, immediate: i32): void {
  store<i32>(at, immediate, 4);
  store<u32>(at, <u32>opcode | (size << 10) | (first << 19) | (second << 27));
}

export function writeIllegal(at: u32, size: u32): void {
  writeRecord(at, OP_ILLEGAL, size, 0, 0, 0);
}

// Immediates of the 32-bit formats (unprivileged specification, section 2.3).
@inline
export function immI(bits: u32): i32 {
  return <i32>bits >> 20;
}
@inline
export function immS(bits: u32): i32 {
  return ((<i32>bits >> 25) << 5) | ((bits >> 7) & 31);
}
@inline
export function immB(bits: u32): i32 {
  return ((<i32>bits >> 31) << 12) | (((bits >> 7) & 1) << 11) | (((bits >> 25) & 63) << 5) | (((bits >> 8) & 15) << 1);
}
@inline
export function immJ(bits: u32): i32 {
  return (
    ((<i32>bits >> 31) << 20) | (bits & 0xff000) | (((bits >> 20) & 1) << 11) | (((bits >> 21) & 0x3ff) << 1)
  );
}

// The same the other way round, for compressed instructions that are expanded.
@inline
export function putI(imm: i32): u32 {
  return <u32>imm << 20;
}
@inline
export function putS(imm: i32): u32 {
  return (((<u32>imm >> 5) & 127) << 25) | ((<u32>imm & 31) << 7);
}
@inline
export function putB(imm: i32): u32 {
  const v = <u32>imm;
  return (((v >> 12) & 1) << 31) | (((v >> 5) & 63) << 25) | (((v >> 1) & 15) << 8) | (((v >> 11) & 1) << 7);
}
@inline
export function putJ(imm: i32): u32 {
  const v = <u32>imm;
  return (((v >> 20) & 1) << 31) | (((v >> 1) & 0x3ff) << 21) | (((v >> 11) & 1) << 20) | (v & 0xff000);
}
