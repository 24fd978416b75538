// Random CSR instructions in random modes, compared with QEMU. `SEED=... npx vitest run test/cpu/csr-random` repeats a run.
import { Random } from '../contract/random.ts';
import type { Mode, Scenario } from './scenario.ts';
import { Suite } from './suite.ts';

const SEED = Number(process.env.SEED ?? 1);
const STEPS = 600;

/**
 * Registers with the bits that are written: those that QEMU 7.2 treats as we do (csr.test.ts says where it does not),
 * and none that would end the program, let an interrupt in, turn the floating-point unit off, or send traps to wherever stvec points.
 */
const WRITTEN: Readonly<Record<string, bigint>> = {
  mstatus: 0x007c_0122n | (1n << 7n),
  sstatus: 0x000c_0122n,
  mie: 0xaaan,
  sie: 0xaaan,
  mideleg: 0x222n,
  stvec: 0xffff_ffff_ffff_fffdn,
  sepc: 0xffff_ffff_ffff_fffen,
  mepc: 0xffff_ffff_ffff_fffen,
  scause: 0x8000_0000_0000_00ffn,
  stval: 0xffff_ffff_ffff_ffffn,
  mtval: 0xffff_ffff_ffff_ffffn,
  sscratch: 0xffff_ffff_ffff_ffffn,
  mcounteren: 7n,
  scounteren: 7n,
  fcsr: 0xffn,
  frm: 7n,
  fflags: 31n,
};

const SETTING = ['csrrs', 'csrrc', 'csrrsi', 'csrrci'];
const NAMES = Object.keys(WRITTEN);

function run(s: Scenario, random: Random): void {
  for (let step = 0; step < STEPS; step++) {
    const csr = random.pick(NAMES);
    const mode = random.pick<Mode>(['M', 'M', 'S', 'U']);
    const written = WRITTEN[csr]!;
    const value = ((BigInt(random.word()) << 32n) | BigInt(random.word())) & written;
    // QEMU 7.2 lets software change UXL, so the status registers are never written as a whole.
    const operation = random.pick(csr.endsWith('status') ? SETTING : [...SETTING, 'csrrw', 'csrrwi']);
    const operand = operation.endsWith('i') ? Number(BigInt(random.below(32)) & written) : 'a1';
    const rd = random.below(5) === 0 ? 'zero' : 'a0';
    s.text(`li a0, 0x55\nli a1, ${value}`).attempt(mode, `${operation} ${rd}, ${csr}, ${operand}`);
    const what = `step ${step}, ${operation} ${rd}, ${csr}, ${operand} (${value.toString(16)}) in ${mode}`;
    s.compareTrap(what).compare(`${what}: old value`, 'a0');
    // What M-mode sees of it afterwards, and of a register that may be another view of the same.
    for (const seen of [csr, random.pick(NAMES)]) s.text(`csrr a2, ${seen}`).compare(`${what}: ${seen}`, 'a2');
  }
}

const suite = new Suite();
for (let index = 0; index < 2; index++) suite.add(`seed ${SEED + index}`, s => run(s, new Random(SEED + index)));
suite.define('Random CSR instructions');
