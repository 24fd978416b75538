import { compressedNamed, encode, encodeCompressed, type Operands } from './encode.ts';
import { assembleStatement } from './syntax.ts';

/** Where a label's address goes once it is known. */
interface Fixup {
  readonly at: number;
  readonly label: string;
  readonly line: string;
  readonly patch: (address: number, pc: number) => void;
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

  /** Zero bytes. */
  space(size: number): this {
    this.#extend(size);
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
        assembleStatement(this, line);
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
}
