// Random blocks, drawn from the instruction table.
import { COMPRESSED, type CompressedInstruction, INSTRUCTIONS, type Instruction } from '../../engine/core/isa.ts';
import type { Random } from '../contract/random.ts';
import { decode, type Operands } from '../framework/encode.ts';
import { BlockBuilder, type Unit } from './block.ts';

/** Bytes of scratch memory; its middle is a page boundary. */
export const SCRATCH_SIZE = 512;

/**
 * Registers that blocks read but never write: sp and s0 at the start of the scratch memory, s1 and s11 at places in
 * it, s9 where every access faults; s10 counts loops; t6 is the way into a block and out of it.
 */
export const POINTERS: ReadonlyMap<number, number> = new Map([
  [2, 0],
  [8, 0],
  [9, 137],
  [27, 256],
]);
export const FAULTING = 25;
const COUNTER = 26;
const LINK = 31;
const RESERVED = new Set([...POINTERS.keys(), FAULTING, COUNTER, LINK]);
const FREE = Array.from({ length: 32 }, (_, index) => index).filter(index => !RESERVED.has(index));
const ALIGNED_POINTERS = [2, 8, 27];

/** Why generated programs leave an instruction out; directed tests cover each. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  'czero.eqz': 'QEMU 7.2 has no Zicond',
  'czero.nez': 'QEMU 7.2 has no Zicond',
  ctzw: 'QEMU 7.2 counts on above bit 31 when the low word is zero',
};

/** How a block is run; decides what may be drawn. */
export interface Surroundings {
  readonly mode: 'M' | 'S' | 'U';
  /** Without page tables QEMU 7.2 reports a misaligned faulting access by its aligned address. */
  readonly paged: boolean;
}

/** CSRs that blocks read and write: harmless ones, ones of other modes, and ones that do not exist. */
const CSR_CHOICES = [0x001, 0x002, 0x003, 0x001, 0x002, 0x003, 0x140, 0x141, 0x7c0, 0x800, 0xbff, 0xf14];
const S_CSRS = new Set([0x140, 0x141]);
/** CSRs whose values differ between any two machines; only their faults are compared. */
const UNSTABLE_CSRS = [0xc00, 0xc01, 0xc02];

const byFormat = (formats: readonly string[]) =>
  INSTRUCTIONS.filter(one => formats.includes(one.format) && !LEFT_OUT[one.name]);
const PLAIN = byFormat(['r', 'r4', 'i', 'u', 'shift6', 'shift5', 'unary']);
const MEMORY = byFormat(['load', 'store']);
const ATOMIC = byFormat(['amo']).filter(one => !/^(lr|sc)\./.test(one.name));
const BRANCHES = byFormat(['branch']);
const CSR = byFormat(['csr', 'csri']);
const MEMORY_NAMES = new Set(MEMORY.map(one => one.name));
const COMPRESSED_MEMORY = COMPRESSED.filter(one => MEMORY_NAMES.has(one.expands));
const COMPRESSED_PLAIN = COMPRESSED.filter(one => PLAIN.some(plain => plain.name === one.expands));

/** A block of about `length` instructions. */
export function generateBlock(random: Random, length: number, around: Surroundings): Unit[] {
  return new Generator(random, around).generate(length);
}

class Generator {
  readonly #random: Random;
  readonly #around: Surroundings;
  readonly #block = new BlockBuilder();

  constructor(random: Random, around: Surroundings) {
    this.#random = random;
    this.#around = around;
  }

  generate(length: number): Unit[] {
    while (this.#block.length < length) this.#step();
    return this.#block.finish();
  }

  #step(): void {
    const draw = this.#random.below(1000);
    if (draw < 560) this.#plain(this.#random.pick(PLAIN));
    else if (draw < 680) this.#compressedPlain(this.#random.pick(COMPRESSED_PLAIN));
    else if (draw < 770) this.#memory(this.#random.pick(MEMORY));
    else if (draw < 830) this.#compressedMemory(this.#random.pick(COMPRESSED_MEMORY));
    else if (draw < 870) this.#atomic(this.#random.pick(ATOMIC));
    else if (draw < 880) this.#block.pattern(() => this.#reserved());
    else if (draw < 950) this.#branch();
    else if (draw < 958) this.#block.pattern(() => this.#loop());
    else if (draw < 980) this.#csr(this.#random.pick(CSR));
    else if (draw < 990) this.#system();
    else this.#illegal();
  }

