// Instructions that touch the privileged state. Each either does its work (and asks the loop to be left when modes,
// translations or interrupts may have changed) or raises a trap.
import { BUILTIN_SBI, MIE, MODE, MSTATUS, X } from './layout';
import {
  CAUSE_BREAKPOINT, CAUSE_ECALL_U, CAUSE_ILLEGAL, MODE_M, MODE_S, MODE_U, STATUS_TSR, STATUS_TVM, STATUS_TW, leave, raise, tryAgain,
} from './hart';
import { dropStale } from './code';
import { flushAddress, flushAll } from './mmu';
import { readCsr, refused, softwarePending, writeCsr } from './csr';
import { pendingInterrupts, sampleTimer, returnFromMachine, returnFromSupervisor } from './trap';
import { SBI_AGAIN, SBI_DONE, sbiCall } from './host';

export { enableFloat } from './csr';

/** Set by WFI when there is nothing to do: the host may sleep until the next interrupt. */
export let waiting: bool = false;

export function clearWaiting(): void {
  waiting = false;
}

/** CSRRW, CSRRS, CSRRC and their immediate forms, from the encoding. */
export function controlRegister(bits: u32): void {
  const csr = bits >> 20;
  const kind = (bits >> 12) & 3; // 1 write, 2 set, 3 clear
  const rd = (bits >> 7) & 31;
  const field = (bits >> 15) & 31;
  const writes = kind == 1 || field != 0;
  if (((csr >> 8) & 3) > load<u32>(MODE) || (writes && csr >> 10 == 3)) return raise(CAUSE_ILLEGAL, <u64>bits);
  const operand = (bits >> 14) & 1 ? <u64>field : load<u64>(X + (field << 3));
  let old: u64 = 0;
  if (kind != 1 || rd != 0) {
    old = readCsr(csr);
    if (refused) return raise(CAUSE_ILLEGAL, <u64>bits);
  }
  if (writes) {
    const base = softwarePending(csr, old);
    writeCsr(csr, kind == 1 ? operand : kind == 2 ? base | operand : base & ~operand);
    if (refused) return raise(CAUSE_ILLEGAL, <u64>bits);
    // The floating-point and scratch registers change nothing that the loop keeps.
    if (csr > 3 && csr != 0x140 && csr != 0x340) leave();
  }
  if (rd != 0) store<u64>(X + (rd << 3), old);
}

/** ECALL: a trap, or with the built-in SBI a call to the host. */
export function callEnvironment(): void {
  const mode = load<u32>(MODE);
  if (mode == MODE_S && load<u32>(BUILTIN_SBI)) {
    const answer = sbiCall();
    if (answer != SBI_DONE) waiting = true;
    if (answer == SBI_AGAIN) tryAgain();
    else leave();
    return;
  }
  raise(CAUSE_ECALL_U + <i32>mode, 0);
}

export function breakpoint(pc: u64): void {
  raise(CAUSE_BREAKPOINT, pc);
}

export function waitForInterrupt(bits: u32): void {
  const mode = load<u32>(MODE);
  if (mode == MODE_U || (mode == MODE_S && (load<u64>(MSTATUS) & STATUS_TW) != 0)) return raise(CAUSE_ILLEGAL, <u64>bits);
  sampleTimer();
  if ((pendingInterrupts() & load<u64>(MIE)) == 0) waiting = true;
  leave();
}

/** SFENCE.VMA. ASIDs do not exist, so rs2 does not matter. */
export function fenceTranslations(bits: u32): void {
  const mode = load<u32>(MODE);
  if (mode == MODE_U || (mode == MODE_S && (load<u64>(MSTATUS) & STATUS_TVM) != 0)) return raise(CAUSE_ILLEGAL, <u64>bits);
  const register = (bits >> 15) & 31;
  if (register == 0) flushAll();
  else flushAddress(load<u64>(X + (register << 3)));
  leave();
}

export function fenceInstructions(): void {
  dropStale();
  leave();
}

/** MRET and SRET; false when the present mode may not use them. */
export function machineReturn(): bool {
  if (load<u32>(MODE) != MODE_M) return false;
  returnFromMachine();
  return true;
}

export function supervisorReturn(): bool {
  const mode = load<u32>(MODE);
  if (mode == MODE_U || (mode == MODE_S && (load<u64>(MSTATUS) & STATUS_TSR) != 0)) return false;
  returnFromSupervisor();
  return true;
}
