import { describe, expect, it } from 'vitest';
import { COMPRESSED, INSTRUCTIONS } from '../../engine/core/isa.ts';
import { Random } from '../contract/random.ts';
import { Assembler } from './assembler.ts';
import { disassemble } from './disassembler.ts';
import { decode, encode, encodeCompressed } from './encode.ts';

const halfword = (bytes: Uint8Array) => bytes[0]! | (bytes[1]! << 8);
const word = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(0, true);

describe('encodings', () => {
  it('of 32 bits hold their operands', () => {
    const random = new Random(1);
    for (const { name, format, mask, match, rounding } of INSTRUCTIONS) {
      for (let round = 0; round < 50; round++) {
        const bits = ((random.word() & ~mask) | match) >>> 0;
        const decoded = decode(bits);
        if (!decoded && rounding) continue;
        // FENCE ignores fields that it may have: only those of the usual form are kept.
        if (format === 'fence' || (format === 'none' && mask !== 0xffffffff)) continue;
        expect(encode(name, decoded!.operands).toString(16), name).toBe(bits.toString(16));
      }
    }
  });

  it('of 16 bits hold their operands', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const decoded = (bits & 3) === 3 ? undefined : decode(bits);
      if (decoded) expect(encodeCompressed(decoded.name, decoded.operands), decoded.name).toBe(bits);
    }
  });

  it('have a text that assembles to the same bits', () => {
    const random = new Random(2);
    for (const { name, mask, match, format } of INSTRUCTIONS) {
      for (let round = 0; round < 20; round++) {
        const bits = ((random.word() & ~mask) | match) >>> 0;
        if (!decode(bits) || format === 'fence' || name === 'fence.i') continue;
        const text = disassemble(bits).replace('. + ', '');
        expect(word(new Assembler(0).text(text).build()).toString(16), text).toBe(bits.toString(16));
      }
    }
  });

  it('are those of the specification', () => {
    // From the listings of the unprivileged specification, worked out by hand.
    const known: [string, number][] = [
      ['addi a0, a1, -1', 0xfff58513],
      ['sd ra, 8(sp)', 0x00113423],
      ['beq a0, a1, -4', 0xfeb50ee3],
      ['jal ra, 2048', 0x001000ef],
      ['lui t0, 0x80000000', 0x800002b7],
      ['csrrw zero, mstatus, t0', 0x30029073],
      ['amoadd.w.aq.rl a0, a1, (a2)', 0x06b6252f],
      ['fmadd.d f0, f1, f2, f3, rne', 0x1a208043],
      ['srai a0, a0, 63', 0x43f55513],
    ];
    for (const [text, bits] of known) expect(word(new Assembler(0).text(text).build()), text).toBe(bits);
    const compressed: [string, number][] = [
      ['c.addi a0, -1', 0x157d],
      ['c.ldsp ra, 8', 0x60a2],
      ['c.jr ra', 0x8082],
      ['c.li a5, 31', 0x47fd],
      ['c.addi16sp -16', 0x717d],
    ];
    for (const [text, bits] of compressed) expect(halfword(new Assembler(0).text(text).build()), text).toBe(bits);
  });

  it('of compressed instructions stand for instructions of the table', () => {
    for (const one of COMPRESSED)
      expect(
        INSTRUCTIONS.some(each => each.name === one.expands),
        one.name,
      ).toBe(true);
  });
});

describe('constants', () => {
  it('are what LI leaves in a register', () => {
    const random = new Random(3);
    const values = [
      0n,
      -1n,
      2047n,
      2048n,
      -2049n,
      0x7fffffffn,
      0x80000000n,
      -0x80000000n,
      1n << 63n,
      0x8000_0000_0000_0800n,
    ];
    for (let round = 0; round < 200; round++) values.push((BigInt(random.word()) << 32n) | BigInt(random.word()));
    for (const value of values) {
      const bytes = new Assembler(0).li(5, value).build();
      let register = 0n;
      for (let at = 0; at < bytes.length; at += 4) {
        const { name, operands } = decode(word(bytes.slice(at, at + 4)))!;
        const imm = BigInt(operands.imm);
        const start = operands.rs1 === 0 ? 0n : register;
        if (name === 'lui') register = imm;
        else if (name === 'slli') register = BigInt.asIntN(64, register << imm);
        else if (name === 'addiw') register = BigInt.asIntN(32, register + imm);
        else register = BigInt.asIntN(64, start + imm);
      }
      expect(register).toBe(BigInt.asIntN(64, value));
    }
  });
});
