// The hart's architectural state as a section: registers, CSRs, counters. What only speeds things up (TLBs, decoded
// code) is not part of it, nor is the LR reservation: a restored SC fails once, which the architecture allows.
import type { Core } from '../core/core.ts';
import { array, u8, u32, u64 } from '../state/kinds.ts';
import { refuseState, type StateOf, section } from '../state/section.ts';

/** CSRs that are saved by number, in the order in which they are written back. */
const CSRS = {
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  stvec: 0x105,
  scounteren: 0x106,
  senvcfg: 0x10a,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  stimecmp: 0x14d,
  satp: 0x180,
} as const;

type CsrName = keyof typeof CSRS;
const CSR_NAMES = Object.keys(CSRS) as CsrName[];

const MSTATUS = 0x300;
const MIP = 0x344;
const FCSR = 0x003;
const MCYCLE = 0xb00;
const MINSTRET = 0xb02;
const PMPCFG0 = 0x3a0;
const PMPCFG2 = 0x3a2;
const PMPADDR0 = 0x3b0;
const PMP_ENTRIES = 16;
/** mstatus.FS = Dirty: the floating-point registers may be written. */
const FLOAT_ON = 3n << 13n;

export const hartSection = section(
  'hart',
  { version: 1, oldest: 1 },
  {
    pc: u64,
    /** Privilege: 0 U, 1 S, 3 M. */
    mode: u8,
    /** x0 (always 0) to x31. */
    integers: array(u64, 32),
    /** f0 to f31, singles NaN-boxed. */
    floats: array(u64, 32),
    fcsr: u32,
    mstatus: u64,
    /** The bits of mip that software sets; those that devices drive come from the devices. */
    mipSoftware: u64,
    mcycle: u64,
    minstret: u64,
    /** Instructions retired since power-on, which nothing in the guest can change. */
    retired: u64,
    pmpConfigurations: array(u64, 2),
    pmpAddresses: array(u64, PMP_ENTRIES),
    medeleg: u64,
    mideleg: u64,
    mie: u64,
    mtvec: u64,
    mcounteren: u64,
    menvcfg: u64,
    mscratch: u64,
    mepc: u64,
    mcause: u64,
    mtval: u64,
    stvec: u64,
    scounteren: u64,
    senvcfg: u64,
    sscratch: u64,
    sepc: u64,
    scause: u64,
    stval: u64,
    stimecmp: u64,
    satp: u64,
  },
);

export type HartState = StateOf<typeof hartSection>;

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/**
 * Copies the hart's state; between two runs of the core. In the pause of a checkpoint: loops instead of callbacks, since
 * the runtime compiles each callback anew now and then, and its compiler takes the processor for a millisecond.
 */
export function saveHart(core: Core): HartState {
  core.settle();
  const { view, layout } = core;
  const integers: bigint[] = [];
  const floats: bigint[] = [];
  for (let index = 0; index < 32; index += 1) {
    integers.push(core.register(index));
    floats.push(core.floatRegister(index));
  }
  const pmpAddresses: bigint[] = [];
  for (let index = 0; index < PMP_ENTRIES; index += 1) pmpAddresses.push(core.readMachineCsr(PMPADDR0 + index));
  const named = {} as Record<CsrName, bigint>;
  for (const name of CSR_NAMES) named[name] = core.readMachineCsr(CSRS[name]);
  return {
    pc: core.pc,
    mode: core.mode,
    integers,
    floats,
    fcsr: view.getUint32(layout.FFLAGS, true) | (view.getUint32(layout.FRM, true) << 5),
    mstatus: core.word64(layout.MSTATUS),
    mipSoftware: core.readMachineCsr(MIP) & ~core.word64(layout.MIP_PINS),
    mcycle: core.readMachineCsr(MCYCLE),
    minstret: core.readMachineCsr(MINSTRET),
    retired: core.instructionsRetired,
    pmpConfigurations: [core.readMachineCsr(PMPCFG0), core.readMachineCsr(PMPCFG2)],
    pmpAddresses,
    ...named,
  };
}

/**
 * Puts a saved state into a hart that is as after reset (`resetHart`). Values go through the CSRs' own rules, so that
 * a state that no hart can be in becomes one that it can.
 *
 * @throws AfterimageError `corrupt` for a privilege mode that does not exist
 */
export function restoreHart(core: Core, state: HartState): void {
  if (state.mode !== 0 && state.mode !== 1 && state.mode !== 3) refuseState(hartSection, 'mode', `is ${state.mode}`);
  const { layout } = core;
  for (const index of range(32)) {
    core.setRegister(index, state.integers[index]!);
    core.setWord64(layout.F + index * 8, state.floats[index]!);
  }
  const write = (number: number, value: bigint) => core.writeMachineCsr(number, value);
  write(MSTATUS, FLOAT_ON);
  write(FCSR, BigInt(state.fcsr));
  for (const name of CSR_NAMES) write(CSRS[name], state[name]);
  write(MIP, state.mipSoftware);
  // Addresses first: a locked configuration would keep them from being written.
  for (const index of range(PMP_ENTRIES)) write(PMPADDR0 + index, state.pmpAddresses[index]!);
  write(PMPCFG0, state.pmpConfigurations[0]!);
  write(PMPCFG2, state.pmpConfigurations[1]!);
  write(MSTATUS, state.mstatus);
  core.setWord64(layout.INSTRET, state.retired);
  // A CSR write by an instruction leaves out that instruction's own count; this is none, so one is added.
  write(MCYCLE, state.mcycle + 1n);
  write(MINSTRET, state.minstret + 1n);
  core.mode = state.mode;
  core.pc = state.pc;
}
