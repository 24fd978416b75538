// Control and status registers (privileged specification, chapters 2-4; unprivileged, Zicsr, Zicntr, F).
import {
  CYCLE_OFFSET, FP_READY, FRM, HART_ID, INSTRET, INSTRET_OFFSET, MCAUSE, MCOUNTEREN, MEDELEG, MENVCFG, MEPC, MIDELEG,
  MIE, MIP_PINS, MIP_SOFTWARE, MODE, MSCRATCH, MSTATUS, MTVAL, MTVEC, PMPADDR, PMPCFG, SATP, SCAUSE, SCOUNTEREN,
  SENVCFG, SEPC, SSCRATCH, STIMECMP, STVAL, STVEC, TLB_STORE,
} from './layout';
import {
  ENVCFG_FIOM, MENVCFG_ADUE, MENVCFG_STCE, MODE_M, MODE_S, MODE_U, STATUS_FS, STATUS_MIE, STATUS_MPIE, STATUS_MPP,
  STATUS_MPRV, STATUS_MXR, STATUS_SIE, STATUS_SPIE, STATUS_SPP, STATUS_SUM, STATUS_TSR, STATUS_TVM, STATUS_TW,
} from './hart';
import { flushAll, flushTable } from './mmu';
import { MIP_SEIP, MIP_SSIP, MIP_STIP, pendingInterrupts, sampleTimer } from './trap';
import { PMP_ENTRIES, pmpChanged } from './pmp';
import { floatFlags, setFloatFlags } from './float/index';
import { ticks } from './host';

/** MXL 2; extensions A C D F I M S U. */
const MISA: u64 = ((<u64>2) << 62) | (1 << 0) | (1 << 2) | (1 << 3) | (1 << 5) | (1 << 8) | (1 << 12) | (1 << 18) | (1 << 20);
const UXL_SXL: u64 = ((<u64>2) << 32) | ((<u64>2) << 34);
const SD: u64 = (<u64>1) << 63;

const S_INTERRUPTS: u64 = MIP_SSIP | MIP_STIP | MIP_SEIP;
const M_INTERRUPTS: u64 = (1 << 3) | (1 << 7) | (1 << 11);
/** Exceptions that may be delegated: all that exist below M-mode's own call. */
const DELEGABLE: u64 = 0xb3ff;
const STATUS_S_WRITABLE: u64 = STATUS_SIE | STATUS_SPIE | STATUS_SPP | STATUS_FS | STATUS_SUM | STATUS_MXR;
const STATUS_WRITABLE: u64 =
  STATUS_S_WRITABLE | STATUS_MIE | STATUS_MPIE | STATUS_MPRV | STATUS_TVM | STATUS_TW | STATUS_TSR;

/** Set when the last access was to a register that does not exist or may not be used here: an illegal instruction. */
export let refused: bool = false;

function refuse(): u64 {
  refused = true;
  return 0;
}

/** Recomputes what is derived from CSRs after they were changed from outside. */
export function csrsChanged(): void {
  updateFloatReady();
  pmpChanged();
  flushAll();
}

function updateFloatReady(): void {
  store<u32>(FP_READY, (load<u64>(MSTATUS) & STATUS_FS) == STATUS_FS ? 1 : 0);
}

/** An FP instruction met FP_READY == 0: false when the unit is off, otherwise the state becomes Dirty. */
export function enableFloat(): bool {
  const status = load<u64>(MSTATUS);
  if ((status & STATUS_FS) == 0) return false;
  store<u64>(MSTATUS, status | STATUS_FS);
  updateFloatReady();
  return true;
}

@inline
function readStatus(): u64 {
  const status = load<u64>(MSTATUS) | UXL_SXL;
  return (status & STATUS_FS) == STATUS_FS ? status | SD : status;
}

function writeStatus(value: u64, writable: u64): void {
  const old = load<u64>(MSTATUS);
  let next = (old & ~writable) | (value & writable);
  // MPP is WARL: mode 2 does not exist.
  if (writable & STATUS_MIE && (value & STATUS_MPP) >> 11 != 2) next = (next & ~STATUS_MPP) | (value & STATUS_MPP);
  store<u64>(MSTATUS, next);
  if ((old ^ next) & STATUS_MXR) flushTable(0);
  updateFloatReady();
}

/** Whether a counter may be read in the present mode (mcounteren, scounteren). */
function counterAllowed(index: u64): bool {
  const mode = load<u32>(MODE);
  if (mode != MODE_M && ((load<u64>(MCOUNTEREN) >> index) & 1) == 0) return false;
  if (mode == MODE_U && ((load<u64>(SCOUNTEREN) >> index) & 1) == 0) return false;
  return true;
}

function virtualMemoryTrapped(): bool {
  return load<u32>(MODE) == MODE_S && (load<u64>(MSTATUS) & STATUS_TVM) != 0;
}

