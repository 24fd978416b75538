// Address translation (privileged specification 4.3-4.5) and the software TLBs that hold V->M, the composition of the
// guest's page tables and our P->M map (V4). Everything here is the slow path: the interpreter looks into the TLBs itself.
import {
  EPOCH, FILL_COUNT, HOLDING, MSTATUS, SATP, SUPERPAGES_1G, SUPERPAGES_2M, TLB, TLB_CONTEXT_SIZE, TLB_ENTRIES, TLB_FETCH, TLB_STORE,
  TLB_TABLE_SIZE,
} from './layout';
import {
  ACCESS_FETCH, ACCESS_LOAD, ACCESS_STORE, CAUSE_FETCH_ACCESS, CAUSE_FETCH_PAGE, CAUSE_LOAD_ACCESS, CAUSE_LOAD_PAGE,
  CAUSE_STORE_ACCESS, CAUSE_STORE_PAGE, EVENT_TRAP, MODE_M, MODE_S, STATUS_MXR, clearEvent, contextMode, dataContext, event, fetchContext,
  hardwareUpdatesAccessed, raise,
} from './hart';
import {
  deviceLoad, deviceStore, deviceValue, isRam, loadSized, machineForLoad, machineForStore, storeSized,
} from './memory';
import { PMP_ALLOWED, PMP_MIXED, pmpCheck } from './pmp';

const PTE_V: u64 = 1;
const PTE_R: u64 = 2;
const PTE_W: u64 = 4;
const PTE_X: u64 = 8;
const PTE_U: u64 = 16;
const PTE_A: u64 = 64;
const PTE_D: u64 = 128;
/** Bits 63:54: Svnapot, Svpbmt and reserved ones, none of which we have. */
const PTE_RESERVED: u64 = 0xffc0000000000000;

/** No translation: the fault is raised. Physical addresses have 56 bits, so this is none. */
export const NO_ADDRESS: u64 = u64.MAX_VALUE;

/** Level of the leaf that the last translation ended at: 0 for 4 KiB, 1 for 2 MiB, more for larger; also 0 when bare. */
let leafLevel: i32 = 0;

function accessFault(access: i32, va: u64): u64 {
  raise(access == ACCESS_FETCH ? CAUSE_FETCH_ACCESS : access == ACCESS_STORE ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS, va);
  return NO_ADDRESS;
}

function pageFault(access: i32, va: u64): u64 {
  raise(access == ACCESS_FETCH ? CAUSE_FETCH_PAGE : access == ACCESS_STORE ? CAUSE_STORE_PAGE : CAUSE_LOAD_PAGE, va);
  return NO_ADDRESS;
}

/** Guest-physical address of `va` for an access in a TLB context, or NO_ADDRESS with the fault raised. PMP is not asked. */
export function translate(va: u64, access: i32, context: u32): u64 {
  leafLevel = 0;
  const satp = load<u64>(SATP);
  const scheme = <u32>(satp >> 60);
  if (contextMode(context) == MODE_M || scheme == 0) return va >> 56 == 0 ? va : accessFault(access, va);
  const levels: i32 = scheme == 8 ? 3 : 4;
  const unused = 64 - (12 + 9 * levels);
  if (<u64>(((<i64>va) << unused) >> unused) != va) return pageFault(access, va);

  let table = (satp & 0xfffffffffff) << 12;
  for (let level = levels - 1; level >= 0; level--) {
    const at = table + (((va >> (12 + 9 * level)) & 511) << 3);
    if (!isRam(at) || pmpCheck(at, 8, ACCESS_LOAD, MODE_S) != PMP_ALLOWED) return accessFault(access, va);
    const entry = load<u64>(machineForLoad(at));
    if ((entry & PTE_V) == 0 || (entry & (PTE_R | PTE_W)) == PTE_W || (entry & PTE_RESERVED) != 0) return pageFault(access, va);
    const frame = (entry >> 10) & 0xfffffffffff;
    if ((entry & (PTE_R | PTE_X)) == 0) {
      if ((entry & (PTE_A | PTE_D | PTE_U)) != 0) return pageFault(access, va);
      table = frame << 12;
      continue;
    }
    if (!permits(entry, access, context)) return pageFault(access, va);
    const inside: u64 = ((<u64>1) << (9 * level)) - 1; // page number bits that come from the address
    if ((frame & inside) != 0) return pageFault(access, va);
    const wanted = PTE_A | (access == ACCESS_STORE ? PTE_D : 0);
    if ((entry & wanted) != wanted) {
      if (!hardwareUpdatesAccessed()) return pageFault(access, va);
      if (pmpCheck(at, 8, ACCESS_STORE, MODE_S) != PMP_ALLOWED) return accessFault(access, va);
      store<u64>(machineForStore(at), entry | wanted);
    }
    leafLevel = level;
    return ((frame | ((va >> 12) & inside)) << 12) | (va & 0xfff);
  }
  return pageFault(access, va);
}

