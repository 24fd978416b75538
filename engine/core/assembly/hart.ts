// Constants of the privileged architecture and the hart's state that is not in memory while it runs.
import { MODE, MSTATUS, MENVCFG } from './layout';

export const MODE_U: u32 = 0;
export const MODE_S: u32 = 1;
export const MODE_M: u32 = 3;

export const STATUS_SIE: u64 = 1 << 1;
export const STATUS_MIE: u64 = 1 << 3;
export const STATUS_SPIE: u64 = 1 << 5;
export const STATUS_MPIE: u64 = 1 << 7;
export const STATUS_SPP: u64 = 1 << 8;
export const STATUS_MPP: u64 = 3 << 11;
export const STATUS_FS: u64 = 3 << 13;
export const STATUS_MPRV: u64 = 1 << 17;
export const STATUS_SUM: u64 = 1 << 18;
export const STATUS_MXR: u64 = 1 << 19;
export const STATUS_TVM: u64 = 1 << 20;
export const STATUS_TW: u64 = 1 << 21;
export const STATUS_TSR: u64 = 1 << 22;

export const ENVCFG_FIOM: u64 = 1;
export const MENVCFG_STCE: u64 = 1 << 63;
export const MENVCFG_ADUE: u64 = 1 << 61;

export const CAUSE_FETCH_MISALIGNED: i32 = 0;
export const CAUSE_FETCH_ACCESS: i32 = 1;
export const CAUSE_ILLEGAL: i32 = 2;
export const CAUSE_BREAKPOINT: i32 = 3;
export const CAUSE_LOAD_MISALIGNED: i32 = 4;
export const CAUSE_LOAD_ACCESS: i32 = 5;
export const CAUSE_STORE_MISALIGNED: i32 = 6;
export const CAUSE_STORE_ACCESS: i32 = 7;
export const CAUSE_ECALL_U: i32 = 8;
export const CAUSE_FETCH_PAGE: i32 = 12;
export const CAUSE_LOAD_PAGE: i32 = 13;
export const CAUSE_STORE_PAGE: i32 = 15;

export const ACCESS_LOAD: i32 = 0;
export const ACCESS_STORE: i32 = 1;
export const ACCESS_FETCH: i32 = 2;

/**
 * What a slow path wants of the interpreter when it returns: 0 nothing, 1 leave the loop after this instruction
 * (interrupts or the mode may have changed), 2 the instruction did not happen: take the trap in `trapCause`, 3 it did
 * not happen and is to be tried again later.
 */
export const EVENT_NONE: i32 = 0;
export const EVENT_LEAVE: i32 = 1;
export const EVENT_TRAP: i32 = 2;
export const EVENT_AGAIN: i32 = 3;
export let event: i32 = 0;
export let trapCause: i32 = 0;
export let trapValue: u64 = 0;

export function raise(cause: i32, value: u64): void {
  event = EVENT_TRAP;
  trapCause = cause;
  trapValue = value;
}

export function leave(): void {
  if (event == EVENT_NONE) event = EVENT_LEAVE;
}

export function tryAgain(): void {
  event = EVENT_AGAIN;
}

export function clearEvent(): void {
  event = EVENT_NONE;
}

@inline
export function mode(): u32 {
  return load<u32>(MODE);
}

/** TLB context (see layout.ts) of instruction fetches. */
export function fetchContext(): u32 {
  return mode();
}

/** TLB context of loads and stores: mstatus.MPRV and SUM count here (privileged specification 3.1.6.3). */
export function dataContext(): u32 {
  const status = load<u64>(MSTATUS);
  let effective = mode();
  if (effective == MODE_M && (status & STATUS_MPRV) != 0) effective = <u32>((status & STATUS_MPP) >> 11);
  if (effective == MODE_S && (status & STATUS_SUM) != 0) return 2;
  return effective;
}

/** The privilege mode that a TLB context stands for. */
@inline
export function contextMode(context: u32): u32 {
  return context == 2 ? MODE_S : context;
}

export function hardwareUpdatesAccessed(): bool {
  return (load<u64>(MENVCFG) & MENVCFG_ADUE) != 0;
}
