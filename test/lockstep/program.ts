// A program around generated blocks: for each block it sets all registers and the scratch memory, runs the block, and
// writes what came out to a record. Traps are noted in the record and the instruction is skipped.
import { RAM_BASE } from '../../engine/core/core.ts';
import { Random } from '../contract/random.ts';
import { Assembler } from '../framework/assembler.ts';
import { encode } from '../framework/encode.ts';
import { PageTables, PTE, type Scheme, SV39, SV48 } from '../framework/page-tables.ts';
import { F_NAMES, X_NAMES } from '../framework/registers.ts';
import type { Unit } from './block.ts';
import type { NotedTrap } from './exceptions.ts';
import { FAULTING, POINTERS, SCRATCH_SIZE, type Surroundings } from './generate.ts';
import { floatValue, integerValue } from './values.ts';

/** Where things are, as addresses. The frames of the two scratch pages are swapped where there are page tables. */
const TABLES = RAM_BASE + 0x10000;
const SETS = RAM_BASE + 0x40000;
const PATTERNS = RAM_BASE + 0x70000;
const SAVED = RAM_BASE + 0x74000;
const SCRATCH_PAGES = RAM_BASE + 0x80000;
const SCRATCH = SCRATCH_PAGES + 0x1000 - SCRATCH_SIZE / 2;
const DESCRIPTORS = RAM_BASE + 0x90000;
const BLOCKS = RAM_BASE + 0x100000;
const OUTPUT = RAM_BASE + 0x1000000;

const SET_COUNT = 256;
const SET_SIZE = 512; // x1..x31, f0..f31, fcsr
const PATTERN_COUNT = 16;

/** Words of the page at SAVED. */
const SAVED_T0 = 0;
const SAVED_T1 = 8;
const SAVED_T2 = 16;
const RECORD_AT = 24;
const INDEX_AT = 32;
const COUNT_AT = 40;
/** Target of an SC that always fails: whether a trap ends a reservation is up to the machine, so the handler does it. */
const UNRESERVED = 64;

/** Most traps that a record describes; later ones overwrite the last. */
const TRAPS_NOTED = 6;

/** Offsets in a record. */
const RECORD = {
  x: 0, // x1..x30
  f: 240,
  fcsr: 496,
  trapCount: 504,
  traps: 512, // cause, tval, epc
  scratch: 512 + TRAPS_NOTED * 24,
  size: 512 + TRAPS_NOTED * 24 + SCRATCH_SIZE,
} as const;

export const MAX_BLOCKS = Math.floor((0x3d00000 - (OUTPUT - RAM_BASE)) / RECORD.size);

/** A kind of surroundings that all blocks of a program run in. */
export interface Environment extends Surroundings {
  readonly name: string;
  readonly scheme: Scheme | undefined;
}

export const ENVIRONMENTS: readonly Environment[] = [
  { name: 'machine mode', mode: 'M', paged: false, scheme: undefined },
  { name: 'user mode, Sv39', mode: 'U', paged: true, scheme: SV39 },
  { name: 'supervisor mode, Sv48', mode: 'S', paged: true, scheme: SV48 },
  { name: 'user mode, bare', mode: 'U', paged: false, scheme: undefined },
];

/** A block with the register set and the memory pattern that it starts from. */
export interface Case {
  readonly units: readonly Unit[];
  readonly set: number;
  readonly pattern: number;
}

export interface Program {
  readonly image: Uint8Array;
  readonly blockAddresses: readonly number[];
  /** Retired instructions that are not those of blocks: for all, for each block and for each trap. */
  readonly overhead: { readonly fixed: number; readonly perBlock: number; readonly perTrap: number };
  readonly values: RegisterSets;
}

/** The register sets and memory patterns of a seed. */
export interface RegisterSets {
  readonly sets: readonly bigint[][];
  readonly patterns: readonly bigint[][];
}

