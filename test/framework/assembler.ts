import { compressedNamed, encode, encodeCompressed, instructionNamed, type Operands } from './encode.ts';
import { CSRS, ROUNDING_NAMES, registerNumber } from './registers.ts';

/** Where a label's address goes once it is known. */
interface Fixup {
  readonly at: number;
  readonly label: string;
  readonly line: string;
  readonly patch: (address: number, pc: number) => void;
}

const NUMBER = /^-?(0x[0-9a-f]+|\d+)$/i;

function numberOf(text: string): bigint {
  if (!NUMBER.test(text)) throw new Error(`Not a number: ${text}`);
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

/**
 * A small assembler for test programs, driven by the instruction table: the usual syntax, one statement a line, `name:`
 * for labels, `#` for comments, the directives .half .word .dword .space .align .org, and the pseudo-instructions
 * li la j jr call ret nop mv not neg csrr csrw csrs csrc csrwi csrsi csrci beqz bnez.
 */
export class Assembler {
  readonly base: number;
  #bytes = new Uint8Array(4096);
  #length = 0;
  readonly #labels = new Map<string, number>();
  readonly #fixups: Fixup[] = [];
  #unique = 0;

  /** @param base address of the first byte */
  constructor(base: number) {
    this.base = base;
  }

  /** Address of the next byte. */
  get here(): number {
    return this.base + this.#length;
  }

  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`Label ${name} is there twice`);
    this.#labels.set(name, this.here);
    return this;
  }

  /** A label name that nothing else has. */
  fresh(prefix = 'l'): string {
    return `.${prefix}${this.#unique++}`;
  }

  /** Address of a label that was already met. */
  address(name: string): number {
    const address = this.#labels.get(name);
    if (address === undefined) throw new Error(`No label is called ${name}`);
    return address;
  }

  emit(name: string, operands: Operands = {}): this {
    return compressedNamed(name) ? this.half(encodeCompressed(name, operands)) : this.word(encode(name, operands));
  }

  half(bits: number): this {
    const at = this.#extend(2);
    new DataView(this.#bytes.buffer).setUint16(at, bits & 0xffff, true);
    return this;
  }

  word(bits: number): this {
    const at = this.#extend(4);
    new DataView(this.#bytes.buffer).setUint32(at, bits >>> 0, true);
    return this;
  }

  dword(value: bigint): this {
    const at = this.#extend(8);
    new DataView(this.#bytes.buffer).setBigUint64(at, BigInt.asUintN(64, value), true);
    return this;
  }

  /** Zero bytes up to an address. */
  org(address: number): this {
    if (address < this.here) throw new Error(`0x${address.toString(16)} is already taken`);
    this.#extend(address - this.here);
    return this;
  }

  align(to: number): this {
    return this.org(Math.ceil(this.here / to) * to);
  }

  /** Loads a constant in as few instructions as the usual scheme needs. */
  li(rd: number, value: bigint): this {
    const wanted = BigInt.asIntN(64, value);
    if (wanted >= -2048n && wanted < 2048n) return this.emit('addi', { rd, rs1: 0, imm: Number(wanted) });
    const low = Number(BigInt.asIntN(12, wanted));
    if (wanted >= -0x80000000n && wanted < 0x80000000n) {
      this.emit('lui', { rd, imm: Number(BigInt.asIntN(32, wanted - BigInt(low))) });
      return low === 0 ? this : this.emit('addiw', { rd, rs1: rd, imm: low });
    }
    let high = BigInt.asIntN(64, wanted - BigInt(low)) >> 12n;
    let shift = 12;
    while ((high & 1n) === 0n) {
      high >>= 1n;
      shift++;
    }
    this.li(rd, high);
    this.emit('slli', { rd, rs1: rd, imm: shift });
    return low === 0 ? this : this.emit('addi', { rd, rs1: rd, imm: low });
  }

  /** Loads the address of a label. */
  la(rd: number, label: string): this {
    const at = this.#extend(8);
    this.#fixup(at, label, `la ${label}`, (address, pc) => {
      const distance = address - pc;
      const low = (distance << 20) >> 20;
      this.#patch(at, encode('auipc', { rd, imm: (distance - low) | 0 }));
      this.#patch(at + 4, encode('addi', { rd, rs1: rd, imm: low }));
    });
    return this;
  }

  /** A branch or jump to a label. */
  jump(name: string, operands: Operands, label: string): this {
    const compressed = compressedNamed(name) !== undefined;
    const at = this.#extend(compressed ? 2 : 4);
    this.#fixup(at, label, `${name} ${label}`, (address, pc) => {
      const all = { ...operands, imm: address - pc };
      if (compressed) new DataView(this.#bytes.buffer).setUint16(at, encodeCompressed(name, all), true);
      else this.#patch(at, encode(name, all));
    });
    return this;
  }

  /** Assembles source text. */
  text(source: string): this {
    for (const raw of source.split('\n')) {
      let line = raw.replace(/#.*/, '').trim();
      for (let match = /^([.\w]+):\s*/.exec(line); match; match = /^([.\w]+):\s*/.exec(line)) {
        this.label(match[1]!);
        line = line.slice(match[0].length);
      }
      if (line === '') continue;
      try {
        this.#statement(line);
      } catch (cause) {
        throw new Error(`Cannot assemble: ${line}`, { cause });
      }
    }
    return this;
  }

  /** The finished bytes, from `base` on. */
  build(): Uint8Array {
    for (const fixup of this.#fixups) {
      try {
        fixup.patch(this.address(fixup.label), this.base + fixup.at);
      } catch (cause) {
        throw new Error(`Cannot assemble: ${fixup.line}`, { cause });
      }
    }
    return this.#bytes.slice(0, this.#length);
  }

  #extend(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }

  #patch(at: number, bits: number): void {
    new DataView(this.#bytes.buffer).setUint32(at, bits, true);
  }

  #fixup(at: number, label: string, line: string, patch: Fixup['patch']): void {
    this.#fixups.push({ at, label, line, patch });
  }

  #statement(line: string): void {
    const match = /^(\S+)\s*(.*)$/.exec(line)!;
    const name = match[1]!;
    const operands = match[2] === '' ? [] : match[2]!.split(',').map(each => each.trim());
    if (name.startsWith('.')) this.#directive(name, operands);
    else if (this.#pseudo(name, operands)) return;
    else if (compressedNamed(name)) this.#compressed(name, operands);
    else this.#instruction(name, operands);
  }

  #directive(name: string, values: string[]): void {
    switch (name) {
      case '.half':
        for (const value of values) this.half(Number(numberOf(value)));
        return;
      case '.word':
        for (const value of values) this.word(Number(BigInt.asUintN(32, numberOf(value))));
        return;
      case '.dword':
        for (const value of values) this.dword(numberOf(value));
        return;
      case '.space':
        this.#extend(Number(numberOf(values[0]!)));
        return;
      case '.align':
        this.align(Number(numberOf(values[0]!)));
        return;
      case '.org':
        this.org(Number(numberOf(values[0]!)));
        return;
      default:
        throw new Error(`No directive is called ${name}`);
    }
  }

  #pseudo(name: string, operands: string[]): boolean {
    const [a = '', b = ''] = operands;
    const x = (text: string) => registerNumber(text);
    switch (name) {
      case 'li':
        this.li(x(a), numberOf(b));
        return true;
      case 'la':
        this.la(x(a), b);
        return true;
      case 'j':
        this.jump('jal', { rd: 0 }, a);
        return true;
      case 'call':
        this.jump('jal', { rd: 1 }, a);
        return true;
      case 'jr':
        this.emit('jalr', { rd: 0, rs1: x(a) });
        return true;
      case 'ret':
        this.emit('jalr', { rd: 0, rs1: 1 });
        return true;
      case 'nop':
        this.emit('addi');
        return true;
      case 'mv':
        this.emit('addi', { rd: x(a), rs1: x(b) });
        return true;
      case 'not':
        this.emit('xori', { rd: x(a), rs1: x(b), imm: -1 });
        return true;
      case 'neg':
        this.emit('sub', { rd: x(a), rs2: x(b) });
        return true;
      case 'beqz':
      case 'bnez':
        this.jump(name === 'beqz' ? 'beq' : 'bne', { rs1: x(a) }, b);
        return true;
      case 'csrr':
        this.emit('csrrs', { rd: x(a), csr: csrNumber(b) });
        return true;
      case 'csrw':
      case 'csrs':
      case 'csrc':
        this.emit(`csrr${name.at(-1)}`, { csr: csrNumber(a), rs1: x(b) });
        return true;
      case 'csrwi':
      case 'csrsi':
      case 'csrci':
        this.emit(`csrr${name.slice(3)}`, { csr: csrNumber(a), imm: Number(numberOf(b)) });
        return true;
      default:
        return false;
    }
  }

  /** Compressed instructions take their operands as `rd, rs1, rs2, imm` in the order in which the table has them. */
  #compressed(name: string, texts: string[]): void {
    const one = compressedNamed(name)!;
    const files = instructionNamed(one.expands).files;
    const fields: Record<string, number> = {};
    let next = 0;
    for (const field of ['rd', 'rs1', 'rs2'] as const) {
      if (typeof one[field] !== 'string') continue;
      if (field === 'rs1' && one.rs1 === one.rd) fields.rs1 = fields.rd!;
      else fields[field] = registerNumber(texts[next++] ?? '', files[field]);
    }
    if (!one.immediate) return void this.emit(name, fields);
    const immediate = texts[next] ?? '';
    if (NUMBER.test(immediate)) return void this.emit(name, { ...fields, imm: Number(numberOf(immediate)) });
    this.jump(name, fields, immediate);
  }

  #instruction(full: string, texts: string[]): void {
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
        this.emit(name, {
          rd: registerNumber(a, rdFile),
          rs1: registerNumber(b, rs1File),
          rs2: registerNumber(c, rs2File),
          ...rounding(d),
        });
        return;
      case 'r4':
        this.emit(name, {
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
        this.emit(name, { rd: registerNumber(a), rs1: registerNumber(b), imm: Number(numberOf(c)) });
        return;
      case 'load':
      case 'jalr':
        this.emit(name, { rd: registerNumber(a, rdFile), ...memory(b) });
        return;
      case 'store':
        this.emit(name, { rs2: registerNumber(a, rs2File), ...memory(b) });
        return;
      case 'branch': {
        const registers = { rs1: registerNumber(a), rs2: registerNumber(b) };
        if (NUMBER.test(c)) this.emit(name, { ...registers, imm: Number(numberOf(c)) });
        else this.jump(name, registers, c);
        return;
      }
      case 'u':
        this.emit(name, { rd: registerNumber(a), imm: Number(BigInt.asIntN(32, numberOf(b))) });
        return;
      case 'jal':
        if (NUMBER.test(b)) this.emit(name, { rd: registerNumber(a), imm: Number(numberOf(b)) });
        else this.jump(name, { rd: registerNumber(a) }, b);
        return;
      case 'unary':
        this.emit(name, { rd: registerNumber(a, rdFile), rs1: registerNumber(b, rs1File), ...rounding(c) });
        return;
      case 'amo': {
        const reserved = name.startsWith('lr.');
        this.emit(name, {
          rd: registerNumber(a),
          rs1: memory(reserved ? b : c).rs1,
          rs2: reserved ? 0 : registerNumber(b),
          ...order,
        });
        return;
      }
      case 'csr':
        this.emit(name, { rd: registerNumber(a), csr: csrNumber(b), rs1: registerNumber(c) });
        return;
      case 'csri':
        this.emit(name, { rd: registerNumber(a), csr: csrNumber(b), imm: Number(numberOf(c)) });
        return;
      case 'sfence':
        this.emit(name, { rs1: registerNumber(a || 'zero'), rs2: registerNumber(b || 'zero') });
        return;
      case 'fence':
      case 'none':
        this.emit(name);
        return;
    }
  }
}

function csrNumber(text: string): number {
  const number = NUMBER.test(text) ? Number(numberOf(text)) : CSRS[text];
  if (number === undefined) throw new Error(`No CSR is called ${text}`);
  return number;
}
