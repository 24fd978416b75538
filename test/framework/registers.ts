/** Names of registers and CSRs as the assembler, the disassembler and failure messages write them. */

/** Integer registers by number, in the names of the calling convention. */
export const X_NAMES: readonly string[] =
  'zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6'.split(' ');

/** Floating-point registers by number. */
export const F_NAMES = Array.from({ length: 32 }, (_, index) => `f${index}`);

export const ROUNDING_NAMES: readonly string[] = ['rne', 'rtz', 'rdn', 'rup', 'rmm', 'rm5', 'rm6', 'dyn'];

export const CSRS: Readonly<Record<string, number>> = {
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  cycle: 0xc00,
  time: 0xc01,
  instret: 0xc02,
  hpmcounter3: 0xc03,
  hpmcounter31: 0xc1f,
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  scounteren: 0x106,
  senvcfg: 0x10a,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
  mvendorid: 0xf11,
  marchid: 0xf12,
  mimpid: 0xf13,
  mhartid: 0xf14,
  mconfigptr: 0xf15,
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mcountinhibit: 0x320,
  mhpmevent3: 0x323,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
  pmpcfg0: 0x3a0,
  pmpcfg1: 0x3a1,
  pmpcfg2: 0x3a2,
  ...Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`pmpaddr${index}`, 0x3b0 + index])),
  mcycle: 0xb00,
  minstret: 0xb02,
  mhpmcounter3: 0xb03,
};

const NUMBERS = new Map<string, number>([
  ...X_NAMES.map((name, index): [string, number] => [name, index]),
  ...X_NAMES.map((_, index): [string, number] => [`x${index}`, index]),
  ['fp', 8],
]);
const FLOAT_NUMBERS = new Map(F_NAMES.map((name, index): [string, number] => [name, index]));
const CSR_NAMES = new Map(Object.entries(CSRS).map(([name, number]): [number, string] => [number, name]));

/** Number of the register called `name` in a register file. */
export function registerNumber(name: string, file: 'x' | 'f' = 'x'): number {
  const number = (file === 'x' ? NUMBERS : FLOAT_NUMBERS).get(name);
  if (number === undefined) throw new Error(`No ${file} register is called ${name}`);
  return number;
}

export function csrName(number: number): string {
  return CSR_NAMES.get(number) ?? `0x${number.toString(16)}`;
}