export function registerSets(seed: number, environment: Environment): RegisterSets {
  const random = new Random(seed ^ 0x5e75);
  const sets = Array.from({ length: SET_COUNT }, () => oneSet(random, environment));
  const patterns = Array.from({ length: PATTERN_COUNT }, () =>
    Array.from({ length: SCRATCH_SIZE / 8 }, () => (random.below(2) ? integerValue(random) : floatValue(random))),
  );
  return { sets, patterns };
}

/** x1..x31, f0..f31, fcsr. */
function oneSet(random: Random, environment: Environment): bigint[] {
  const set: bigint[] = [];
  for (let register = 1; register < 32; register++) {
    const pointer = POINTERS.get(register);
    if (pointer !== undefined) set.push(BigInt(SCRATCH + pointer));
    else if (register === FAULTING) set.push(faultingAddress(random, environment));
    else set.push(integerValue(random));
  }
  for (let register = 0; register < 32; register++) set.push(floatValue(random));
  const rounding = random.below(16) === 0 ? 5 + random.below(3) : random.below(5);
  set.push(BigInt((rounding << 5) | random.below(32)));
  return set;
}

function faultingAddress(random: Random, environment: Environment): bigint {
  // Nothing is at 0x28000000 in either machine, nor beyond the physical addresses.
  const choices = [0x28000000n, 0x28000f00n, 0xffffffff_ffff0000n, 0x80000000_00000000n];
  if (environment.paged)
    choices.push(0x0000_0040_0000_0000n, 0xffff_ffbf_ffff_f000n, 0x84000000n, 0x0000_8000_0000_0000n);
  return random.pick(choices);
}

/** Puts the cases together into one image of RAM. */
export function buildProgram(cases: readonly Case[], values: RegisterSets, environment: Environment): Program {
  if (cases.length > MAX_BLOCKS) throw new Error(`${cases.length} blocks are more than fit`);
  const blocks = new Assembler(BLOCKS);
  const blockAddresses: number[] = [];
  for (const one of cases) {
    blockAddresses.push(blocks.here);
    for (const unit of one.units) {
      if (unit.size === 2) blocks.half(unit.bits);
      else blocks.word(unit.bits);
    }
    for (const bits of wayBack(blocks.here)) blocks.word(bits);
  }
  const blockBytes = blocks.build();
  if (BLOCKS + blockBytes.length > OUTPUT) throw new Error('The blocks are too long');

  const image = new Uint8Array(BLOCKS + blockBytes.length - RAM_BASE);
  image.set(blockBytes, BLOCKS - RAM_BASE);
  const view = new DataView(image.buffer);
  const put = (address: number, words: readonly bigint[]) => {
    for (const [index, word] of words.entries()) view.setBigUint64(address - RAM_BASE + index * 8, word, true);
  };
  for (const [index, set] of values.sets.entries()) put(SETS + index * SET_SIZE, set);
  for (const [index, pattern] of values.patterns.entries()) put(PATTERNS + index * SCRATCH_SIZE, pattern);
  for (const [index, one] of cases.entries()) {
    put(DESCRIPTORS + index * 8, [
      BigInt(blockAddresses[index]! - BLOCKS) | (BigInt(one.set) << 32n) | (BigInt(one.pattern) << 48n),
    ]);
  }
  put(SAVED + RECORD_AT, [BigInt(OUTPUT - RECORD.size), 0n, BigInt(cases.length)]);
  const runtime = assembleRuntime(environment, pageTables(image, environment));
  image.set(runtime.bytes, 0);
  return { image, blockAddresses, overhead: runtime.overhead, values };
}

/** Address of the runtime's code that a finished block goes to: right behind the jump at the start. */
const FINISHED = RAM_BASE + 4;

/** `auipc t6; jr t6` to the runtime. */
function wayBack(from: number): number[] {
  const distance = FINISHED - from;
  const low = (distance << 20) >> 20;
  return [encode('auipc', { rd: 31, imm: distance - low }), encode('jalr', { rs1: 31, imm: low })];
}

