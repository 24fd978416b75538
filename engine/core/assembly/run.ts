// The outer loop: interrupts, traps and the ways into a page of code.
import { FFLAGS, INSTRET, PC, SCRATCH_RECORD, STOP } from './layout';
import { OP_FAR } from '../build/generated/opcodes';
import { decodeInto, expandCompressed } from '../build/generated/decode';
import { EVENT_TRAP, clearEvent, event, fetchContext, trapCause, trapValue } from './hart';
import { FAR_RECORD } from './arithmetic';
import { cacheCrossing, dropAll, fetchPage } from './code';
import { clearCrossing, crossing, interpret } from '../build/generated/interpreter';
import { clearWaiting, waiting } from './system';
import { csrsChanged } from './csr';
import { fetchEntry, fetchHalf } from './mmu';
import { floatFlags, setFloatFlags } from './float/index';
import { sampleTimer, takeInterrupt, trap } from './trap';
import { writeRecord } from './record';

/** Why `run` returned. */
export const RAN_BUDGET: i32 = 0;
/** WFI with nothing pending. */
export const RAN_WAITING: i32 = 1;
/** The host set STOP. */
export const RAN_STOP: i32 = 2;

/**
 * Runs until about `budget` instructions have retired (never more; a trap counts as one), the hart waits, or the host
 * has set STOP from within a call.
 */
export function run(budget: i32): i32 {
  let left = budget;
  sampleTimer();
  while (left > 0) {
    if (takeInterrupt()) left--;
    if (left <= 0) break;
    const before = load<u64>(INSTRET);
    advance(left);
    left -= <i32>(load<u64>(INSTRET) - before);
    if (event == EVENT_TRAP) {
      clearEvent();
      trap(trapCause, trapValue, false);
      left--;
    }
    clearEvent();
    if (load<u32>(STOP)) return RAN_STOP;
    if (waiting) {
      clearWaiting();
      return RAN_WAITING;
    }
  }
  return RAN_BUDGET;
}

/** Enters the page at PC, or executes one instruction where code cannot be cached. */
function advance(budget: i32): void {
  const pc = load<u64>(PC);
  const context = fetchContext();
  let records = fetchEntry(pc, context);
  if (records == 0) records = fetchPage(pc, context);
  if (event == EVENT_TRAP) return;
  if (records == 0) return advanceUncached(pc, context);
  interpret(budget, records + ((<u32>pc & 0xffe) << 2), records, pc & ~0xfff);
  if (crossing) {
    clearCrossing();
    const at = load<u64>(PC);
    const now = fetchContext();
    const here = fetchEntry(at, now);
    if (here == 0 || !cacheCrossing(here, at, now)) advanceUncached(at, now);
  }
}

/** Fetches, decodes and executes one instruction without the code cache. */
function advanceUncached(pc: u64, context: u32): void {
  let bits = fetchHalf(pc, context);
  if (event == EVENT_TRAP) return;
  let size: u32 = 2;
  if ((bits & 3) == 3) {
    bits |= fetchHalf(pc + 2, context) << 16;
    if (event == EVENT_TRAP) return;
    size = 4;
  }
  clearEvent();
  store<u32>(SCRATCH_RECORD, bits, 8);
  decodeInto(SCRATCH_RECORD, size == 2 ? expandCompressed(bits) : bits, size);
  interpret(1, SCRATCH_RECORD, SCRATCH_RECORD - ((<u32>pc & 0xfff) << 2), pc & ~0xfff);
}

/** Prepares the core for state that was written from outside: power-on, reset, restore. */
export function begin(): void {
  writeRecord(FAR_RECORD, OP_FAR, 0, 0, 0, 0);
  setFloatFlags(load<u32>(FFLAGS));
  clearEvent();
  clearWaiting();
  csrsChanged();
  dropAll();
}

/** Makes HART complete, for whoever wants to read all of the state. */
export function settle(): void {
  store<u32>(FFLAGS, floatFlags);
}