function permits(entry: u64, access: i32, context: u32): bool {
  const user = (entry & PTE_U) != 0;
  if (context == 0) {
    if (!user) return false;
  } else if (user && (context == 1 || access == ACCESS_FETCH)) return false;
  if (access == ACCESS_FETCH) return (entry & PTE_X) != 0;
  if (access == ACCESS_STORE) return (entry & PTE_W) != 0;
  if ((entry & PTE_R) != 0) return true;
  return (entry & PTE_X) != 0 && (load<u64>(MSTATUS) & STATUS_MXR) != 0;
}

/** Translates and asks PMP for the bytes of one access that does not cross a page. `wholePage` says if all of it may be cached. */
export let wholePage: bool = false;

export function locate(va: u64, size: u64, access: i32, context: u32): u64 {
  const address = translate(va, access, context);
  if (address == NO_ADDRESS) return address;
  const who = contextMode(context);
  const page = pmpCheck(address & ~0xfff, 4096, access, who);
  wholePage = page == PMP_ALLOWED;
  if (page == PMP_ALLOWED) return address;
  if (page == PMP_MIXED && pmpCheck(address, size, access, who) == PMP_ALLOWED) return address;
  return accessFault(access, va);
}

@inline
function tableEntry(va: u64, context: u32, table: u32): u32 {
  return TLB + context * TLB_CONTEXT_SIZE + table + ((<u32>(va >> 12) & (TLB_ENTRIES - 1)) << 4);
}

/** Remembers that an address was filled from a superpage, so that SFENCE.VMA with any address inside finds it. */
function noteSuperpage(va: u64): void {
  if (leafLevel == 1) setBit(SUPERPAGES_2M, hash(va >> 21));
  else if (leafLevel > 1) setBit(SUPERPAGES_1G, hash(leafLevel == 2 ? va >> 30 : va >> 39));
}

@inline
function hash(value: u64): u32 {
  return <u32>((value * 0x9e3779b97f4a7c15) >> 54);
}

@inline
function setBit(at: u32, bit: u32): void {
  store<u8>(at + (bit >> 3), load<u8>(at + (bit >> 3)) | (<u8>1 << <u8>(bit & 7)));
}

@inline
function hasBit(at: u32, bit: u32): bool {
  return (load<u8>(at + (bit >> 3)) & (<u8>1 << <u8>(bit & 7))) != 0;
}

export function fill(va: u64, context: u32, table: u32, value: u32): void {
  const entry = tableEntry(va, context, table);
  store<u64>(entry, va & ~0xfff);
  store<u32>(entry, value, 8);
  noteSuperpage(va);
  store<u64>(FILL_COUNT, load<u64>(FILL_COUNT) + 1);
}

/** Value of the fetch entry for `va`, 0 when there is none. */
export function fetchEntry(va: u64, context: u32): u32 {
  const entry = tableEntry(va, context, TLB_FETCH);
  return load<u64>(entry) == (va & ~0xfff) ? load<u32>(entry, 8) : 0;
}

export function flushTable(table: u32): void {
  for (let context: u32 = 0; context < 4; context++)
    memory.fill(TLB + context * TLB_CONTEXT_SIZE + table, 0xff, TLB_TABLE_SIZE);
}

/** Empties every TLB. */
export function flushAll(): void {
  flushTable(0);
  flushTable(TLB_STORE);
  flushTable(TLB_FETCH);
  memory.fill(SUPERPAGES_2M, 0, 256);
}

/**
 * From now on the first store to any page takes the slow path again, which settles it for the new epoch: all pages are
 * clean, and with `hold` copy-on-write as well. Its cost does not depend on the size of RAM (C2).
 */
export function beginEpoch(hold: bool): void {
  store<u32>(EPOCH, load<u32>(EPOCH) + 1);
  store<u32>(HOLDING, hold ? 1 : 0);
  flushTable(TLB_STORE);
}

/** SFENCE.VMA with an address. The fetch entry of the page before goes too: an instruction may reach across. */
export function flushAddress(va: u64): void {
  if (
    hasBit(SUPERPAGES_2M, hash(va >> 21)) || hasBit(SUPERPAGES_1G, hash(va >> 30)) || hasBit(SUPERPAGES_1G, hash(va >> 39))
  ) {
    flushAll();
    return;
  }
  for (let context: u32 = 0; context < 4; context++) {
    store<u64>(tableEntry(va, context, 0), u64.MAX_VALUE);
    store<u64>(tableEntry(va, context, TLB_STORE), u64.MAX_VALUE);
    store<u64>(tableEntry(va, context, TLB_FETCH), u64.MAX_VALUE);
    store<u64>(tableEntry(va - 4096, context, TLB_FETCH), u64.MAX_VALUE);
  }
}

