// Traps and interrupts (privileged specification 3.1.6-3.1.9, 3.3.2, 4.1).
import {
  MCAUSE, MEDELEG, MENVCFG, MEPC, MIDELEG, MIE, MIP_PINS, MIP_SOFTWARE, MODE, MSTATUS, MTVAL, MTVEC, PC, SCAUSE, SEPC,
  STIMECMP, STVAL, STVEC, TRAP_COUNT,
} from './layout';
import {
  MENVCFG_STCE, MODE_M, MODE_S, MODE_U, STATUS_MIE, STATUS_MPIE, STATUS_MPP, STATUS_MPRV, STATUS_SIE, STATUS_SPIE,
  STATUS_SPP,
} from './hart';
import { ticks } from './host';

export const MIP_SSIP: u64 = 1 << 1;
export const MIP_STIP: u64 = 1 << 5;
export const MIP_SEIP: u64 = 1 << 9;

/**
 * Compares the time with stimecmp (Sstc). Asking the host for the time costs as much as many instructions, so it is
 * done once a slice, when the comparison changes, and where a guest looks.
 */
export function sampleTimer(): void {
  if ((load<u64>(MENVCFG) & MENVCFG_STCE) == 0) return;
  const software = load<u64>(MIP_SOFTWARE) & ~MIP_STIP;
  store<u64>(MIP_SOFTWARE, <u64>ticks() >= load<u64>(STIMECMP) ? software | MIP_STIP : software);
}

/** mip as it stands: pins of devices, bits that software set, and the comparison of the timer when last sampled. */
export function pendingInterrupts(): u64 {
  return load<u64>(MIP_PINS) | load<u64>(MIP_SOFTWARE);
}

/** Enters the handler for an exception; `interrupt` adds the top bit of the cause. */
export function trap(cause: i32, value: u64, interrupt: bool): void {
  store<u64>(TRAP_COUNT, load<u64>(TRAP_COUNT) + 1);
  const from = load<u32>(MODE);
  const pc = load<u64>(PC);
  const code = <u64>cause | (interrupt ? <u64>1 << 63 : 0);
  const delegated = ((interrupt ? load<u64>(MIDELEG) : load<u64>(MEDELEG)) >> <u64>cause) & 1;
  let status = load<u64>(MSTATUS);
  if (from != MODE_M && delegated) {
    store<u64>(SCAUSE, code);
    store<u64>(SEPC, pc);
    store<u64>(STVAL, value);
    status = (status & ~(STATUS_SPIE | STATUS_SPP)) | ((status & STATUS_SIE) << 4) | (<u64>(from & 1) << 8);
    store<u64>(MSTATUS, status & ~STATUS_SIE);
    store<u32>(MODE, MODE_S);
    store<u64>(PC, vector(load<u64>(STVEC), cause, interrupt));
  } else {
    store<u64>(MCAUSE, code);
    store<u64>(MEPC, pc);
    store<u64>(MTVAL, value);
    status = (status & ~(STATUS_MPIE | STATUS_MPP)) | ((status & STATUS_MIE) << 4) | (<u64>from << 11);
    store<u64>(MSTATUS, status & ~STATUS_MIE);
    store<u32>(MODE, MODE_M);
    store<u64>(PC, vector(load<u64>(MTVEC), cause, interrupt));
  }
}

@inline
function vector(base: u64, cause: i32, interrupt: bool): u64 {
  const at = base & ~3;
  return interrupt && (base & 1) != 0 ? at + (<u64>cause << 2) : at;
}

/** Takes the interrupt of the highest priority that is pending and enabled; false when there is none. */
export function takeInterrupt(): bool {
  const enabled = load<u64>(MIE);
  if (enabled == 0) return false;
  const pending = pendingInterrupts() & enabled;
  if (pending == 0) return false;
  const status = load<u64>(MSTATUS);
  const mode = load<u32>(MODE);
  const delegated = load<u64>(MIDELEG);
  let ready: u64 = 0;
  if (mode != MODE_M || (status & STATUS_MIE) != 0) ready = pending & ~delegated;
  if (ready == 0 && (mode == MODE_U || (mode == MODE_S && (status & STATUS_SIE) != 0))) ready = pending & delegated;
  if (ready == 0) return false;
  // Order of the specification: MEI, MSI, MTI, SEI, SSI, STI.
  let cause: i32 = 0;
  if (ready & (1 << 11)) cause = 11;
  else if (ready & (1 << 3)) cause = 3;
  else if (ready & (1 << 7)) cause = 7;
  else if (ready & (1 << 9)) cause = 9;
  else if (ready & (1 << 1)) cause = 1;
  else if (ready & (1 << 5)) cause = 5;
  else return false;
  trap(cause, 0, true);
  return true;
}

/** MRET: back to mstatus.MPP. */
export function returnFromMachine(): void {
  let status = load<u64>(MSTATUS);
  const to = <u32>((status & STATUS_MPP) >> 11);
  status = (status & ~(STATUS_MIE | STATUS_MPP)) | ((status & STATUS_MPIE) >> 4) | STATUS_MPIE;
  if (to != MODE_M) status &= ~STATUS_MPRV;
  store<u64>(MSTATUS, status);
  store<u32>(MODE, to);
  store<u64>(PC, load<u64>(MEPC));
}

/** SRET: back to sstatus.SPP. */
export function returnFromSupervisor(): void {
  let status = load<u64>(MSTATUS);
  const to = (status & STATUS_SPP) != 0 ? MODE_S : MODE_U;
  status = (status & ~(STATUS_SIE | STATUS_SPP)) | ((status & STATUS_SPIE) >> 4) | STATUS_SPIE;
  status &= ~STATUS_MPRV;
  store<u64>(MSTATUS, status);
  store<u32>(MODE, to);
  store<u64>(PC, load<u64>(SEPC));
}