function pageTables(image: Uint8Array, environment: Environment): bigint {
  if (!environment.scheme) return 0n;
  const tables = new PageTables(image, TABLES, environment.scheme);
  const flags = PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D | (environment.mode === 'U' ? PTE.U : 0);
  const large = 2 << 20;
  for (let at = RAM_BASE + large; at < RAM_BASE + (64 << 20); at += large) tables.map(BigInt(at), at, flags, 1);
  for (let at: number = RAM_BASE; at < RAM_BASE + large; at += 4096) tables.map(BigInt(at), at, flags);
  tables.map(BigInt(SCRATCH_PAGES), SCRATCH_PAGES + 4096, flags);
  tables.map(BigInt(SCRATCH_PAGES + 4096), SCRATCH_PAGES, flags);
  if (tables.end > SETS) throw new Error('The page tables are too large');
  return tables.satp;
}

interface Runtime {
  readonly bytes: Uint8Array;
  readonly overhead: Program['overhead'];
}

function assembleRuntime(environment: Environment, satp: bigint): Runtime {
  const a = new Assembler(RAM_BASE);
  const mode = { M: 3, S: 1, U: 0 }[environment.mode];
  const registers = Array.from({ length: 30 }, (_, index) => index + 1);
  const words = Array.from({ length: SCRATCH_SIZE / 8 }, (_, index) => index);
  a.text('j start');
  if (a.here !== FINISHED) throw new Error('The way out of a block has moved');

  // A block is done: its registers go to the record.
  const first = a.here;
  a.text(`li t6, ${SAVED}\nld t6, ${RECORD_AT}(t6)`);
  for (const register of registers) a.text(`sd x${register}, ${RECORD.x + (register - 1) * 8}(t6)`);
  for (let register = 0; register < 32; register++) a.text(`fsd f${register}, ${RECORD.f + register * 8}(t6)`);
  a.text(`csrr t0, fcsr\nsd t0, ${RECORD.fcsr}(t6)\nli t1, ${SCRATCH}`);
  for (const word of words) a.text(`ld t0, ${word * 8}(t1)\nsd t0, ${RECORD.scratch + word * 8}(t6)`);

  // The next block.
  const dispatch = a.here;
  a.label('dispatch').text(`
    li t6, ${SAVED}
    ld t0, ${INDEX_AT}(t6)
    ld t1, ${COUNT_AT}(t6)
    bltu t0, t1, more
    j finish
  more:
    addi t1, t0, 1
    sd t1, ${INDEX_AT}(t6)
    ld t1, ${RECORD_AT}(t6)
    addi t1, t1, ${RECORD.size}
    sd t1, ${RECORD_AT}(t6)
    slli t0, t0, 3
    li t1, ${DESCRIPTORS}
    add t0, t0, t1
    lhu t2, 6(t0)
    lhu t3, 4(t0)
    lwu t6, 0(t0)
    li t1, ${BLOCKS}
    add t6, t6, t1
    li t1, ${SCRATCH_SIZE}
    mul t2, t2, t1
    li t1, ${PATTERNS}
    add t2, t2, t1
    li t1, ${SCRATCH}
  `);
  for (const word of words) a.text(`ld t0, ${word * 8}(t2)\nsd t0, ${word * 8}(t1)`);
  a.text(`li t1, ${SET_SIZE}\nmul t3, t3, t1\nli t1, ${SETS}\nadd t3, t3, t1`);
  for (let register = 0; register < 32; register++) a.text(`fld f${register}, ${248 + register * 8}(t3)`);
  a.text('ld t0, 504(t3)\ncsrw fcsr, t0');
  for (const register of registers.filter(one => one !== 28)) a.text(`ld x${register}, ${(register - 1) * 8}(t3)`);
  a.text('ld t3, 216(t3)\njr t6');
  const perBlock = (a.here - first) / 4 + 1; // and the two that lead out, less the skipped `j finish`

  const handler = a.align(4).here;
  a.label('handler').text(`
    csrrw t6, mscratch, t6
    sd t0, ${SAVED_T0}(t6)
    sd t1, ${SAVED_T1}(t6)
    sd t2, ${SAVED_T2}(t6)
    addi t0, t6, ${UNRESERVED}
    sc.w zero, zero, (t0)
    csrr t1, mepc
    la t0, finish
    beq t0, t1, end
    ld t0, ${RECORD_AT}(t6)
    ld t1, ${RECORD.trapCount}(t0)
    addi t2, t1, 1
    sd t2, ${RECORD.trapCount}(t0)
    li t2, ${TRAPS_NOTED - 1}
    minu t1, t1, t2
    slli t2, t1, 3
    add t0, t0, t2
    add t0, t0, t2
    add t0, t0, t2
    csrr t1, mcause
    sd t1, ${RECORD.traps}(t0)
    csrr t1, mtval
    sd t1, ${RECORD.traps + 8}(t0)
    csrr t1, mepc
    sd t1, ${RECORD.traps + 16}(t0)
    lhu t2, 0(t1)
    andi t2, t2, 3
    addi t2, t2, -3
    sltiu t2, t2, 1
    slli t2, t2, 1
    addi t2, t2, 2
    add t1, t1, t2
    csrw mepc, t1
    ld t0, ${SAVED_T0}(t6)
    ld t1, ${SAVED_T1}(t6)
    ld t2, ${SAVED_T2}(t6)
    csrrw t6, mscratch, t6
    mret
  `);
  const perTrap = (a.here - handler) / 4;

  const start = a.here;
  a.label('start').text(`
    la t0, handler
    csrw mtvec, t0
    li t0, ${SAVED}
    csrw mscratch, t0
    li t0, -1
    csrw pmpaddr0, t0
    csrwi pmpcfg0, 31
    csrw medeleg, zero
    csrw mideleg, zero
    csrw mcounteren, zero
    li t0, ${satp}
    csrw satp, t0
    sfence.vma
    li t0, ${0x6000 | (mode << 11)}
    csrw mstatus, t0
    la t0, dispatch
    csrw mepc, t0
    mret
  end:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
  .hang: j .hang
    .word 0
  finish: ecall
  `);
  const bytes = a.build();
  if (RAM_BASE + bytes.length > TABLES) throw new Error('The runtime is too long');
  const setUp = (a.address('end') - start) / 4;
  // Once: the jump, the set-up, the dispatcher's last look, the trap that ends it all and the way to the finisher.
  const ending = (a.address('more') - dispatch) / 4 + 10 + 5;
  return { bytes, overhead: { fixed: 1 + setUp + ending, perBlock, perTrap } };
}

