// What the assembler's text means.
import type { Assembler } from './assembler.ts';
import { compressedNamed, instructionNamed } from './encode.ts';
import { CSRS, ROUNDING_NAMES, registerNumber } from './registers.ts';

const NUMBER = /^-?(0x[0-9a-f]+|\d+)$/i;

function numberOf(text: string): bigint {
  if (!NUMBER.test(text)) throw new Error(`Not a number: ${text}`);
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

/** Assembles one statement, without label and comment. */
export function assembleStatement(to: Assembler, line: string): void {
  const match = /^(\S+)\s*(.*)$/.exec(line)!;
  const name = match[1]!;
  const operands = match[2] === '' ? [] : match[2]!.split(',').map(each => each.trim());
  if (name.startsWith('.')) directive(to, name, operands);
  else if (pseudo(to, name, operands)) return;
  else if (compressedNamed(name)) compressed(to, name, operands);
  else instruction(to, name, operands);
}

function directive(to: Assembler, name: string, values: string[]): void {
  switch (name) {
    case '.half':
      for (const value of values) to.half(Number(numberOf(value)));
      return;
    case '.word':
      for (const value of values) to.word(Number(BigInt.asUintN(32, numberOf(value))));
      return;
    case '.dword':
      for (const value of values) to.dword(numberOf(value));
      return;
    case '.space':
      to.space(Number(numberOf(values[0]!)));
      return;
    case '.align':
      to.align(Number(numberOf(values[0]!)));
      return;
    case '.org':
      to.org(Number(numberOf(values[0]!)));
      return;
    default:
      throw new Error(`No directive is called ${name}`);
  }
}

function pseudo(to: Assembler, name: string, operands: string[]): boolean {
  const [a = '', b = ''] = operands;
  const x = (text: string) => registerNumber(text);
  switch (name) {
    case 'li':
      to.li(x(a), numberOf(b));
      return true;
    case 'la':
      to.la(x(a), b);
      return true;
    case 'j':
      to.jump('jal', { rd: 0 }, a);
      return true;
    case 'call':
      to.jump('jal', { rd: 1 }, a);
      return true;
    case 'jr':
      to.emit('jalr', { rd: 0, rs1: x(a) });
      return true;
    case 'ret':
      to.emit('jalr', { rd: 0, rs1: 1 });
      return true;
    case 'nop':
      to.emit('addi');
      return true;
    case 'mv':
      to.emit('addi', { rd: x(a), rs1: x(b) });
      return true;
    case 'not':
      to.emit('xori', { rd: x(a), rs1: x(b), imm: -1 });
      return true;
    case 'neg':
      to.emit('sub', { rd: x(a), rs2: x(b) });
      return true;
    case 'beqz':
    case 'bnez':
      to.jump(name === 'beqz' ? 'beq' : 'bne', { rs1: x(a) }, b);
      return true;
    case 'csrr':
      to.emit('csrrs', { rd: x(a), csr: csrNumber(b) });
      return true;
    case 'csrw':
    case 'csrs':
    case 'csrc':
      to.emit(`csrr${name.at(-1)}`, { csr: csrNumber(a), rs1: x(b) });
      return true;
    case 'csrwi':
    case 'csrsi':
    case 'csrci':
      to.emit(`csrr${name.slice(3)}`, { csr: csrNumber(a), imm: Number(numberOf(b)) });
      return true;
    default:
      return false;
  }
}

/** Compressed instructions take their operands as `rd, rs1, rs2, imm` in the order in which the table has them. */
function compressed(to: Assembler, name: string, texts: string[]): void {
  const one = compressedNamed(name)!;
  const files = instructionNamed(one.expands).files;
  const fields: Record<string, number> = {};
  let next = 0;
  for (const field of ['rd', 'rs1', 'rs2'] as const) {
    if (typeof one[field] !== 'string') continue;
    if (field === 'rs1' && one.rs1 === one.rd) fields.rs1 = fields.rd!;
    else fields[field] = registerNumber(texts[next++] ?? '', files[field]);
  }
  if (!one.immediate) return void to.emit(name, fields);
  const immediate = texts[next] ?? '';
  if (NUMBER.test(immediate)) return void to.emit(name, { ...fields, imm: Number(numberOf(immediate)) });
  to.jump(name, fields, immediate);
}

function instruction(to: Assembler, full: string, texts: string[]): void {
  const name = full.replace(/(\.aq)?(\.rl)?$/, '');
  const one = instructionNamed(name);
  const { rd: rdFile, rs1: rs1File, rs2: rs2File } = one.files;
  const [a = '', b = '', c = '', d = '', e = ''] = texts;
  const rounding = (text: string): { rm: number } => {
    const rm = text === '' ? 7 : ROUNDING_NAMES.indexOf(text);
    if (rm < 0) throw new Error(`No rounding mode is called ${text}`);
    return { rm };
  };
  const memory = (text: string): { imm: number; rs1: number } => {
    const match = /^(-?\w*)\((\w+)\)$/.exec(text);
    if (!match) throw new Error(`Not an address: ${text}`);
    return { imm: match[1] === '' ? 0 : Number(numberOf(match[1]!)), rs1: registerNumber(match[2]!) };
  };
  const order = { aq: /\.aq/.test(full), rl: /\.rl$/.test(full) };
  switch (one.format) {
    case 'r':
      to.emit(name, {
        rd: registerNumber(a, rdFile),
        rs1: registerNumber(b, rs1File),
        rs2: registerNumber(c, rs2File),
        ...rounding(d),
      });
      return;
    case 'r4':
      to.emit(name, {
        rd: registerNumber(a, 'f'),
        rs1: registerNumber(b, 'f'),
        rs2: registerNumber(c, 'f'),
        rs3: registerNumber(d, 'f'),
        ...rounding(e),
      });
      return;
    case 'i':
    case 'shift6':
    case 'shift5':
      to.emit(name, { rd: registerNumber(a), rs1: registerNumber(b), imm: Number(numberOf(c)) });
      return;
    case 'load':
    case 'jalr':
      to.emit(name, { rd: registerNumber(a, rdFile), ...memory(b) });
      return;
    case 'store':
      to.emit(name, { rs2: registerNumber(a, rs2File), ...memory(b) });
      return;
    case 'branch': {
      const registers = { rs1: registerNumber(a), rs2: registerNumber(b) };
      if (NUMBER.test(c)) to.emit(name, { ...registers, imm: Number(numberOf(c)) });
      else to.jump(name, registers, c);
      return;
    }
    case 'u':
      to.emit(name, { rd: registerNumber(a), imm: Number(BigInt.asIntN(32, numberOf(b))) });
      return;
    case 'jal':
      if (NUMBER.test(b)) to.emit(name, { rd: registerNumber(a), imm: Number(numberOf(b)) });
      else to.jump(name, { rd: registerNumber(a) }, b);
      return;
    case 'unary':
      to.emit(name, { rd: registerNumber(a, rdFile), rs1: registerNumber(b, rs1File), ...rounding(c) });
      return;
    case 'amo': {
      const reserved = name.startsWith('lr.');
      to.emit(name, {
        rd: registerNumber(a),
        rs1: memory(reserved ? b : c).rs1,
        rs2: reserved ? 0 : registerNumber(b),
        ...order,
      });
      return;
    }
    case 'csr':
      to.emit(name, { rd: registerNumber(a), csr: csrNumber(b), rs1: registerNumber(c) });
      return;
    case 'csri':
      to.emit(name, { rd: registerNumber(a), csr: csrNumber(b), imm: Number(numberOf(c)) });
      return;
    case 'sfence':
      to.emit(name, { rs1: registerNumber(a || 'zero'), rs2: registerNumber(b || 'zero') });
      return;
    case 'fence':
    case 'none':
      to.emit(name);
      return;
  }
}

function csrNumber(text: string): number {
  const number = NUMBER.test(text) ? Number(numberOf(text)) : CSRS[text];
  if (number === undefined) throw new Error(`No CSR is called ${text}`);
  return number;
}
