/**
 * The one table of every instruction that the machine implements. The decoder of the core, the disassembler, the
 * trace, the generated tests and the ISA string all come from it; nothing else in the project knows an encoding.
 * Sources: RISC-V unprivileged specification (instruction listings), privileged specification 1.12 section 3.3.
 */

/** Extension names in the order of the ISA string. `priv` is the privileged base and has no letter of its own. */
export const EXTENSIONS = [
  'i', 'm', 'a', 'f', 'd', 'c', 'zicntr', 'zicond', 'zicsr', 'zifencei', 'zba', 'zbb', 'zbs', 'sstc', 'svadu',
] as const;

export type Extension = (typeof EXTENSIONS)[number] | 'priv';

/**
 * Which operands an instruction has and where its immediate is, i.e. how the decoder fills a record:
 * `r` rd rs1 rs2; `r4` and rs3; `i` rd rs1 imm; `load` like `i`; `store` rs1 rs2 imm; `branch` rs1 rs2 offset;
 * `u` rd imm; `jal` rd offset; `jalr` rd rs1 imm; `shift6`/`shift5` rd rs1 shamt; `unary` rd rs1;
 * `amo` rd rs1 rs2 aq rl; `csr`/`csri` rd csr rs1/uimm; `fence`; `none`; `sfence` rs1 rs2.
 */
export type Format =
  | 'r' | 'r4' | 'i' | 'load' | 'store' | 'branch' | 'u' | 'jal' | 'jalr' | 'shift6' | 'shift5' | 'unary'
  | 'amo' | 'csr' | 'csri' | 'fence' | 'none' | 'sfence';

/** Register files of the operands, e.g. `x=ff` for feq: rd is an integer register, sources are floating point. */
export interface Files {
  readonly rd: 'x' | 'f';
  readonly rs1: 'x' | 'f';
  readonly rs2: 'x' | 'f';
}

export interface Instruction {
  readonly name: string;
  readonly extension: Extension;
  readonly format: Format;
  /** An encoding belongs to this instruction when `(bits & mask) === match` (both unsigned 32-bit). */
  readonly mask: number;
  readonly match: number;
  readonly files: Files;
  /** Has a rounding-mode field in bits 14:12 (its values 5 and 6 are illegal). */
  readonly rounding: boolean;
  /** Without effect when rd is x0, so that the decoder may replace it by a no-op. */
  readonly pure: boolean;
}

export interface CompressedInstruction {
  readonly name: string;
  readonly mask: number;
  readonly match: number;
  /** Name of the 32-bit instruction that it stands for. */
  readonly expands: string;
  /** Where the operands come from: a fixed number, a 5-bit field by its lowest bit, or `N'` for a 3-bit field + 8. */
  readonly rd?: number | string;
  readonly rs1?: number | string;
  readonly rs2?: number | string;
  /** Immediate as pieces `high:low>position` of the 16 bits; a leading `-` marks the piece that carries the sign. */
  readonly immediate?: string;
  /** Fields (same notation as operands, or `imm`) that must not be zero; the encoding is reserved otherwise. */
  readonly nonzero?: readonly string[];
}

const X = { rd: 'x', rs1: 'x', rs2: 'x' } as const;
const OP = 0x33;
const OP_32 = 0x3b;
const OP_IMM = 0x13;
const OP_IMM_32 = 0x1b;
const LOAD = 0x03;
const STORE = 0x23;
const BRANCH = 0x63;
const AMO = 0x2f;
const SYSTEM = 0x73;
const OP_FP = 0x53;

const f3 = (value: number) => value << 12;
const f7 = (value: number) => (value << 25) >>> 0;
const MASK_F3 = 0x0000707f;
const MASK_F7 = 0xfe00707f;
const MASK_ALL = 0xffffffff;

function define(
  name: string, extension: Extension, format: Format, mask: number, match: number,
  more: Partial<Pick<Instruction, 'files' | 'rounding' | 'pure'>> = {},
): Instruction {
  return {
    name, extension, format, mask: mask >>> 0, match: match >>> 0,
    files: more.files ?? X, rounding: more.rounding ?? false, pure: more.pure ?? false,
  };
}