  /** A register to write; x0 now and then. */
  #destination(file: 'x' | 'f' = 'x'): number {
    return file === 'f' ? this.#random.below(32) : this.#random.pick(FREE);
  }

  #source(): number {
    return this.#random.below(32);
  }

  /** A rounding mode: mostly one that exists. */
  #rounding(): number {
    const draw = this.#random.below(100);
    return draw < 2 ? 5 + draw : this.#random.pick([0, 1, 2, 3, 4, 7, 7, 7]);
  }

  #immediate(): number {
    return this.#random.below(3) === 0
      ? this.#random.pick([0, 1, -1, 2047, -2048, 63, 31])
      : this.#random.below(4096) - 2048;
  }

  #plain(one: Instruction): void {
    const { files } = one;
    const operands: Operands = {
      rd: this.#destination(files.rd),
      rs1: this.#source(),
      rs2: one.format === 'r' || one.format === 'r4' ? this.#source() : 0,
      rs3: this.#source(),
      rm: this.#rounding(),
    };
    if (one.format === 'i') this.#block.add(one.name, { ...operands, imm: this.#immediate() });
    else if (one.format === 'u') this.#block.add(one.name, { rd: operands.rd!, imm: this.#random.word() & ~0xfff });
    else if (one.format === 'shift6') this.#block.add(one.name, { ...operands, imm: this.#random.below(64) });
    else if (one.format === 'shift5') this.#block.add(one.name, { ...operands, imm: this.#random.below(32) });
    else if (one.format === 'unary')
      this.#block.add(one.name, { rd: operands.rd!, rs1: operands.rs1!, rm: operands.rm! });
    else this.#block.add(one.name, operands);
  }

  /** Any bits in the fields of a compressed instruction, drawn again until it may be executed. */
  #compressedPlain(one: CompressedInstruction): void {
    for (;;) {
      const bits = (one.match | (this.#random.word() & ~one.mask & 0xffff)) & 0xffff;
      const decoded = decode(bits);
      if (decoded?.name !== one.name || RESERVED.has(decoded.operands.rd)) {
        if (one.name !== 'c.addi16sp') continue;
        this.#block.pattern(() => this.#stackAdjustment());
        return;
      }
      this.#block.raw(bits, 2);
      return;
    }
  }

  /** c.addi16sp, looked at and taken back. */
  #stackAdjustment(): void {
    const imm = 16 * (1 + this.#random.below(31)) * (this.#random.below(2) ? 1 : -1);
    this.#block.add('c.addi16sp', { rd: 2, rs1: 2, imm }, true);
    this.#block.add('c.mv', { rd: this.#random.pick(FREE.slice(1)), rs2: 2 }, true);
    this.#block.add('c.addi16sp', { rd: 2, rs1: 2, imm: -imm }, true);
  }

  /** A place that an access of `size` bytes may touch: base register and offset. */
  #place(size: number): { rs1: number; imm: number } {
    if (this.#random.below(40) === 0) {
      const imm = this.#random.below(256);
      return { rs1: FAULTING, imm: this.#around.paged ? imm : imm & -size };
    }
    const rs1 = this.#random.pick([...POINTERS.keys()]);
    const start = POINTERS.get(rs1)!;
    // Often about the page boundary, where the second half has a translation of its own.
    const at =
      this.#random.below(3) === 0
        ? SCRATCH_SIZE / 2 - this.#random.below(9)
        : this.#random.below(SCRATCH_SIZE - size + 1);
    return { rs1, imm: at - start };
  }

  #memory(one: Instruction): void {
    const size = accessSize(one);
    if (one.format === 'load') this.#block.add(one.name, { rd: this.#destination(one.files.rd), ...this.#place(size) });
    else this.#block.add(one.name, { rs2: this.#source(), ...this.#place(size) });
  }

  #compressedMemory(one: CompressedInstruction): void {
    for (;;) {
      const bits = (one.match | (this.#random.word() & ~one.mask & 0xffff)) & 0xffff;
      const decoded = decode(bits);
      if (decoded?.name !== one.name) continue;
      const { rd, rs1, imm } = decoded.operands;
      const start = POINTERS.get(rs1);
      if (start === undefined || start + imm + 8 > SCRATCH_SIZE) continue;
      if (one.rd !== undefined && decoded.instruction.files.rd === 'x' && RESERVED.has(rd)) continue;
      this.#block.raw(bits, 2);
      return;
    }
  }

  #atomic(one: Instruction): void {
    const draw = this.#random.below(30);
    // s1 is not aligned: a trap.
    const rs1 = draw === 0 ? 9 : draw === 1 ? FAULTING : this.#random.pick(ALIGNED_POINTERS);
    this.#block.add(one.name, { rd: this.#destination(), rs1, rs2: this.#source(), ...this.#order() });
  }

  #order(): { aq: boolean; rl: boolean } {
    return { aq: this.#random.below(2) === 1, rl: this.#random.below(2) === 1 };
  }

  /** LR, something between, SC to the same place or another, and an SC that has lost its reservation. */
  #reserved(): void {
    const suffix = this.#random.pick(['w', 'd']);
    const rs1 = this.#random.pick(ALIGNED_POINTERS);
    const lrFrom = this.#random.below(12) === 0 ? this.#random.pick([9, FAULTING]) : rs1;
    this.#block.add(`lr.${suffix}`, { rd: this.#destination(), rs1: lrFrom, ...this.#order() }, true);
    for (let between = this.#random.below(4); between > 0; between--) {
      if (this.#random.below(3) === 0) this.#memory(this.#random.pick(MEMORY));
      else this.#plain(this.#random.pick(PLAIN));
    }
    const scTo = this.#random.below(6) === 0 ? this.#random.pick(ALIGNED_POINTERS) : rs1;
    this.#block.add(
      `sc.${suffix}`,
      { rd: this.#destination(), rs1: scTo, rs2: this.#source(), ...this.#order() },
      true,
    );
    this.#block.add(`sc.${suffix}`, { rd: this.#destination(), rs1, rs2: this.#source(), ...this.#order() }, true);
  }

  /** A branch or jump over the next few instructions. */
  #branch(): void {
    const target = this.#block.length + 1 + this.#random.below(6);
    const draw = this.#random.below(10);
    if (draw < 4) {
      this.#block.branch(this.#random.pick(BRANCHES).name, { rs1: this.#source(), rs2: this.#source() }, target);
    } else if (draw < 6) {
      this.#block.branch(this.#random.pick(['c.beqz', 'c.bnez']), { rs1: 8 + this.#random.below(8) }, target);
    } else if (draw < 7) this.#block.branch('c.j', {}, target);
    else if (draw < 8) this.#block.branch('jal', { rd: this.#destination() }, target);
    else this.#block.pattern(() => this.#computedJump(target));
  }

  /** AUIPC and a jump through it; the destination may be the register that is jumped through. */
  #computedJump(target: number): void {
    const rs1 = this.#random.pick(FREE.slice(1));
    this.#block.add('auipc', { rd: rs1 }, true);
    const draw = this.#random.below(3);
    if (draw === 0) {
      const rd = this.#random.below(3) === 0 ? rs1 : this.#destination();
      this.#block.computedJump({ rd, rs1 }, Math.max(target, this.#block.length + 1));
    } else {
      // Over the jump itself: auipc 4, addi 4, c.jr 2.
      this.#block.add('addi', { rd: rs1, rs1, imm: 10 + this.#random.below(2) }, true);
      this.#block.add(draw === 1 ? 'c.jr' : 'c.jalr', { rs1 }, true);
    }
  }

  /** A few instructions, two or three times. */
  #loop(): void {
    const times = 2 + this.#random.below(2);
    this.#block.add('addi', { rd: COUNTER, rs1: 0, imm: times }, true);
    const head = this.#block.length;
    for (let count = 1 + this.#random.below(4); count > 0; count--) {
      if (this.#random.below(4) === 0) this.#memory(this.#random.pick(MEMORY));
      else this.#plain(this.#random.pick(PLAIN));
    }
    this.#block.add('addi', { rd: COUNTER, rs1: COUNTER, imm: -1 }, true);
    this.#block.branch('bne', { rs1: COUNTER, rs2: 0 }, head, true);
  }

  #csr(one: Instruction): void {
    if (this.#random.below(8) === 0) {
      this.#block.add('csrrs', { rd: 0, csr: this.#random.pick(UNSTABLE_CSRS), rs1: 0 });
      return;
    }
    const csr = this.#random.pick(CSR_CHOICES);
    // What earlier blocks have left in the registers of S-mode would show here.
    const rd = S_CSRS.has(csr) && this.#around.mode !== 'U' ? 0 : this.#destination();
    if (one.format === 'csri') this.#block.add(one.name, { rd, csr, imm: this.#random.below(32) });
    // QEMU 7.2 takes a register that holds zero for no write, so read-only ones meet x0 or a register that does not.
    else this.#block.add(one.name, { rd, csr, rs1: csr >> 10 === 3 ? this.#random.pick([0, 2]) : this.#source() });
  }

  #system(): void {
    const always = ['fence', 'fence.i', 'ecall', 'ebreak', 'c.ebreak'];
    const name = this.#random.pick(
      this.#around.mode === 'U' ? [...always, 'sfence.vma', 'mret', 'sret', 'wfi'] : [...always, 'sfence.vma'],
    );
    if (name === 'sfence.vma') this.#block.add(name, { rs1: this.#source(), rs2: this.#source() });
    else if (name === 'fence') this.#block.add(name, { imm: this.#random.below(256) });
    else this.#block.add(name, {});
  }

  /** Bits that are near an instruction but are none. */
  #illegal(): void {
    for (;;) {
      let bits = this.#random.pick(INSTRUCTIONS).match | (this.#random.word() & 0x01ff8f80);
      for (let flips = 1 + this.#random.below(3); flips > 0; flips--) bits ^= 1 << this.#random.below(32);
      if ((bits & 3) === 3 && decode(bits) === undefined) {
        this.#block.raw(bits >>> 0, 4);
        return;
      }
    }
  }
}

function accessSize(one: Instruction): number {
  return 1 << ((one.match >>> 12) & 3);
}

/** Names of everything that blocks can hold, by the table. */
export function generatedNames(): Set<string> {
  return new Set(
    [...INSTRUCTIONS.map(one => one.name), ...COMPRESSED.map(one => one.name)].filter(name => !LEFT_OUT[name]),
  );
}
