// Physical memory protection (privileged specification 3.7): 16 entries, granularity 4 bytes.
import { PMPADDR, PMPCFG } from './layout';
import { ACCESS_FETCH, ACCESS_STORE, MODE_M } from './hart';

export const PMP_ENTRIES: u32 = 16;
const PMP_R: u32 = 1;
const PMP_W: u32 = 2;
const PMP_X: u32 = 4;
const PMP_L: u32 = 0x80;

export const PMP_DENIED: i32 = 0;
export const PMP_ALLOWED: i32 = 1;
/** The range is covered in part only: what a single access may do must be asked for that access. */
export const PMP_MIXED: i32 = 2;

/** Last address that any entry reaches, so that memory above costs nothing; recomputed when an entry changes. */
let anyActive: bool = false;
/** Entry 0 grants everything everywhere: what firmware sets up for an operating system. */
let firstOpensAll: bool = false;

export function pmpChanged(): void {
  anyActive = false;
  for (let i: u32 = 0; i < PMP_ENTRIES; i++) if ((load<u8>(PMPCFG + i) >> 3) & 3) anyActive = true;
  // NAPOT over the whole 56-bit space: 54 address bits, all ones.
  const all: u64 = 0x3fffffffffffff;
  const config = load<u8>(PMPCFG);
  firstOpensAll = (config & 0x1f) == 0x1f && load<u64>(PMPADDR) == all;
}

/** Whether `mode` may do `access` to all `size` bytes at `address`. */
export function pmpCheck(address: u64, size: u64, access: i32, mode: u32): i32 {
  if (firstOpensAll) return PMP_ALLOWED;
  if (!anyActive) return mode == MODE_M ? PMP_ALLOWED : PMP_DENIED;
  const last = address + size - 1;
  for (let i: u32 = 0; i < PMP_ENTRIES; i++) {
    const config = <u32>load<u8>(PMPCFG + i);
    const kind = (config >> 3) & 3;
    if (kind == 0) continue;
    const register = load<u64>(PMPADDR + (i << 3));
    let low: u64;
    let high: u64; // inclusive
    if (kind == 1) {
      low = i == 0 ? 0 : load<u64>(PMPADDR + ((i - 1) << 3)) << 2;
      const end = register << 2;
      if (end <= low) continue;
      high = end - 1;
    } else if (kind == 2) {
      low = register << 2;
      high = low + 3;
    } else {
      const span: u64 = (register ^ (register + 1)) << 2 | 3; // size - 1
      low = (register << 2) & ~span;
      high = low + span;
    }
    if (last < low || address > high) continue;
    if (address < low || last > high) return PMP_MIXED;
    if (mode == MODE_M && (config & PMP_L) == 0) return PMP_ALLOWED;
    const needed = access == ACCESS_FETCH ? PMP_X : access == ACCESS_STORE ? PMP_W : PMP_R;
    return (config & needed) != 0 ? PMP_ALLOWED : PMP_DENIED;
  }
  return mode == MODE_M ? PMP_ALLOWED : PMP_DENIED;
}