const alu = (extension: Extension, name: string, opcode: number, funct3: number, funct7: number) =>
  define(name, extension, 'r', MASK_F7, opcode | f3(funct3) | f7(funct7), { pure: true });
const immediate = (extension: Extension, name: string, opcode: number, funct3: number) =>
  define(name, extension, 'i', MASK_F3, opcode | f3(funct3), { pure: true });
const shift6 = (extension: Extension, name: string, opcode: number, funct3: number, funct6: number) =>
  define(name, extension, 'shift6', 0xfc00707f, opcode | f3(funct3) | (funct6 << 26), { pure: true });
const shift5 = (extension: Extension, name: string, opcode: number, funct3: number, funct7: number) =>
  define(name, extension, 'shift5', MASK_F7, opcode | f3(funct3) | f7(funct7), { pure: true });
const unary = (extension: Extension, name: string, opcode: number, funct3: number, top12: number) =>
  define(name, extension, 'unary', 0xfff0707f, opcode | f3(funct3) | (top12 << 20), { pure: true });
const load = (name: string, funct3: number) => define(name, 'i', 'load', MASK_F3, LOAD | f3(funct3));
const store = (name: string, funct3: number) => define(name, 'i', 'store', MASK_F3, STORE | f3(funct3));
const branch = (name: string, funct3: number) => define(name, 'i', 'branch', MASK_F3, BRANCH | f3(funct3));
const csr = (name: string, funct3: number, format: 'csr' | 'csri') =>
  define(name, 'zicsr', format, MASK_F3, SYSTEM | f3(funct3));
const system = (name: string, extension: Extension, match: number) => define(name, extension, 'none', MASK_ALL, match);

function atomics(suffix: 'w' | 'd', funct3: number): Instruction[] {
  const one = (name: string, funct5: number, mask = 0xf800707f, format: Format = 'amo') =>
    define(`${name}.${suffix}`, 'a', format, mask, AMO | f3(funct3) | (funct5 << 27));
  return [
    one('lr', 0x02, 0xf9f0707f), one('sc', 0x03), one('amoswap', 0x01), one('amoadd', 0x00), one('amoxor', 0x04),
    one('amoand', 0x0c), one('amoor', 0x08), one('amomin', 0x10), one('amomax', 0x14), one('amominu', 0x18),
    one('amomaxu', 0x1c),
  ];
}