function timerTrapped(): bool {
  if (load<u32>(MODE) == MODE_M) return false;
  return ((load<u64>(MCOUNTEREN) >> 1) & 1) == 0 || (load<u64>(MENVCFG) & MENVCFG_STCE) == 0;
}

function floatOff(): bool {
  return (load<u64>(MSTATUS) & STATUS_FS) == 0;
}

/** Value of a CSR; `refused` is set when it may not be read. The caller has checked the privilege in its number. */
export function readCsr(csr: u32): u64 {
  refused = false;
  switch (csr) {
    case 0x001: return floatOff() ? refuse() : <u64>floatFlags;
    case 0x002: return floatOff() ? refuse() : <u64>load<u32>(FRM);
    case 0x003: return floatOff() ? refuse() : <u64>(floatFlags | (load<u32>(FRM) << 5));
    case 0xc00: return counterAllowed(0) ? load<u64>(INSTRET) + load<u64>(CYCLE_OFFSET) : refuse();
    case 0xc01: return counterAllowed(1) ? <u64>ticks() : refuse();
    case 0xc02: return counterAllowed(2) ? load<u64>(INSTRET) + load<u64>(INSTRET_OFFSET) : refuse();
    case 0x100: return readStatus() & (STATUS_S_WRITABLE | ((<u64>3) << 32) | SD);
    case 0x104: return load<u64>(MIE) & load<u64>(MIDELEG);
    case 0x105: return load<u64>(STVEC);
    case 0x106: return load<u64>(SCOUNTEREN);
    case 0x10a: return load<u64>(SENVCFG);
    case 0x140: return load<u64>(SSCRATCH);
    case 0x141: return load<u64>(SEPC);
    case 0x142: return load<u64>(SCAUSE);
    case 0x143: return load<u64>(STVAL);
    case 0x144:
      sampleTimer();
      return pendingInterrupts() & load<u64>(MIDELEG);
    case 0x14d: return timerTrapped() ? refuse() : load<u64>(STIMECMP);
    case 0x180: return virtualMemoryTrapped() ? refuse() : load<u64>(SATP);
    case 0x300: return readStatus();
    case 0x301: return MISA;
    case 0x302: return load<u64>(MEDELEG);
    case 0x303: return load<u64>(MIDELEG);
    case 0x304: return load<u64>(MIE);
    case 0x305: return load<u64>(MTVEC);
    case 0x306: return load<u64>(MCOUNTEREN);
    case 0x30a: return load<u64>(MENVCFG);
    case 0x320: return 0; // mcountinhibit: the counters always run
    case 0x340: return load<u64>(MSCRATCH);
    case 0x341: return load<u64>(MEPC);
    case 0x342: return load<u64>(MCAUSE);
    case 0x343: return load<u64>(MTVAL);
    case 0x344:
      sampleTimer();
      return pendingInterrupts();
    case 0x3a0: return load<u64>(PMPCFG);
    case 0x3a2: return load<u64>(PMPCFG, 8);
    case 0xb00: return load<u64>(INSTRET) + load<u64>(CYCLE_OFFSET);
    case 0xb02: return load<u64>(INSTRET) + load<u64>(INSTRET_OFFSET);
    case 0xf11: // mvendorid: not a commercial implementation
    case 0xf12: // marchid
    case 0xf13: // mimpid
    case 0xf15: // mconfigptr: no configuration structure
      return 0;
    case 0xf14: return load<u64>(HART_ID);
  }
  if (csr >= 0x3b0 && csr < 0x3c0) return load<u64>(PMPADDR + ((csr - 0x3b0) << 3));
  // Hardware performance counters 3..31 exist and count nothing.
  if (csr >= 0xb03 && csr <= 0xb1f) return 0;
  if (csr >= 0x323 && csr <= 0x33f) return 0;
  if (csr >= 0xc03 && csr <= 0xc1f) return counterAllowed(csr - 0xc00) ? 0 : refuse();
  return refuse();
}

