// Writes the AssemblyScript half of the instruction table: opcode numbers and the decoder.
import { COMPRESSED, type CompressedInstruction, INSTRUCTIONS, type Instruction } from '../isa.ts';
import { constantName } from './names.ts';

/** Opcodes of records that stand for no single instruction; the interpreter explains each at its handler. */
const PSEUDO = [
  'UNDECODED',
  'PAGE_END',
  'ILLEGAL',
  'CROSSING',
  'FAR',
  'NOP',
  'LOAD_DISCARDED',
  'J',
  'JR',
  'LI',
  'MV',
] as const;

/** The source of `opcodes.ts`: one constant per record opcode, dense from 0 so that the switch is a jump table. */
export function generateOpcodes(): string {
  const names = [...PSEUDO, ...INSTRUCTIONS.map(one => constantName(one.name))];
  if (names.length > 256) throw new Error(`A record has one byte for its opcode, and there are ${names.length}`);
  return `${names.map((name, index) => `export const OP_${name}: i32 = ${index};`).join('\n')}\n`;
}

const hex = (value: number) => `0x${(value >>> 0).toString(16)}`;

function fillRecord(one: Instruction): string {
  const op = `OP_${constantName(one.name)}`;
  const rm = one.rounding ? 'rm' : '0';
  // A rounding mode of 5 or 6 makes the encoding illegal whatever the registers hold.
  const check = one.rounding ? 'if (rm == 5 || rm == 6) return writeIllegal(at, size); ' : '';
  switch (one.format) {
    case 'r':
    case 'unary':
    case 'amo': {
      if (one.name === 'add')
        return `if (rd == 0) return writeRecord(at, OP_NOP, size, 0, 0, 0); if (rs1 == 0) return writeRecord(at, OP_MV, size, rd, rs2, 0); return writeRecord(at, ${op}, size, rd, rs1, rs2 << 3);`;
      const pure = one.pure ? 'if (rd == 0) return writeRecord(at, OP_NOP, size, 0, 0, 0); ' : '';
      return `${check}${pure}return writeRecord(at, ${op}, size, rd, rs1, (rs2 << 3) | (${rm} << 8));`;
    }
    case 'r4':
      return `${check}return writeRecord(at, ${op}, size, rd, rs1, (rs2 << 3) | (rm << 8) | ((bits >> 27) << 19));`;
    case 'i': {
      const nop = 'if (rd == 0) return writeRecord(at, OP_NOP, size, 0, 0, 0); ';
      const special =
        one.name === 'addi'
          ? 'if (rs1 == 0) return writeRecord(at, OP_LI, size, rd, 0, immI(bits)); if (immI(bits) == 0) return writeRecord(at, OP_MV, size, rd, rs1, 0); '
          : '';
      return `${nop}${special}return writeRecord(at, ${op}, size, rd, rs1, immI(bits));`;
    }
    case 'load':
      return one.files.rd === 'x'
        ? `if (rd == 0) return writeRecord(at, OP_LOAD_DISCARDED, size, 0, rs1, bits); return writeRecord(at, ${op}, size, rd, rs1, immI(bits));`
        : `return writeRecord(at, ${op}, size, rd, rs1, immI(bits));`;
    case 'store':
      return `return writeRecord(at, ${op}, size, rs2, rs1, immS(bits));`;
    case 'branch':
      return `return writeRecord(at, ${op}, size, rs2, rs1, immB(bits) << 2);`;
    case 'u':
      return one.name === 'lui'
        ? `return rd == 0 ? writeRecord(at, OP_NOP, size, 0, 0, 0) : writeRecord(at, OP_LI, size, rd, 0, bits & 0xfffff000);`
        : `return rd == 0 ? writeRecord(at, OP_NOP, size, 0, 0, 0) : writeRecord(at, ${op}, size, rd, 0, bits & 0xfffff000);`;
    case 'jal':
      return `return rd == 0 ? writeRecord(at, OP_J, size, 0, 0, immJ(bits) << 2) : writeRecord(at, ${op}, size, rd, 0, immJ(bits) << 2);`;
    case 'jalr':
      return `return rd == 0 ? writeRecord(at, OP_JR, size, 0, rs1, immI(bits)) : writeRecord(at, ${op}, size, rd, rs1, immI(bits));`;
    case 'shift6':
      return `return rd == 0 ? writeRecord(at, OP_NOP, size, 0, 0, 0) : writeRecord(at, ${op}, size, rd, rs1, (bits >> 20) & 63);`;
    case 'shift5':
      return `return rd == 0 ? writeRecord(at, OP_NOP, size, 0, 0, 0) : writeRecord(at, ${op}, size, rd, rs1, (bits >> 20) & 31);`;
    case 'fence':
      // One hart, and devices act between instructions: every fence is satisfied by itself.
      return `return writeRecord(at, OP_NOP, size, 0, 0, 0);`;
    case 'csr':
    case 'csri':
    case 'none':
    case 'sfence':
      return `return writeRecord(at, ${op}, size, rd, rs1, bits);`;
  }
}