function floats(s: 's' | 'd', extension: 'f' | 'd', fmt: 0 | 1, memory: { name: string; funct3: number }): Instruction[] {
  const FFF = { rd: 'f', rs1: 'f', rs2: 'f' } as const;
  const rounded = (name: string, funct5: number) =>
    define(`${name}.${s}`, extension, 'r', 0xfe00007f, OP_FP | f7((funct5 << 2) | fmt), { files: FFF, rounding: true });
  const fixed = (name: string, funct5: number, funct3: number, rd: 'f' | 'x') =>
    define(`${name}.${s}`, extension, 'r', MASK_F7, OP_FP | f3(funct3) | f7((funct5 << 2) | fmt), { files: { ...FFF, rd } });
  const fused = (name: string, opcode: number) =>
    define(`${name}.${s}`, extension, 'r4', 0x0600007f, opcode | (fmt << 25), { files: FFF, rounding: true });
  const convert = (name: string, funct5: number, rs2: number, rd: 'f' | 'x', rs1: 'f' | 'x') =>
    define(name, extension, 'unary', 0xfff0007f, OP_FP | f7((funct5 << 2) | fmt) | (rs2 << 20), {
      files: { rd, rs1, rs2: 'x' }, rounding: true,
    });
  const move = (name: string, funct5: number, funct3: number, rd: 'f' | 'x', rs1: 'f' | 'x') =>
    define(name, extension, 'unary', 0xfff0707f, OP_FP | f3(funct3) | f7((funct5 << 2) | fmt), { files: { rd, rs1, rs2: 'x' } });
  const raw = s === 's' ? 'w' : 'd';
  return [
    define(`fl${memory.name}`, extension, 'load', MASK_F3, 0x07 | f3(memory.funct3), { files: { ...X, rd: 'f' } }),
    define(`fs${memory.name}`, extension, 'store', MASK_F3, 0x27 | f3(memory.funct3), { files: { ...X, rs2: 'f' } }),
    fused('fmadd', 0x43), fused('fmsub', 0x47), fused('fnmsub', 0x4b), fused('fnmadd', 0x4f),
    rounded('fadd', 0x00), rounded('fsub', 0x01), rounded('fmul', 0x02), rounded('fdiv', 0x03),
    convert(`fsqrt.${s}`, 0x0b, 0, 'f', 'f'),
    fixed('fsgnj', 0x04, 0, 'f'), fixed('fsgnjn', 0x04, 1, 'f'), fixed('fsgnjx', 0x04, 2, 'f'),
    fixed('fmin', 0x05, 0, 'f'), fixed('fmax', 0x05, 1, 'f'),
    convert(`fcvt.w.${s}`, 0x18, 0, 'x', 'f'), convert(`fcvt.wu.${s}`, 0x18, 1, 'x', 'f'),
    convert(`fcvt.l.${s}`, 0x18, 2, 'x', 'f'), convert(`fcvt.lu.${s}`, 0x18, 3, 'x', 'f'),
    convert(`fcvt.${s}.w`, 0x1a, 0, 'f', 'x'), convert(`fcvt.${s}.wu`, 0x1a, 1, 'f', 'x'),
    convert(`fcvt.${s}.l`, 0x1a, 2, 'f', 'x'), convert(`fcvt.${s}.lu`, 0x1a, 3, 'f', 'x'),
    fixed('feq', 0x14, 2, 'x'), fixed('flt', 0x14, 1, 'x'), fixed('fle', 0x14, 0, 'x'),
    move(`fclass.${s}`, 0x1c, 1, 'x', 'f'), move(`fmv.x.${raw}`, 0x1c, 0, 'x', 'f'), move(`fmv.${raw}.x`, 0x1e, 0, 'f', 'x'),
    s === 's' ? { ...convert('fcvt.s.d', 0x08, 1, 'f', 'f'), extension: 'd' } : convert('fcvt.d.s', 0x08, 0, 'f', 'f'),
  ];
}