/** What a block left. */
export interface Result {
  readonly trapCount: number;
  readonly traps: readonly NotedTrap[];
  /** Registers and memory by name. */
  readonly state: ReadonlyMap<string, bigint>;
}

export function readResult(ram: Uint8Array, index: number): Result {
  const bytes = recordBytes(ram, index);
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD.size);
  const word = (offset: number) => view.getBigUint64(offset, true);
  const trapCount = Number(word(RECORD.trapCount));
  const traps = Array.from({ length: Math.min(trapCount, TRAPS_NOTED) }, (_, trap) => {
    const at = RECORD.traps + trap * 24;
    return { cause: word(at), tval: word(at + 8), epc: word(at + 16) };
  });
  const state = new Map<string, bigint>();
  for (let register = 1; register < 31; register++) state.set(X_NAMES[register]!, word(RECORD.x + (register - 1) * 8));
  for (let register = 0; register < 32; register++) state.set(F_NAMES[register]!, word(RECORD.f + register * 8));
  state.set('fcsr', word(RECORD.fcsr));
  for (let offset = 0; offset < SCRATCH_SIZE; offset += 8)
    state.set(`scratch+${offset}`, word(RECORD.scratch + offset));
  return { trapCount, traps, state };
}

/** The bytes of a result. */
export function recordBytes(ram: Uint8Array, index: number): Uint8Array {
  const at = OUTPUT - RAM_BASE + index * RECORD.size;
  return ram.subarray(at, at + RECORD.size);
}