function operandBits(field: number | string | undefined): string {
  if (field === undefined) return '0';
  if (typeof field === 'number') return String(field);
  const low = Number.parseInt(field, 10);
  return field.endsWith("'") ? `(((c >> ${low}) & 7) + 8)` : `((c >> ${low}) & 31)`;
}

function immediateBits(pieces: string): string {
  return pieces
    .split(' ')
    .map(piece => {
      const match = /^(-?)(\d+)(?::(\d+))?>(\d+)$/.exec(piece);
      if (!match) throw new Error(`Not a piece of an immediate: ${piece}`);
      const high = Number(match[2]);
      const low = Number(match[3] ?? match[2]);
      const to = Number(match[4]);
      const width = high - low + 1;
      if (match[1]) return `(<i32>(c << ${31 - high}) >> 31 << ${to})`;
      return `(((c >> ${low}) & ${hex((1 << width) - 1)}) << ${to})`;
    })
    .join(' | ');
}

const ENCODE: Partial<Record<Instruction['format'], string>> = {
  i: 'putI(imm)',
  load: 'putI(imm)',
  jalr: 'putI(imm)',
  shift6: 'putI(imm)',
  store: 'putS(imm)',
  branch: 'putB(imm)',
  jal: 'putJ(imm)',
  u: '(<u32>imm & 0xfffff000)',
};

function expandOne(one: CompressedInstruction): string {
  const target = INSTRUCTIONS.find(each => each.name === one.expands);
  if (!target) throw new Error(`${one.name} expands to the unknown ${one.expands}`);
  const refuse = (one.nonzero ?? []).map(
    field => `if (${field === 'imm' ? 'imm' : operandBits(field)} == 0) return 0;`,
  );
  const encode = one.immediate ? ENCODE[target.format] : undefined;
  const parts = [hex(target.match)];
  if (one.rd !== undefined) parts.push(`(${operandBits(one.rd)} << 7)`);
  if (one.rs1 !== undefined) parts.push(`(${operandBits(one.rs1)} << 15)`);
  if (one.rs2 !== undefined) parts.push(`(${operandBits(one.rs2)} << 20)`);
  if (encode) parts.push(encode);
  const imm = one.immediate ? `const imm: i32 = ${immediateBits(one.immediate)}; ` : '';
  return `  if ((c & ${hex(one.mask)}) == ${hex(one.match)}) { ${imm}${refuse.join(' ')} return ${parts.join(' | ')}; } // ${one.name}`;
}

/** The source of `decode.ts`: `expandCompressed` and `decodeInto`, tried in buckets of the major opcode. */
export function generateDecoder(): string {
  const buckets = new Map<number, Instruction[]>();
  for (const one of INSTRUCTIONS) {
    const major = (one.match >>> 2) & 31;
    buckets.set(major, [...(buckets.get(major) ?? []), one]);
  }
  const cases = [...buckets].map(
    ([major, list]) =>
      `    case ${major}: {\n${list
        .map(one => `      if ((bits & ${hex(one.mask)}) == ${hex(one.match)}) { ${fillRecord(one)} } // ${one.name}`)
        .join('\n')}\n      break;\n    }`,
  );
  const used = [...PSEUDO, ...INSTRUCTIONS.map(one => constantName(one.name))].map(name => `OP_${name}`);
  return `// Generated from engine/core/isa.ts.
import { ${used.join(', ')} } from './opcodes';
import { writeRecord, writeIllegal, immI, immS, immB, immJ, putI, putS, putB, putJ } from '../../assembly/record';

/** The 32-bit instruction that a 16-bit one stands for; 0 (itself illegal) when it is reserved. */
export function expandCompressed(c: u32): u32 {
${COMPRESSED.map(expandOne).join('\n')}
  return 0;
}

/** Decodes a 32-bit encoding into the record at \`at\`; \`size\` is the length in bytes of what was fetched. */
export function decodeInto(at: u32, bits: u32, size: u32): void {
  if ((bits & 3) != 3) return writeIllegal(at, size);
  const rd: u32 = (bits >> 7) & 31;
  const rs1: u32 = (bits >> 15) & 31;
  const rs2: u32 = (bits >> 20) & 31;
  const rm: u32 = (bits >> 12) & 7;
  switch ((bits >> 2) & 31) {
${cases.join('\n')}
  }
  writeIllegal(at, size);
}
`;
}