/** Every 32-bit instruction. `fcvt.s.d` stands with the single-precision ones by its encoding but belongs to D. */
export const INSTRUCTIONS: readonly Instruction[] = [
  define('lui', 'i', 'u', 0x7f, 0x37, { pure: true }),
  define('auipc', 'i', 'u', 0x7f, 0x17, { pure: true }),
  define('jal', 'i', 'jal', 0x7f, 0x6f),
  define('jalr', 'i', 'jalr', MASK_F3, 0x67),
  branch('beq', 0), branch('bne', 1), branch('blt', 4), branch('bge', 5), branch('bltu', 6), branch('bgeu', 7),
  load('lb', 0), load('lh', 1), load('lw', 2), load('ld', 3), load('lbu', 4), load('lhu', 5), load('lwu', 6),
  store('sb', 0), store('sh', 1), store('sw', 2), store('sd', 3),
  immediate('i', 'addi', OP_IMM, 0), immediate('i', 'slti', OP_IMM, 2), immediate('i', 'sltiu', OP_IMM, 3),
  immediate('i', 'xori', OP_IMM, 4), immediate('i', 'ori', OP_IMM, 6), immediate('i', 'andi', OP_IMM, 7),
  shift6('i', 'slli', OP_IMM, 1, 0x00), shift6('i', 'srli', OP_IMM, 5, 0x00), shift6('i', 'srai', OP_IMM, 5, 0x10),
  alu('i', 'add', OP, 0, 0), alu('i', 'sub', OP, 0, 0x20), alu('i', 'sll', OP, 1, 0), alu('i', 'slt', OP, 2, 0),
  alu('i', 'sltu', OP, 3, 0), alu('i', 'xor', OP, 4, 0), alu('i', 'srl', OP, 5, 0), alu('i', 'sra', OP, 5, 0x20),
  alu('i', 'or', OP, 6, 0), alu('i', 'and', OP, 7, 0),
  immediate('i', 'addiw', OP_IMM_32, 0), shift5('i', 'slliw', OP_IMM_32, 1, 0), shift5('i', 'srliw', OP_IMM_32, 5, 0),
  shift5('i', 'sraiw', OP_IMM_32, 5, 0x20),
  alu('i', 'addw', OP_32, 0, 0), alu('i', 'subw', OP_32, 0, 0x20), alu('i', 'sllw', OP_32, 1, 0),
  alu('i', 'srlw', OP_32, 5, 0), alu('i', 'sraw', OP_32, 5, 0x20),
  // Reserved fields of FENCE are ignored, as the specification asks; this also covers the Zihintpause hint.
  define('fence', 'i', 'fence', MASK_F3, 0x0f),
  define('fence.i', 'zifencei', 'none', MASK_F3, 0x100f),
  system('ecall', 'i', 0x00000073), system('ebreak', 'i', 0x00100073),
  system('sret', 'priv', 0x10200073), system('mret', 'priv', 0x30200073), system('wfi', 'priv', 0x10500073),
  define('sfence.vma', 'priv', 'sfence', 0xfe007fff, 0x12000073),
  csr('csrrw', 1, 'csr'), csr('csrrs', 2, 'csr'), csr('csrrc', 3, 'csr'),
  csr('csrrwi', 5, 'csri'), csr('csrrsi', 6, 'csri'), csr('csrrci', 7, 'csri'),

  alu('m', 'mul', OP, 0, 1), alu('m', 'mulh', OP, 1, 1), alu('m', 'mulhsu', OP, 2, 1), alu('m', 'mulhu', OP, 3, 1),
  alu('m', 'div', OP, 4, 1), alu('m', 'divu', OP, 5, 1), alu('m', 'rem', OP, 6, 1), alu('m', 'remu', OP, 7, 1),
  alu('m', 'mulw', OP_32, 0, 1), alu('m', 'divw', OP_32, 4, 1), alu('m', 'divuw', OP_32, 5, 1),
  alu('m', 'remw', OP_32, 6, 1), alu('m', 'remuw', OP_32, 7, 1),

  ...atomics('w', 2), ...atomics('d', 3),
  ...floats('s', 'f', 0, { name: 'w', funct3: 2 }),
  ...floats('d', 'd', 1, { name: 'd', funct3: 3 }),

  alu('zba', 'add.uw', OP_32, 0, 0x04), alu('zba', 'sh1add', OP, 2, 0x10), alu('zba', 'sh2add', OP, 4, 0x10),
  alu('zba', 'sh3add', OP, 6, 0x10), alu('zba', 'sh1add.uw', OP_32, 2, 0x10), alu('zba', 'sh2add.uw', OP_32, 4, 0x10),
  alu('zba', 'sh3add.uw', OP_32, 6, 0x10), shift6('zba', 'slli.uw', OP_IMM_32, 1, 0x02),

  alu('zbb', 'andn', OP, 7, 0x20), alu('zbb', 'orn', OP, 6, 0x20), alu('zbb', 'xnor', OP, 4, 0x20),
  unary('zbb', 'clz', OP_IMM, 1, 0x600), unary('zbb', 'ctz', OP_IMM, 1, 0x601), unary('zbb', 'cpop', OP_IMM, 1, 0x602),
  unary('zbb', 'clzw', OP_IMM_32, 1, 0x600), unary('zbb', 'ctzw', OP_IMM_32, 1, 0x601),
  unary('zbb', 'cpopw', OP_IMM_32, 1, 0x602),
  alu('zbb', 'max', OP, 6, 0x05), alu('zbb', 'maxu', OP, 7, 0x05), alu('zbb', 'min', OP, 4, 0x05), alu('zbb', 'minu', OP, 5, 0x05),
  unary('zbb', 'sext.b', OP_IMM, 1, 0x604), unary('zbb', 'sext.h', OP_IMM, 1, 0x605), unary('zbb', 'zext.h', OP_32, 4, 0x080),
  alu('zbb', 'rol', OP, 1, 0x30), alu('zbb', 'rolw', OP_32, 1, 0x30), alu('zbb', 'ror', OP, 5, 0x30),
  shift6('zbb', 'rori', OP_IMM, 5, 0x18), shift5('zbb', 'roriw', OP_IMM_32, 5, 0x30), alu('zbb', 'rorw', OP_32, 5, 0x30),
  unary('zbb', 'orc.b', OP_IMM, 5, 0x287), unary('zbb', 'rev8', OP_IMM, 5, 0x6b8),

  alu('zbs', 'bclr', OP, 1, 0x24), shift6('zbs', 'bclri', OP_IMM, 1, 0x12), alu('zbs', 'bext', OP, 5, 0x24),
  shift6('zbs', 'bexti', OP_IMM, 5, 0x12), alu('zbs', 'binv', OP, 1, 0x34), shift6('zbs', 'binvi', OP_IMM, 1, 0x1a),
  alu('zbs', 'bset', OP, 1, 0x14), shift6('zbs', 'bseti', OP_IMM, 1, 0x0a),

  alu('zicond', 'czero.eqz', OP, 5, 0x07), alu('zicond', 'czero.nez', OP, 7, 0x07),
];

