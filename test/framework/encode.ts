// Encodes and takes apart instructions by the table of engine/core/isa.ts.
import {
  COMPRESSED,
  type CompressedInstruction,
  findInstruction,
  INSTRUCTIONS,
  type Instruction,
} from '../../engine/core/isa.ts';

export interface Operands {
  readonly rd?: number;
  readonly rs1?: number;
  readonly rs2?: number;
  readonly rs3?: number;
  /** Immediate, offset, shift amount, or the immediate source of `csri`, as the value that it stands for. */
  readonly imm?: number;
  readonly csr?: number;
  readonly rm?: number;
  readonly aq?: boolean;
  readonly rl?: boolean;
}

const BY_NAME = new Map(INSTRUCTIONS.map(one => [one.name, one]));
const COMPRESSED_BY_NAME = new Map(COMPRESSED.map(one => [one.name, one]));

/** The 32-bit instruction called `name`; throws when there is none. */
export function instructionNamed(name: string): Instruction {
  const found = BY_NAME.get(name);
  if (!found) throw new Error(`No instruction is called ${name}`);
  return found;
}

export function compressedNamed(name: string): CompressedInstruction | undefined {
  return COMPRESSED_BY_NAME.get(name);
}

function inRange(name: string, value: number, low: number, high: number, step = 1): number {
  if (value < low || value > high || value % step !== 0) throw new Error(`${name} cannot encode ${value}`);
  return value;
}

/** The 32-bit encoding of an instruction. Operands that are not given are zero. */
export function encode(name: string, operands: Operands = {}): number {
  const one = instructionNamed(name);
  const { rd = 0, rs1 = 0, rs2 = 0, rs3 = 0, imm = 0, csr = 0 } = operands;
  const registers = (rd << 7) | (rs1 << 15) | (rs2 << 20);
  const rounding = one.rounding ? (operands.rm ?? 7) << 12 : 0;
  switch (one.format) {
    case 'r':
    case 'unary':
      return (one.match | registers | rounding) >>> 0;
    case 'r4':
      return (one.match | registers | rounding | (rs3 << 27)) >>> 0;
    case 'i':
    case 'load':
    case 'jalr':
      return (one.match | registers | (inRange(name, imm, -2048, 2047) << 20)) >>> 0;
    case 'store':
      inRange(name, imm, -2048, 2047);
      return (one.match | registers | ((imm >> 5) << 25) | ((imm & 31) << 7)) >>> 0;
    case 'branch':
      inRange(name, imm, -4096, 4094, 2);
      return (
        (one.match |
          registers |
          (((imm >> 12) & 1) << 31) |
          (((imm >> 5) & 63) << 25) |
          (((imm >> 1) & 15) << 8) |
          (((imm >> 11) & 1) << 7)) >>>
        0
      );
    case 'u':
      return (one.match | registers | inRange(name, imm | 0, -0x80000000, 0x7fffffff, 4096)) >>> 0;
    case 'jal':
      inRange(name, imm, -0x100000, 0xffffe, 2);
      return (
        (one.match |
          registers |
          (((imm >> 20) & 1) << 31) |
          (((imm >> 1) & 0x3ff) << 21) |
          (((imm >> 11) & 1) << 20) |
          (imm & 0xff000)) >>>
        0
      );
    case 'shift6':
      return (one.match | registers | (inRange(name, imm, 0, 63) << 20)) >>> 0;
    case 'shift5':
      return (one.match | registers | (inRange(name, imm, 0, 31) << 20)) >>> 0;
    case 'amo':
      return (one.match | registers | (operands.aq ? 1 << 26 : 0) | (operands.rl ? 1 << 25 : 0)) >>> 0;
    case 'csr':
      return (one.match | registers | (csr << 20)) >>> 0;
    case 'csri':
      return (one.match | (rd << 7) | (inRange(name, imm, 0, 31) << 15) | (csr << 20)) >>> 0;
    case 'fence':
      return (one.match | registers | (inRange(name, imm, 0, 0xfff) << 20)) >>> 0;
    case 'none':
      return one.match;
    case 'sfence':
      return (one.match | registers) >>> 0;
  }
}

interface Piece {
  readonly low: number;
  readonly width: number;
  readonly to: number;
  readonly signed: boolean;
}

/** The pieces of a compressed immediate: `low` and `width` in the encoding, `to` its place in the value. */
function pieces(text: string): Piece[] {
  return text.split(' ').map(piece => {
    const match = /^(-?)(\d+)(?::(\d+))?>(\d+)$/.exec(piece);
    if (!match) throw new Error(`Not a piece of an immediate: ${piece}`);
    const high = Number(match[2]);
    const low = Number(match[3] ?? match[2]);
    return { low, width: high - low + 1, to: Number(match[4]), signed: match[1] === '-' };
  });
}

function compressedImmediate(one: CompressedInstruction, bits: number): number {
  if (!one.immediate) return 0;
  let value = 0;
  for (const { low, width, to, signed } of pieces(one.immediate)) {
    const field = (bits >>> low) & ((1 << width) - 1);
    value |= (signed ? -field : field) << to;
  }
  return value;
}

