// The predecoded interpreter. One switch over record opcodes; registers live in memory at constant addresses, TLB hits
// are inlined, everything else is a call into a slow path that may leave an event behind (hart.ts).
import { F, FP_READY, FRM, INSTRET, PC, TLB, TLB_CONTEXT_SIZE, TLB_FETCH, TLB_STORE, X, PAGE_RECORDS } from './layout';
import * as op from '../build/generated/opcodes';
import {
  AMO_ADD, AMO_AND, AMO_MAX, AMO_MAXU, AMO_MIN, AMO_MINU, AMO_OR, AMO_SWAP, AMO_XOR, atomicOperation, loadReserved,
  storeConditional,
} from './atomic';
import { decodeRecord } from './code';
import { CAUSE_ILLEGAL, EVENT_TRAP, dataContext, event, fetchContext, raise } from './hart';
import {
  FAR_RECORD, divideSigned, divideUnsigned, instructionBits, loadDiscarded, mulhs, mulhsu, mulhu, orCombine,
  remainderSigned, remainderUnsigned,
} from './arithmetic';
import { loadSlow, storeSlow } from './mmu';
import {
  f32Add, f32Class, f32Div, f32Eq, f32FromI32, f32FromI64, f32FromU32, f32FromU64, f32Le, f32Lt, f32Max, f32Min, f32Mul,
  f32MulAdd, f32Sqrt, f32Sub, f32ToF64, f32ToI32, f32ToI64, f32ToU32, f32ToU64, f64Add, f64Class, f64Div, f64Eq,
  f64FromI32, f64FromI64, f64FromU32, f64FromU64, f64Le, f64Lt, f64Max, f64Min, f64Mul, f64MulAdd, f64Sqrt, f64Sub,
  f64ToF32, f64ToI32, f64ToI64, f64ToU32, f64ToU64,
} from './float/index';
import {
  callEnvironment, controlRegister, breakpoint, enableFloat, fenceInstructions, fenceTranslations, machineReturn,
  supervisorReturn, waitForInterrupt,
} from './system';

/** The loop stopped at an instruction that reaches into a page whose code is not cached yet. */
export let crossing: bool = false;

export function clearCrossing(): void {
  crossing = false;
}

@inline
function rs1(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 3), X);
}
@inline
function rs2(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 4), X);
}
/** Second source of stores and branches, which have no destination. */
@inline
function source(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 2), X);
}
@inline
function imm(ip: u32): i32 {
  return load<i32>(ip, 4);
}
@inline
function imm64(ip: u32): u64 {
  return <u64>(<i64>load<i32>(ip, 4));
}
@inline
function rdOffset(ip: u32): u32 {
  return <u32>load<u8>(ip, 2);
}
@inline
function setRd(ip: u32, value: u64): void {
  store<u64>(<u32>load<u8>(ip, 2), value, X);
}
@inline
function setWord(ip: u32, value: i32): void {
  store<i64>(<u32>load<u8>(ip, 2), <i64>value, X);
}
/** Integer result of an FP instruction: rd may be x0. */
@inline
function setRdUnlessZero(ip: u32, value: u64): void {
  const rd = <u32>load<u8>(ip, 2);
  if (rd) store<u64>(rd, value, X);
}
@inline
function d1(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 3), F);
}
@inline
function d2(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 4), F);
}
@inline
function d3(ip: u32): u64 {
  return load<u64>(<u32>load<u8>(ip, 6), F);
}
@inline
function setD(ip: u32, value: u64): void {
  store<u64>(<u32>load<u8>(ip, 2), value, F);
}
@inline
function unbox(value: u64): u32 {
  return <u32>(value >> 32) == 0xffffffff ? <u32>value : 0x7fc00000;
}
@inline
function s1(ip: u32): u32 {
  return unbox(d1(ip));
}
@inline
function s2(ip: u32): u32 {
  return unbox(d2(ip));
}
@inline
function s3(ip: u32): u32 {
  return unbox(d3(ip));
}
@inline
function setS(ip: u32, value: u32): void {
  setD(ip, <u64>value | 0xffffffff00000000);
}
@inline
function floatReady(): bool {
  return load<u32>(FP_READY) != 0 || enableFloat();
}
/** The rounding mode of an instruction, dynamic ones resolved; above 4 the instruction is illegal. */
@inline
function rounding(ip: u32): u32 {
  const mode = <u32>load<u8>(ip, 5);
  return mode == 7 ? load<u32>(FRM) : mode;
}
@inline
function entryOf(va: u64, table: u32): u32 {
  return table + (<u32>(va >> 8) & 0xff0);
}