/** A load that missed the TLB or is not aligned. On a fault the event is set and the result is meaningless. */
export function loadSlow(va: u64, size: u32): u64 {
  const context = dataContext();
  if ((<u32>va & 0xfff) + size > 4096) return loadAcross(va, size, context);
  const entry = tableEntry(va, context, 0);
  if (load<u64>(entry) == (va & ~0xfff)) return loadSized(<u32>va + load<u32>(entry, 8), size);
  const address = locate(va, size, ACCESS_LOAD, context);
  if (address == NO_ADDRESS) return 0;
  if (isRam(address)) {
    const machine = machineForLoad(address);
    if (wholePage) fill(va, context, 0, machine - <u32>va);
    return loadSized(machine, size);
  }
  if (!deviceLoad(address, size)) {
    accessFault(ACCESS_LOAD, va);
    return 0;
  }
  return deviceValue;
}

/** A load across a page boundary: each part by itself, the lower first, nothing loaded when either faults. */
function loadAcross(va: u64, size: u32, context: u32): u64 {
  const first: u32 = 4096 - (<u32>va & 0xfff);
  const second = size - first;
  const low = locate(va, first, ACCESS_LOAD, context);
  if (low == NO_ADDRESS) return 0;
  const high = locate(va + first, second, ACCESS_LOAD, context);
  if (high == NO_ADDRESS) return 0;
  if (!isRam(low) || !isRam(high)) {
    accessFault(ACCESS_LOAD, isRam(low) ? va + first : va);
    return 0;
  }
  let value: u64 = 0;
  for (let i: u32 = 0; i < first; i++) value |= <u64>load<u8>(machineForLoad(low) + i) << (i << 3);
  for (let i: u32 = 0; i < second; i++) value |= <u64>load<u8>(machineForLoad(high) + i) << ((first + i) << 3);
  return value;
}

/** A store that missed the TLB or is not aligned. */
export function storeSlow(va: u64, size: u32, value: u64): void {
  const context = dataContext();
  if ((<u32>va & 0xfff) + size > 4096) {
    storeAcross(va, size, value, context);
    return;
  }
  const entry = tableEntry(va, context, TLB_STORE);
  if (load<u64>(entry) == (va & ~0xfff)) {
    storeSized(<u32>va + load<u32>(entry, 8), size, value);
    return;
  }
  const address = locate(va, size, ACCESS_STORE, context);
  if (address == NO_ADDRESS) return;
  if (isRam(address)) {
    const machine = machineForStore(address);
    if (wholePage) fill(va, context, TLB_STORE, machine - <u32>va);
    storeSized(machine, size, value);
    return;
  }
  if (!deviceStore(address, size, value)) accessFault(ACCESS_STORE, va);
}

function storeAcross(va: u64, size: u32, value: u64, context: u32): void {
  const first: u32 = 4096 - (<u32>va & 0xfff);
  const second = size - first;
  const low = locate(va, first, ACCESS_STORE, context);
  if (low == NO_ADDRESS) return;
  const high = locate(va + first, second, ACCESS_STORE, context);
  if (high == NO_ADDRESS) return;
  if (!isRam(low) || !isRam(high)) {
    accessFault(ACCESS_STORE, isRam(low) ? va + first : va);
    return;
  }
  const lowMachine = machineForStore(low);
  for (let i: u32 = 0; i < first; i++) store<u8>(lowMachine + i, <u8>(value >> (i << 3)));
  const highMachine = machineForStore(high);
  for (let i: u32 = 0; i < second; i++) store<u8>(highMachine + i, <u8>(value >> ((first + i) << 3)));
}

/** Machine address of an aligned word for LR, SC and AMO, which need RAM; 0 with the fault raised otherwise. */
export function locateAtomic(va: u64, size: u32, access: i32): u32 {
  const context = dataContext();
  const table = access == ACCESS_STORE ? TLB_STORE : 0;
  const entry = tableEntry(va, context, table);
  if (load<u64>(entry) == (va & ~0xfff)) return <u32>va + load<u32>(entry, 8);
  const address = locate(va, size, access, context);
  if (address == NO_ADDRESS) return 0;
  if (!isRam(address)) {
    accessFault(access, va);
    return 0;
  }
  const machine = access == ACCESS_STORE ? machineForStore(address) : machineForLoad(address);
  if (wholePage) fill(va, context, table, machine - <u32>va);
  return machine;
}

/** Fetches a halfword where code is not cached. On a fault the event is set; `at` is where the halfword is. */
export function fetchHalf(at: u64, context: u32): u32 {
  const address = locate(at, 2, ACCESS_FETCH, context);
  if (address == NO_ADDRESS) return 0;
  if (isRam(address)) return <u32>load<u16>(machineForLoad(address));
  if (!deviceLoad(address, 2)) {
    if (event != EVENT_TRAP) accessFault(ACCESS_FETCH, at);
    return 0;
  }
  return <u32>deviceValue;
}

/** Guest-physical address of an instruction for whoever only looks; NO_ADDRESS where a fetch would fault. */
export function peekFetch(va: u64): u64 {
  const address = translate(va, ACCESS_FETCH, fetchContext());
  clearEvent();
  return address;
}