/** Writes a CSR that exists and may be written; `refused` is set when it does not or may not. */
export function writeCsr(csr: u32, value: u64): void {
  refused = false;
  switch (csr) {
    case 0x001:
      if (floatWritable()) setFloatFlags(<u32>value & 31);
      return;
    case 0x002:
      if (floatWritable()) store<u32>(FRM, <u32>value & 7);
      return;
    case 0x003:
      if (!floatWritable()) return;
      setFloatFlags(<u32>value & 31);
      store<u32>(FRM, <u32>(value >> 5) & 7);
      return;
    case 0x100: return writeStatus(value, STATUS_S_WRITABLE);
    case 0x104: {
      const mask = load<u64>(MIDELEG);
      store<u64>(MIE, (load<u64>(MIE) & ~mask) | (value & mask & (S_INTERRUPTS | M_INTERRUPTS)));
      return;
    }
    case 0x105: return writeVector(STVEC, value);
    case 0x106: return store<u64>(SCOUNTEREN, value & 0xffffffff);
    case 0x10a: return store<u64>(SENVCFG, value & ENVCFG_FIOM);
    case 0x140: return store<u64>(SSCRATCH, value);
    case 0x141: return store<u64>(SEPC, value & ~1);
    case 0x142: return store<u64>(SCAUSE, value);
    case 0x143: return store<u64>(STVAL, value);
    case 0x144: return writePending(value, MIP_SSIP & load<u64>(MIDELEG));
    case 0x14d: {
      if (timerTrapped()) {
        refused = true;
        return;
      }
      store<u64>(STIMECMP, value);
      sampleTimer();
      return;
    }
    case 0x180: {
      if (virtualMemoryTrapped()) refused = true;
      else writeTranslation(value);
      return;
    }
    case 0x300: return writeStatus(value, STATUS_WRITABLE);
    case 0x301: return; // misa: extensions cannot be switched off
    case 0x302: return store<u64>(MEDELEG, value & DELEGABLE);
    case 0x303: return store<u64>(MIDELEG, value & S_INTERRUPTS);
    case 0x304: return store<u64>(MIE, value & (S_INTERRUPTS | M_INTERRUPTS));
    case 0x305: return writeVector(MTVEC, value);
    case 0x306: return store<u64>(MCOUNTEREN, value & 0xffffffff);
    case 0x30a:
      store<u64>(MENVCFG, value & (ENVCFG_FIOM | MENVCFG_STCE | MENVCFG_ADUE));
      sampleTimer();
      return;
    case 0x320: return;
    case 0x340: return store<u64>(MSCRATCH, value);
    case 0x341: return store<u64>(MEPC, value & ~1);
    case 0x342: return store<u64>(MCAUSE, value);
    case 0x343: return store<u64>(MTVAL, value);
    case 0x344: return writePending(value, S_INTERRUPTS);
    case 0x3a0: return writeProtection(PMPCFG, 0, value);
    case 0x3a2: return writeProtection(PMPCFG + 8, 8, value);
    case 0xb00: return store<u64>(CYCLE_OFFSET, value - load<u64>(INSTRET) - 1);
    // The write itself retires after it took effect, and must not be counted.
    case 0xb02: return store<u64>(INSTRET_OFFSET, value - load<u64>(INSTRET) - 1);
  }
  if (csr >= 0x3b0 && csr < 0x3c0) return writeProtectionAddress(csr - 0x3b0, value);
  if (csr >= 0xb03 && csr <= 0xb1f) return;
  if (csr >= 0x323 && csr <= 0x33f) return;
  refused = true;
}

/** The state of the floating-point unit may be written and is dirty from now on; refused when the unit is off. */
function floatWritable(): bool {
  refused = !enableFloat();
  return !refused;
}

function writeVector(at: u32, value: u64): void {
  // Modes 2 and 3 are reserved; the write is ignored then (WARL).
  if ((value & 2) == 0) store<u64>(at, value);
}

function writePending(value: u64, mask: u64): void {
  // With Sstc, STIP is the comparison and cannot be written.
  if (load<u64>(MENVCFG) & MENVCFG_STCE) mask &= ~MIP_STIP;
  store<u64>(MIP_SOFTWARE, (load<u64>(MIP_SOFTWARE) & ~mask) | (value & mask));
}

/** What a read-modify-write of mip or sip starts from: the pin of SEIP must not become a software bit (3.1.9). */
export function softwarePending(csr: u32, value: u64): u64 {
  if (csr != 0x344) return value;
  return (value & ~MIP_SEIP) | (load<u64>(MIP_SOFTWARE) & MIP_SEIP);
}

function writeTranslation(value: u64): void {
  const scheme = value >> 60;
  // An unsupported scheme leaves the register as it was (4.1.11). There are no ASIDs: the field is zero.
  if (scheme != 0 && scheme != 8 && scheme != 9) return;
  store<u64>(SATP, value & 0xf0000fffffffffff);
  flushAll();
}

function writeProtection(at: u32, first: u32, value: u64): void {
  for (let i: u32 = 0; i < 8; i++) {
    if (load<u8>(at + i) & 0x80) continue;
    let config = <u32>(value >> (i << 3)) & 0x9f;
    if ((config & 3) == 2) config &= ~2; // W without R is reserved
    store<u8>(at + i, <u8>config);
  }
  pmpChanged();
  flushAll();
}

function writeProtectionAddress(index: u32, value: u64): void {
  if (load<u8>(PMPCFG + index) & 0x80) return;
  // A locked top-of-range entry locks its lower bound too.
  if (index + 1 < PMP_ENTRIES && (load<u8>(PMPCFG + index + 1) & 0x98) == 0x88) return;
  store<u64>(PMPADDR + (index << 3), value & 0x3fffffffffffff);
  pmpChanged();
  flushAll();
}