const c = (
  name: string, mask: number, match: number, expands: string,
  rest: Omit<CompressedInstruction, 'name' | 'mask' | 'match' | 'expands'> = {},
): CompressedInstruction => ({ name, mask, match, expands, ...rest });

const IMM6 = '-12>5 6:2>0';
const LD_OFFSET = '12:10>3 6:5>6';
const LW_OFFSET = '12:10>3 6>2 5>6';
const LDSP_OFFSET = '12>5 6:5>3 4:2>6';
const SDSP_OFFSET = '12:10>3 9:7>6';
const BRANCH_OFFSET = "-12>8 11:10>3 6:5>6 4:3>1 2>5";

/** Every 16-bit instruction of RV64C with F and D; the first match counts. */
export const COMPRESSED: readonly CompressedInstruction[] = [
  c('c.addi4spn', 0xe003, 0x0000, 'addi', { rd: "2'", rs1: 2, immediate: '12:11>4 10:7>6 6>2 5>3', nonzero: ['imm'] }),
  c('c.fld', 0xe003, 0x2000, 'fld', { rd: "2'", rs1: "7'", immediate: LD_OFFSET }),
  c('c.lw', 0xe003, 0x4000, 'lw', { rd: "2'", rs1: "7'", immediate: LW_OFFSET }),
  c('c.ld', 0xe003, 0x6000, 'ld', { rd: "2'", rs1: "7'", immediate: LD_OFFSET }),
  c('c.fsd', 0xe003, 0xa000, 'fsd', { rs2: "2'", rs1: "7'", immediate: LD_OFFSET }),
  c('c.sw', 0xe003, 0xc000, 'sw', { rs2: "2'", rs1: "7'", immediate: LW_OFFSET }),
  c('c.sd', 0xe003, 0xe000, 'sd', { rs2: "2'", rs1: "7'", immediate: LD_OFFSET }),
  c('c.addi', 0xe003, 0x0001, 'addi', { rd: '7', rs1: '7', immediate: IMM6 }),
  c('c.addiw', 0xe003, 0x2001, 'addiw', { rd: '7', rs1: '7', immediate: IMM6, nonzero: ['7'] }),
  c('c.li', 0xe003, 0x4001, 'addi', { rd: '7', rs1: 0, immediate: IMM6 }),
  c('c.addi16sp', 0xef83, 0x6101, 'addi', { rd: 2, rs1: 2, immediate: '-12>9 6>4 5>6 4:3>7 2>5', nonzero: ['imm'] }),
  c('c.lui', 0xe003, 0x6001, 'lui', { rd: '7', immediate: '-12>17 6:2>12', nonzero: ['imm'] }),
  c('c.srli', 0xec03, 0x8001, 'srli', { rd: "7'", rs1: "7'", immediate: '12>5 6:2>0' }),
  c('c.srai', 0xec03, 0x8401, 'srai', { rd: "7'", rs1: "7'", immediate: '12>5 6:2>0' }),
  c('c.andi', 0xec03, 0x8801, 'andi', { rd: "7'", rs1: "7'", immediate: IMM6 }),
  c('c.sub', 0xfc63, 0x8c01, 'sub', { rd: "7'", rs1: "7'", rs2: "2'" }),
  c('c.xor', 0xfc63, 0x8c21, 'xor', { rd: "7'", rs1: "7'", rs2: "2'" }),
  c('c.or', 0xfc63, 0x8c41, 'or', { rd: "7'", rs1: "7'", rs2: "2'" }),
  c('c.and', 0xfc63, 0x8c61, 'and', { rd: "7'", rs1: "7'", rs2: "2'" }),
  c('c.subw', 0xfc63, 0x9c01, 'subw', { rd: "7'", rs1: "7'", rs2: "2'" }),
  c('c.addw', 0xfc63, 0x9c21, 'addw', { rd: "7'", rs1: "7'", rs2: "2'" }),
  c('c.j', 0xe003, 0xa001, 'jal', { rd: 0, immediate: '-12>11 11>4 10:9>8 8>10 7>6 6>7 5:3>1 2>5' }),
  c('c.beqz', 0xe003, 0xc001, 'beq', { rs1: "7'", rs2: 0, immediate: BRANCH_OFFSET }),
  c('c.bnez', 0xe003, 0xe001, 'bne', { rs1: "7'", rs2: 0, immediate: BRANCH_OFFSET }),
  c('c.slli', 0xe003, 0x0002, 'slli', { rd: '7', rs1: '7', immediate: '12>5 6:2>0' }),
  c('c.fldsp', 0xe003, 0x2002, 'fld', { rd: '7', rs1: 2, immediate: LDSP_OFFSET }),
  c('c.lwsp', 0xe003, 0x4002, 'lw', { rd: '7', rs1: 2, immediate: '12>5 6:4>2 3:2>6', nonzero: ['7'] }),
  c('c.ldsp', 0xe003, 0x6002, 'ld', { rd: '7', rs1: 2, immediate: LDSP_OFFSET, nonzero: ['7'] }),
  c('c.jr', 0xf07f, 0x8002, 'jalr', { rd: 0, rs1: '7', nonzero: ['7'] }),
  c('c.mv', 0xf003, 0x8002, 'add', { rd: '7', rs1: 0, rs2: '2' }),
  c('c.ebreak', 0xffff, 0x9002, 'ebreak'),
  c('c.jalr', 0xf07f, 0x9002, 'jalr', { rd: 1, rs1: '7', nonzero: ['7'] }),
  c('c.add', 0xf003, 0x9002, 'add', { rd: '7', rs1: '7', rs2: '2' }),
  c('c.fsdsp', 0xe003, 0xa002, 'fsd', { rs2: '2', rs1: 2, immediate: SDSP_OFFSET }),
  c('c.swsp', 0xe003, 0xc002, 'sw', { rs2: '2', rs1: 2, immediate: '12:9>2 8:7>6' }),
  c('c.sdsp', 0xe003, 0xe002, 'sd', { rs2: '2', rs1: 2, immediate: SDSP_OFFSET }),
];

/** The ISA string as a device tree or a compliance suite wants it, e.g. `rv64imafdc_zicntr_...`. */
export const ISA_STRING = `rv64${EXTENSIONS.filter(e => e.length === 1).join('')}_${EXTENSIONS.filter(e => e.length > 1).join('_')}`;

/** The instruction that a 32-bit encoding stands for, if it is one of ours. */
export function findInstruction(bits: number): Instruction | undefined {
  return INSTRUCTIONS.find(one => (bits & one.mask) >>> 0 === one.match);
}