/** The value of a compressed operand, given as in the table: a number, a 5-bit field or a 3-bit one. */
function compressedRegister(field: number | string | undefined, bits: number): number {
  if (field === undefined) return 0;
  if (typeof field === 'number') return field;
  const low = Number.parseInt(field, 10);
  return field.endsWith("'") ? ((bits >>> low) & 7) + 8 : (bits >>> low) & 31;
}

function compressedOperands(one: CompressedInstruction, bits: number): Operands {
  return {
    rd: compressedRegister(one.rd, bits),
    rs1: compressedRegister(one.rs1, bits),
    rs2: compressedRegister(one.rs2, bits),
    imm: compressedImmediate(one, bits),
  };
}

/** The 16-bit encoding of a compressed instruction; throws when it cannot hold the operands. */
export function encodeCompressed(name: string, operands: Operands = {}): number {
  const one = compressedNamed(name);
  if (!one) throw new Error(`No compressed instruction is called ${name}`);
  const { rd = 0, rs1 = 0, rs2 = 0, imm = 0 } = operands;
  let bits = one.match;
  const put = (field: number | string | undefined, register: number) => {
    if (typeof field !== 'string') return;
    const low = Number.parseInt(field, 10);
    bits |= (field.endsWith("'") ? (register - 8) & 7 : register & 31) << low;
  };
  put(one.rd, rd);
  if (one.rs1 !== one.rd) put(one.rs1, rs1);
  put(one.rs2, rs2);
  for (const { low, width, to } of one.immediate ? pieces(one.immediate) : [])
    bits |= ((imm >> to) & ((1 << width) - 1)) << low;
  const got = compressedOperands(one, bits);
  const matches = (wanted: number | undefined, field: number | string | undefined, have: number | undefined) =>
    wanted === undefined || field === undefined || wanted === have;
  if (
    !matches(operands.rd, one.rd, got.rd) ||
    !matches(operands.rs1, one.rs1, got.rs1) ||
    !matches(operands.rs2, one.rs2, got.rs2) ||
    got.imm !== imm ||
    findCompressed(bits) !== one
  )
    throw new Error(`${name} cannot encode ${JSON.stringify(operands)}`);
  return bits;
}

/** The compressed instruction that 16 bits stand for; undefined when they are reserved. */
export function findCompressed(bits: number): CompressedInstruction | undefined {
  const one = COMPRESSED.find(each => (bits & each.mask) === each.match);
  for (const field of one?.nonzero ?? []) {
    const value = field === 'imm' ? compressedImmediate(one!, bits) : compressedRegister(field, bits);
    if (value === 0) return undefined;
  }
  return one;
}

export interface Decoded {
  readonly name: string;
  /** The 32-bit instruction that it is or stands for. */
  readonly instruction: Instruction;
  readonly size: 2 | 4;
  readonly operands: Required<Operands>;
}

/** What an encoding stands for; undefined when it is illegal. Only the low half counts for 16-bit ones. */
export function decode(bits: number): Decoded | undefined {
  const nothing = { rd: 0, rs1: 0, rs2: 0, rs3: 0, imm: 0, csr: 0, rm: 0, aq: false, rl: false };
  if ((bits & 3) !== 3) {
    const one = findCompressed(bits & 0xffff);
    if (!one) return undefined;
    const operands = { ...nothing, ...compressedOperands(one, bits & 0xffff) };
    return { name: one.name, instruction: instructionNamed(one.expands), size: 2, operands };
  }
  const instruction = findInstruction(bits);
  if (!instruction) return undefined;
  const rm = (bits >>> 12) & 7;
  if (instruction.rounding && (rm === 5 || rm === 6)) return undefined;
  const operands = {
    rd: (bits >>> 7) & 31,
    rs1: (bits >>> 15) & 31,
    rs2: (bits >>> 20) & 31,
    rs3: bits >>> 27,
    imm: immediateOf(instruction, bits),
    csr: bits >>> 20,
    rm,
    aq: (bits & (1 << 26)) !== 0,
    rl: (bits & (1 << 25)) !== 0,
  };
  return { name: instruction.name, instruction, size: 4, operands };
}

function immediateOf(one: Instruction, bits: number): number {
  switch (one.format) {
    case 'i':
    case 'load':
    case 'jalr':
      return bits >> 20;
    case 'store':
      return ((bits >> 25) << 5) | ((bits >>> 7) & 31);
    case 'branch':
      return (
        ((bits >> 31) << 12) | (((bits >>> 7) & 1) << 11) | (((bits >>> 25) & 63) << 5) | (((bits >>> 8) & 15) << 1)
      );
    case 'u':
      return bits & ~0xfff;
    case 'jal':
      return ((bits >> 31) << 20) | (bits & 0xff000) | (((bits >>> 20) & 1) << 11) | (((bits >>> 21) & 0x3ff) << 1);
    case 'shift6':
      return (bits >>> 20) & 63;
    case 'shift5':
      return (bits >>> 20) & 31;
    case 'csri':
      return (bits >>> 15) & 31;
    case 'fence':
      return bits >>> 20;
    default:
      return 0;
  }
}
