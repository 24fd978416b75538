// The A extension. One hart, and DMA only between instructions: plain loads and stores are atomic here. What must hold
// also with more harts is only that the frame comes from the write barrier.
import { RESERVATION, RESERVED_VALUE, X } from './layout';
import { ACCESS_LOAD, ACCESS_STORE, CAUSE_LOAD_MISALIGNED, CAUSE_STORE_MISALIGNED, raise } from './hart';
import { loadSized, storeSized } from './memory';
import { locateAtomic } from './mmu';

const NO_RESERVATION: u64 = u64.MAX_VALUE;

@inline
function extend(value: u64, size: u32): u64 {
  return size == 4 ? <u64>(<i64>(<i32>value)) : value;
}

@inline
function writeX(rd: u32, value: u64): void {
  if (rd != 0) store<u64>(X + rd, value);
}

/** LR. `rd` is the byte offset of the register, `size` 4 or 8. */
export function loadReserved(va: u64, size: u32, rd: u32): void {
  if (va & <u64>(size - 1)) return raise(CAUSE_LOAD_MISALIGNED, va);
  const at = locateAtomic(va, size, ACCESS_LOAD);
  if (at == 0) return;
  const value = extend(loadSized(at, size), size);
  store<u64>(RESERVATION, at);
  store<u64>(RESERVED_VALUE, value);
  writeX(rd, value);
}

/** SC: succeeds when the reservation is for this address and nobody, a device included, changed the value. */
export function storeConditional(va: u64, size: u32, value: u64, rd: u32): void {
  if (va & <u64>(size - 1)) return raise(CAUSE_STORE_MISALIGNED, va);
  const at = locateAtomic(va, size, ACCESS_STORE);
  if (at == 0) return;
  const held = load<u64>(RESERVATION) == <u64>at && load<u64>(RESERVED_VALUE) == extend(loadSized(at, size), size);
  store<u64>(RESERVATION, NO_RESERVATION);
  if (held) storeSized(at, size, value);
  writeX(rd, held ? 0 : 1);
}

export const AMO_SWAP: i32 = 0;
export const AMO_ADD: i32 = 1;
export const AMO_XOR: i32 = 2;
export const AMO_AND: i32 = 3;
export const AMO_OR: i32 = 4;
export const AMO_MIN: i32 = 5;
export const AMO_MAX: i32 = 6;
export const AMO_MINU: i32 = 7;
export const AMO_MAXU: i32 = 8;

/** One AMO. `source` is the value of rs2. */
export function atomicOperation(kind: i32, va: u64, size: u32, source: u64, rd: u32): void {
  if (va & <u64>(size - 1)) return raise(CAUSE_STORE_MISALIGNED, va);
  const at = locateAtomic(va, size, ACCESS_STORE);
  if (at == 0) return;
  const old = extend(loadSized(at, size), size);
  const operand = extend(source, size);
  let result = operand;
  switch (kind) {
    case AMO_ADD: result = old + operand; break;
    case AMO_XOR: result = old ^ operand; break;
    case AMO_AND: result = old & operand; break;
    case AMO_OR: result = old | operand; break;
    case AMO_MIN: result = <i64>old < <i64>operand ? old : operand; break;
    case AMO_MAX: result = <i64>old > <i64>operand ? old : operand; break;
    // Sign extension keeps the unsigned order of words.
    case AMO_MINU: result = old < operand ? old : operand; break;
    case AMO_MAXU: result = old > operand ? old : operand; break;
  }
  storeSized(at, size, result);
  writeX(rd, old);
}