/** Stores where execution stands: at the instruction itself when it traps, after it otherwise. */
function leaveLoop(ip: u32, pc: u64, retired: u64): void {
  if (event >= EVENT_TRAP) {
    store<u64>(PC, pc);
    store<u64>(INSTRET, retired - 1);
  } else {
    store<u64>(PC, pc + <u64>(<u32>load<u8>(ip, 1) >> 2));
    store<u64>(INSTRET, retired);
  }
}

/**
 * Runs up to `budget` instructions from the record at `ip`, whose page has its records at `records` and begins at the
 * virtual address `page`. Returns with PC and INSTRET stored when the budget is used up, an event is set, or the next
 * page is not in the fetch TLB.
 */
export function interpret(budget: i32, startIp: u32, startRecords: u32, startPage: u64): void {
  let ip = startIp;
  let records = startRecords;
  let page = startPage;
  let remaining = budget;
  let target: u64 = 0;
  const instret = load<u64>(INSTRET) + <u64>budget;
  const data = TLB + dataContext() * TLB_CONTEXT_SIZE;
  const fetch = TLB + fetchContext() * TLB_CONTEXT_SIZE + TLB_FETCH;
  for (;;) {
    if (remaining == 0) {
      store<u64>(PC, ip == FAR_RECORD ? target : page + <u64>((ip - records) >> 2));
      store<u64>(INSTRET, instret);
      return;
    }
    remaining--;
    switch (<i32>load<u8>(ip)) {
      case op.OP_UNDECODED:
        remaining++;
        decodeRecord(records, ip);
        continue;
      case op.OP_PAGE_END:
        target = page + <u64>((ip - records) >> 2);
      case op.OP_FAR: {
        remaining++;
        const entry = entryOf(target, fetch);
        page = target & ~0xfff;
        if (load<u64>(entry) != page) {
          store<u64>(PC, target);
          store<u64>(INSTRET, instret - <u64>remaining);
          return;
        }
        records = load<u32>(entry, 8);
        ip = records + ((<u32>target & 0xffe) << 2);
        continue;
      }
      case op.OP_CROSSING:
        crossing = true;
        store<u64>(PC, page + <u64>((ip - records) >> 2));
        store<u64>(INSTRET, instret - <u64>(remaining + 1));
        return;
      case op.OP_NOP:
        break;
      case op.OP_LI:
        setRd(ip, imm64(ip));
        break;
      case op.OP_MV:
        setRd(ip, rs1(ip));
        break;
      case op.OP_AUIPC:
        setRd(ip, page + <u64>((ip - records) >> 2) + imm64(ip));
        break;
      case op.OP_J: {
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_JAL: {
        setRd(ip, page + <u64>((ip - records + <u32>load<u8>(ip, 1)) >> 2));
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_JR: {
        target = (rs1(ip) + imm64(ip)) & ~1;
        if ((target ^ page) < 4096) ip = records + ((<u32>target & 0xffe) << 2);
        else ip = FAR_RECORD;
        continue;
      }
      case op.OP_JALR: {
        target = (rs1(ip) + imm64(ip)) & ~1;
        setRd(ip, page + <u64>((ip - records + <u32>load<u8>(ip, 1)) >> 2));
        if ((target ^ page) < 4096) ip = records + ((<u32>target & 0xffe) << 2);
        else ip = FAR_RECORD;
        continue;
      }
      case op.OP_BEQ: {
        if (!(rs1(ip) == source(ip))) break;
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_BNE: {
        if (!(rs1(ip) != source(ip))) break;
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_BLT: {
        if (!(<i64>rs1(ip) < <i64>source(ip))) break;
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_BGE: {
        if (!(<i64>rs1(ip) >= <i64>source(ip))) break;
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_BLTU: {
        if (!(rs1(ip) < source(ip))) break;
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_BGEU: {
        if (!(rs1(ip) >= source(ip))) break;
        const next = ip + imm(ip);
        if (next - records < PAGE_RECORDS) {
          ip = next;
          continue;
        }
        target = page + <u64>(<i64>(<i32>(next - records) >> 2));
        ip = FAR_RECORD;
        continue;
      }
      case op.OP_LB: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<i8>() - 1)))) setRd(ip, <u64>(<i64>load<i8>(<u32>va + load<u32>(entry, 8))));
        else {
          const value = loadSlow(va, sizeof<i8>());
          if (event != EVENT_TRAP) setRd(ip, <u64>(<i64><i8>value));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_LH: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<i16>() - 1)))) setRd(ip, <u64>(<i64>load<i16>(<u32>va + load<u32>(entry, 8))));
        else {
          const value = loadSlow(va, sizeof<i16>());
          if (event != EVENT_TRAP) setRd(ip, <u64>(<i64><i16>value));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_LW: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<i32>() - 1)))) setRd(ip, <u64>(<i64>load<i32>(<u32>va + load<u32>(entry, 8))));
        else {
          const value = loadSlow(va, sizeof<i32>());
          if (event != EVENT_TRAP) setRd(ip, <u64>(<i64><i32>value));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_LD: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<u64>() - 1)))) setRd(ip, <u64>load<u64>(<u32>va + load<u32>(entry, 8)));
        else {
          const value = loadSlow(va, sizeof<u64>());
          if (event != EVENT_TRAP) setRd(ip, <u64><u64>value);
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_LBU: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<u8>() - 1)))) setRd(ip, <u64>load<u8>(<u32>va + load<u32>(entry, 8)));
        else {
          const value = loadSlow(va, sizeof<u8>());
          if (event != EVENT_TRAP) setRd(ip, <u64><u8>value);
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_LHU: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<u16>() - 1)))) setRd(ip, <u64>load<u16>(<u32>va + load<u32>(entry, 8)));
        else {
          const value = loadSlow(va, sizeof<u16>());
          if (event != EVENT_TRAP) setRd(ip, <u64><u16>value);
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_LWU: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<u32>() - 1)))) setRd(ip, <u64>load<u32>(<u32>va + load<u32>(entry, 8)));
        else {
          const value = loadSlow(va, sizeof<u32>());
          if (event != EVENT_TRAP) setRd(ip, <u64><u32>value);
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_FLW: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<u32>() - 1)))) setS(ip, load<u32>(<u32>va + load<u32>(entry, 8)));
        else {
          const value = loadSlow(va, sizeof<u32>());
          if (event != EVENT_TRAP) setS(ip, <u32>value);
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_FLD: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry) == (va & ~(0xfff & ~<u64>(sizeof<u64>() - 1)))) setD(ip, load<u64>(<u32>va + load<u32>(entry, 8)));
        else {
          const value = loadSlow(va, sizeof<u64>());
          if (event != EVENT_TRAP) setD(ip, <u64>value);
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_SB: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry, TLB_STORE) == (va & ~(0xfff & ~<u64>(sizeof<u8>() - 1)))) store<u8>(<u32>va + load<u32>(entry, TLB_STORE + 8), <u8>source(ip));
        else {
          storeSlow(va, sizeof<u8>(), source(ip));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_SH: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry, TLB_STORE) == (va & ~(0xfff & ~<u64>(sizeof<u16>() - 1)))) store<u16>(<u32>va + load<u32>(entry, TLB_STORE + 8), <u16>source(ip));
        else {
          storeSlow(va, sizeof<u16>(), source(ip));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_SW: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry, TLB_STORE) == (va & ~(0xfff & ~<u64>(sizeof<u32>() - 1)))) store<u32>(<u32>va + load<u32>(entry, TLB_STORE + 8), <u32>source(ip));
        else {
          storeSlow(va, sizeof<u32>(), source(ip));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_SD: {
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry, TLB_STORE) == (va & ~(0xfff & ~<u64>(sizeof<u64>() - 1)))) store<u64>(<u32>va + load<u32>(entry, TLB_STORE + 8), <u64>source(ip));
        else {
          storeSlow(va, sizeof<u64>(), source(ip));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_FSW: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry, TLB_STORE) == (va & ~(0xfff & ~<u64>(sizeof<u32>() - 1)))) store<u32>(<u32>va + load<u32>(entry, TLB_STORE + 8), <u32>load<u64>(<u32>load<u8>(ip, 2), F));
        else {
          storeSlow(va, sizeof<u32>(), load<u64>(<u32>load<u8>(ip, 2), F));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_FSD: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        const va = rs1(ip) + imm64(ip);
        const entry = entryOf(va, data);
        if (load<u64>(entry, TLB_STORE) == (va & ~(0xfff & ~<u64>(sizeof<u64>() - 1)))) store<u64>(<u32>va + load<u32>(entry, TLB_STORE + 8), <u64>load<u64>(<u32>load<u8>(ip, 2), F));
        else {
          storeSlow(va, sizeof<u64>(), load<u64>(<u32>load<u8>(ip, 2), F));
          if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
          }
        }
        break;
      }
      case op.OP_LOAD_DISCARDED:
        loadDiscarded(rs1(ip), <u32>imm(ip));
        if (event) {
            leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
            return;
        }
        break;
      case op.OP_LUI:
        setRd(ip, imm64(ip));
        break;
      case op.OP_ADDI:
        setRd(ip, rs1(ip) + imm64(ip));
        break;
      case op.OP_SLTI:
        setRd(ip, <u64>(<i64>rs1(ip) < <i64>imm64(ip)));
        break;
      case op.OP_SLTIU:
        setRd(ip, <u64>(rs1(ip) < imm64(ip)));
        break;
      case op.OP_XORI:
        setRd(ip, rs1(ip) ^ imm64(ip));
        break;
      case op.OP_ORI:
        setRd(ip, rs1(ip) | imm64(ip));
        break;
      case op.OP_ANDI:
        setRd(ip, rs1(ip) & imm64(ip));
        break;
      case op.OP_SLLI:
        setRd(ip, rs1(ip) << imm64(ip));
        break;
      case op.OP_SRLI:
        setRd(ip, rs1(ip) >> imm64(ip));
        break;
      case op.OP_SRAI:
        setRd(ip, <u64>(<i64>rs1(ip) >> <i64>imm64(ip)));
        break;
      case op.OP_ADD:
        setRd(ip, rs1(ip) + rs2(ip));
        break;
      case op.OP_SUB:
        setRd(ip, rs1(ip) - rs2(ip));
        break;
      case op.OP_SLL:
        setRd(ip, rs1(ip) << (rs2(ip) & 63));
        break;
      case op.OP_SLT:
        setRd(ip, <u64>(<i64>rs1(ip) < <i64>rs2(ip)));
        break;
      case op.OP_SLTU:
        setRd(ip, <u64>(rs1(ip) < rs2(ip)));
        break;
      case op.OP_XOR:
        setRd(ip, rs1(ip) ^ rs2(ip));
        break;
      case op.OP_SRL:
        setRd(ip, rs1(ip) >> (rs2(ip) & 63));
        break;
      case op.OP_SRA:
        setRd(ip, <u64>(<i64>rs1(ip) >> <i64>(rs2(ip) & 63)));
        break;
      case op.OP_OR:
        setRd(ip, rs1(ip) | rs2(ip));
        break;
      case op.OP_AND:
        setRd(ip, rs1(ip) & rs2(ip));
        break;
      case op.OP_ADDIW:
        setWord(ip, <i32>rs1(ip) + imm(ip));
        break;
      case op.OP_SLLIW:
        setWord(ip, <i32>rs1(ip) << imm(ip));
        break;
      case op.OP_SRLIW:
        setWord(ip, <i32>(<u32>rs1(ip) >> imm(ip)));
        break;
      case op.OP_SRAIW:
        setWord(ip, <i32>rs1(ip) >> imm(ip));
        break;
      case op.OP_ADDW:
        setWord(ip, <i32>rs1(ip) + <i32>rs2(ip));
        break;
      case op.OP_SUBW:
        setWord(ip, <i32>rs1(ip) - <i32>rs2(ip));
        break;
      case op.OP_SLLW:
        setWord(ip, <i32>rs1(ip) << (<i32>rs2(ip) & 31));
        break;
      case op.OP_SRLW:
        setWord(ip, <i32>(<u32>rs1(ip) >> (<u32>rs2(ip) & 31)));
        break;
      case op.OP_SRAW:
        setWord(ip, <i32>rs1(ip) >> (<i32>rs2(ip) & 31));
        break;

      // M
      case op.OP_MUL:
        setRd(ip, rs1(ip) * rs2(ip));
        break;
      case op.OP_MULH:
        setRd(ip, mulhs(rs1(ip), rs2(ip)));
        break;
      case op.OP_MULHSU:
        setRd(ip, mulhsu(rs1(ip), rs2(ip)));
        break;
      case op.OP_MULHU:
        setRd(ip, mulhu(rs1(ip), rs2(ip)));
        break;
      case op.OP_DIV:
        setRd(ip, divideSigned(rs1(ip), rs2(ip)));
        break;
      case op.OP_DIVU:
        setRd(ip, divideUnsigned(rs1(ip), rs2(ip)));
        break;
      case op.OP_REM:
        setRd(ip, remainderSigned(rs1(ip), rs2(ip)));
        break;
      case op.OP_REMU:
        setRd(ip, remainderUnsigned(rs1(ip), rs2(ip)));
        break;
      case op.OP_MULW:
        setWord(ip, <i32>rs1(ip) * <i32>rs2(ip));
        break;
      case op.OP_DIVW:
        setRd(ip, <u64>(<i64>(<i32>divideSigned(<u64>(<i64>(<i32>rs1(ip))), <u64>(<i64>(<i32>rs2(ip)))))));
        break;
      case op.OP_DIVUW:
        setRd(ip, <u64>(<i64>(<i32>divideUnsigned(<u64>(<u32>rs1(ip)), <u64>(<u32>rs2(ip))))));
        break;
      case op.OP_REMW:
        setRd(ip, <u64>(<i64>(<i32>remainderSigned(<u64>(<i64>(<i32>rs1(ip))), <u64>(<i64>(<i32>rs2(ip)))))));
        break;
      case op.OP_REMUW:
        setRd(ip, <u64>(<i64>(<i32>remainderUnsigned(<u64>(<u32>rs1(ip)), <u64>(<u32>rs2(ip))))));
        break;

      // Zba, Zbb, Zbs, Zicond
      case op.OP_ADD_UW:
        setRd(ip, (rs1(ip) & 0xffffffff) + rs2(ip));
        break;
      case op.OP_SH1ADD:
        setRd(ip, (rs1(ip) << 1) + rs2(ip));
        break;
      case op.OP_SH1ADD_UW:
        setRd(ip, ((rs1(ip) & 0xffffffff) << 1) + rs2(ip));
        break;
      case op.OP_SH2ADD:
        setRd(ip, (rs1(ip) << 2) + rs2(ip));
        break;
      case op.OP_SH2ADD_UW:
        setRd(ip, ((rs1(ip) & 0xffffffff) << 2) + rs2(ip));
        break;
      case op.OP_SH3ADD:
        setRd(ip, (rs1(ip) << 3) + rs2(ip));
        break;
      case op.OP_SH3ADD_UW:
        setRd(ip, ((rs1(ip) & 0xffffffff) << 3) + rs2(ip));
        break;
      case op.OP_SLLI_UW:
        setRd(ip, (rs1(ip) & 0xffffffff) << imm64(ip));
        break;
      case op.OP_ANDN:
        setRd(ip, rs1(ip) & ~rs2(ip));
        break;
      case op.OP_ORN:
        setRd(ip, rs1(ip) | ~rs2(ip));
        break;
      case op.OP_XNOR:
        setRd(ip, ~(rs1(ip) ^ rs2(ip)));
        break;
      case op.OP_CLZ:
        setRd(ip, clz<u64>(rs1(ip)));
        break;
      case op.OP_CTZ:
        setRd(ip, ctz<u64>(rs1(ip)));
        break;
      case op.OP_CPOP:
        setRd(ip, popcnt<u64>(rs1(ip)));
        break;
      case op.OP_CLZW:
        setRd(ip, <u64>clz<u32>(<u32>rs1(ip)));
        break;
      case op.OP_CTZW:
        setRd(ip, <u64>ctz<u32>(<u32>rs1(ip)));
        break;
      case op.OP_CPOPW:
        setRd(ip, <u64>popcnt<u32>(<u32>rs1(ip)));
        break;
      case op.OP_MAX:
        setRd(ip, <i64>rs1(ip) > <i64>rs2(ip) ? rs1(ip) : rs2(ip));
        break;
      case op.OP_MAXU:
        setRd(ip, rs1(ip) > rs2(ip) ? rs1(ip) : rs2(ip));
        break;
      case op.OP_MIN:
        setRd(ip, <i64>rs1(ip) < <i64>rs2(ip) ? rs1(ip) : rs2(ip));
        break;
      case op.OP_MINU:
        setRd(ip, rs1(ip) < rs2(ip) ? rs1(ip) : rs2(ip));
        break;
      case op.OP_SEXT_B:
        setRd(ip, <u64>(<i64>(<i8>rs1(ip))));
        break;
      case op.OP_SEXT_H:
        setRd(ip, <u64>(<i64>(<i16>rs1(ip))));
        break;
      case op.OP_ZEXT_H:
        setRd(ip, rs1(ip) & 0xffff);
        break;
      case op.OP_ROL:
        setRd(ip, rotl<u64>(rs1(ip), rs2(ip)));
        break;
      case op.OP_ROLW:
        setWord(ip, rotl<i32>(<i32>rs1(ip), <i32>rs2(ip)));
        break;
      case op.OP_ROR:
        setRd(ip, rotr<u64>(rs1(ip), rs2(ip)));
        break;
      case op.OP_RORI:
        setRd(ip, rotr<u64>(rs1(ip), imm64(ip)));
        break;
      case op.OP_RORIW:
        setWord(ip, rotr<i32>(<i32>rs1(ip), imm(ip)));
        break;
      case op.OP_RORW:
        setWord(ip, rotr<i32>(<i32>rs1(ip), <i32>rs2(ip)));
        break;
      case op.OP_ORC_B:
        setRd(ip, orCombine(rs1(ip)));
        break;
      case op.OP_REV8:
        setRd(ip, bswap<u64>(rs1(ip)));
        break;
      case op.OP_BCLR:
        setRd(ip, rs1(ip) & ~((<u64>1) << (rs2(ip) & 63)));
        break;
      case op.OP_BCLRI:
        setRd(ip, rs1(ip) & ~((<u64>1) << (imm64(ip) & 63)));
        break;
      case op.OP_BEXT:
        setRd(ip, (rs1(ip) >> (rs2(ip) & 63)) & 1);
        break;
      case op.OP_BEXTI:
        setRd(ip, (rs1(ip) >> (imm64(ip) & 63)) & 1);
        break;
      case op.OP_BINV:
        setRd(ip, rs1(ip) ^ ((<u64>1) << (rs2(ip) & 63)));
        break;
      case op.OP_BINVI:
        setRd(ip, rs1(ip) ^ ((<u64>1) << (imm64(ip) & 63)));
        break;
      case op.OP_BSET:
        setRd(ip, rs1(ip) | ((<u64>1) << (rs2(ip) & 63)));
        break;
      case op.OP_BSETI:
        setRd(ip, rs1(ip) | ((<u64>1) << (imm64(ip) & 63)));
        break;
      case op.OP_CZERO_EQZ:
        setRd(ip, rs2(ip) == 0 ? 0 : rs1(ip));
        break;
      case op.OP_CZERO_NEZ:
        setRd(ip, rs2(ip) != 0 ? 0 : rs1(ip));
        break;

      // A
      case op.OP_LR_W:
        loadReserved(rs1(ip), 4, rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_SC_W:
        storeConditional(rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOSWAP_W:
        atomicOperation(AMO_SWAP, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOADD_W:
        atomicOperation(AMO_ADD, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOXOR_W:
        atomicOperation(AMO_XOR, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOAND_W:
        atomicOperation(AMO_AND, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOOR_W:
        atomicOperation(AMO_OR, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMIN_W:
        atomicOperation(AMO_MIN, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMAX_W:
        atomicOperation(AMO_MAX, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMINU_W:
        atomicOperation(AMO_MINU, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMAXU_W:
        atomicOperation(AMO_MAXU, rs1(ip), 4, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_LR_D:
        loadReserved(rs1(ip), 8, rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_SC_D:
        storeConditional(rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOSWAP_D:
        atomicOperation(AMO_SWAP, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOADD_D:
        atomicOperation(AMO_ADD, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOXOR_D:
        atomicOperation(AMO_XOR, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOAND_D:
        atomicOperation(AMO_AND, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOOR_D:
        atomicOperation(AMO_OR, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMIN_D:
        atomicOperation(AMO_MIN, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMAX_D:
        atomicOperation(AMO_MAX, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMINU_D:
        atomicOperation(AMO_MINU, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_AMOMAXU_D:
        atomicOperation(AMO_MAXU, rs1(ip), 8, rs2(ip), rdOffset(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;

      // F and D
      case op.OP_FADD_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32Add(s1(ip), s2(ip), rm));
        break;
      }
      case op.OP_FSUB_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32Sub(s1(ip), s2(ip), rm));
        break;
      }
      case op.OP_FMUL_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32Mul(s1(ip), s2(ip), rm));
        break;
      }
      case op.OP_FDIV_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32Div(s1(ip), s2(ip), rm));
        break;
      }
      case op.OP_FSQRT_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32Sqrt(s1(ip), rm));
        break;
      }
      case op.OP_FMADD_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32MulAdd(s1(ip), s2(ip), s3(ip), rm));
        break;
      }
      case op.OP_FMSUB_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32MulAdd(s1(ip), s2(ip), s3(ip) ^ 0x80000000, rm));
        break;
      }
      case op.OP_FNMSUB_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32MulAdd(s1(ip) ^ 0x80000000, s2(ip), s3(ip), rm));
        break;
      }
      case op.OP_FNMADD_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32MulAdd(s1(ip) ^ 0x80000000, s2(ip), s3(ip) ^ 0x80000000, rm));
        break;
      }
      case op.OP_FSGNJ_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, (s1(ip) & 0x7fffffff) | (s2(ip) & 0x80000000));
        break;
      }
      case op.OP_FSGNJN_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, (s1(ip) & 0x7fffffff) | (~s2(ip) & 0x80000000));
        break;
      }
      case op.OP_FSGNJX_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, s1(ip) ^ (s2(ip) & 0x80000000));
        break;
      }
      case op.OP_FMIN_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32Min(s1(ip), s2(ip)));
        break;
      }
      case op.OP_FMAX_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32Max(s1(ip), s2(ip)));
        break;
      }
      case op.OP_FCVT_W_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32ToI32(s1(ip), rm));
        break;
      }
      case op.OP_FCVT_S_W: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32FromI32(<i32>rs1(ip), rm));
        break;
      }
      case op.OP_FCVT_WU_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32ToU32(s1(ip), rm));
        break;
      }
      case op.OP_FCVT_S_WU: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32FromU32(<u32>rs1(ip), rm));
        break;
      }
      case op.OP_FCVT_L_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32ToI64(s1(ip), rm));
        break;
      }
      case op.OP_FCVT_S_L: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32FromI64(<i64>rs1(ip), rm));
        break;
      }
      case op.OP_FCVT_LU_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32ToU64(s1(ip), rm));
        break;
      }
      case op.OP_FCVT_S_LU: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f32FromU64(rs1(ip), rm));
        break;
      }
      case op.OP_FEQ_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32Eq(s1(ip), s2(ip)));
        break;
      }
      case op.OP_FLT_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32Lt(s1(ip), s2(ip)));
        break;
      }
      case op.OP_FLE_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32Le(s1(ip), s2(ip)));
        break;
      }
      case op.OP_FCLASS_S: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f32Class(s1(ip)));
        break;
      }
      case op.OP_FADD_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64Add(d1(ip), d2(ip), rm));
        break;
      }
      case op.OP_FSUB_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64Sub(d1(ip), d2(ip), rm));
        break;
      }
      case op.OP_FMUL_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64Mul(d1(ip), d2(ip), rm));
        break;
      }
      case op.OP_FDIV_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64Div(d1(ip), d2(ip), rm));
        break;
      }
      case op.OP_FSQRT_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64Sqrt(d1(ip), rm));
        break;
      }
      case op.OP_FMADD_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64MulAdd(d1(ip), d2(ip), d3(ip), rm));
        break;
      }
      case op.OP_FMSUB_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64MulAdd(d1(ip), d2(ip), d3(ip) ^ 0x8000000000000000, rm));
        break;
      }
      case op.OP_FNMSUB_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64MulAdd(d1(ip) ^ 0x8000000000000000, d2(ip), d3(ip), rm));
        break;
      }
      case op.OP_FNMADD_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64MulAdd(d1(ip) ^ 0x8000000000000000, d2(ip), d3(ip) ^ 0x8000000000000000, rm));
        break;
      }
      case op.OP_FSGNJ_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, (d1(ip) & 0x7fffffffffffffff) | (d2(ip) & 0x8000000000000000));
        break;
      }
      case op.OP_FSGNJN_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, (d1(ip) & 0x7fffffffffffffff) | (~d2(ip) & 0x8000000000000000));
        break;
      }
      case op.OP_FSGNJX_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, d1(ip) ^ (d2(ip) & 0x8000000000000000));
        break;
      }
      case op.OP_FMIN_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64Min(d1(ip), d2(ip)));
        break;
      }
      case op.OP_FMAX_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64Max(d1(ip), d2(ip)));
        break;
      }
      case op.OP_FCVT_W_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64ToI32(d1(ip), rm));
        break;
      }
      case op.OP_FCVT_D_W: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64FromI32(<i32>rs1(ip), rm));
        break;
      }
      case op.OP_FCVT_WU_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64ToU32(d1(ip), rm));
        break;
      }
      case op.OP_FCVT_D_WU: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64FromU32(<u32>rs1(ip), rm));
        break;
      }
      case op.OP_FCVT_L_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64ToI64(d1(ip), rm));
        break;
      }
      case op.OP_FCVT_D_L: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64FromI64(<i64>rs1(ip), rm));
        break;
      }
      case op.OP_FCVT_LU_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64ToU64(d1(ip), rm));
        break;
      }
      case op.OP_FCVT_D_LU: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f64FromU64(rs1(ip), rm));
        break;
      }
      case op.OP_FEQ_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64Eq(d1(ip), d2(ip)));
        break;
      }
      case op.OP_FLT_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64Lt(d1(ip), d2(ip)));
        break;
      }
      case op.OP_FLE_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64Le(d1(ip), d2(ip)));
        break;
      }
      case op.OP_FCLASS_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>f64Class(d1(ip)));
        break;
      }
      case op.OP_FMV_X_W: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, <u64>(<i64>(<i32>d1(ip))));
        break;
      }
      case op.OP_FMV_W_X: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, <u32>rs1(ip));
        break;
      }
      case op.OP_FMV_X_D: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setRdUnlessZero(ip, d1(ip));
        break;
      }
      case op.OP_FMV_D_X: {
        if (!floatReady()) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, rs1(ip));
        break;
      }
      case op.OP_FCVT_S_D: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setS(ip, f64ToF32(d1(ip), rm));
        break;
      }
      case op.OP_FCVT_D_S: {
        const rm = rounding(ip);
        if (!floatReady() || rm > 4) {
          raise(CAUSE_ILLEGAL, instructionBits(ip, records));
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        setD(ip, f32ToF64(s1(ip)));
        break;
      }

      // System
      case op.OP_CSRRW:
      case op.OP_CSRRS:
      case op.OP_CSRRC:
      case op.OP_CSRRWI:
      case op.OP_CSRRSI:
      case op.OP_CSRRCI:
        store<u64>(INSTRET, instret - <u64>(remaining + 1));
        controlRegister(<u32>imm(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_ECALL:
        callEnvironment();
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_EBREAK:
        breakpoint(page + <u64>((ip - records) >> 2));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_WFI:
        waitForInterrupt(<u32>imm(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_SFENCE_VMA:
        fenceTranslations(<u32>imm(ip));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_FENCE_I:
        fenceInstructions();
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_MRET:
        if (machineReturn()) {
          store<u64>(INSTRET, instret - <u64>remaining);
          return;
        }
        raise(CAUSE_ILLEGAL, <u64>(<u32>imm(ip)));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      case op.OP_SRET:
        if (supervisorReturn()) {
          store<u64>(INSTRET, instret - <u64>remaining);
          return;
        }
        raise(CAUSE_ILLEGAL, <u64>(<u32>imm(ip)));
        if (event) {
          leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
          return;
        }
        break;
      default: {
        raise(CAUSE_ILLEGAL, instructionBits(ip, records));
        leaveLoop(ip, page + <u64>((ip - records) >> 2), instret - <u64>remaining);
        return;
      }
    }
    ip += <u32>load<u8>(ip, 1);
  }
}
