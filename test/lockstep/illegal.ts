// Every kind of encoding that is no instruction of ours, to be refused by any processor that has just the same.
import { decode } from '../framework/encode.ts';
import type { Case } from './program.ts';

/** Traps that a record describes in full. */
const PER_BLOCK = 6;

/** Major opcodes whose rs2 field selects among instructions: OP-IMM, OP-IMM-32, AMO, OP-32, OP-FP, SYSTEM. */
const SELECTING_BY_RS2 = new Set([0x13, 0x1b, 0x2f, 0x3b, 0x53, 0x73]);

/** All 16-bit encodings that are reserved. */
export function illegalHalfwords(): number[] {
  const found: number[] = [];
  for (let bits = 0; bits < 0x10000; bits++) if ((bits & 3) !== 3 && decode(bits) === undefined) found.push(bits);
  return found;
}

/** Reserved 32-bit encodings: all opcodes, funct3, funct7, and all of rs2 where it selects; the registers are fixed. */
export function illegalWords(): number[] {
  const found: number[] = [];
  for (let opcode = 3; opcode < 128; opcode += 4) {
    for (let fields = 0; fields < 1024; fields++) {
      for (let rs2 = 0; rs2 < 32; rs2 += SELECTING_BY_RS2.has(opcode) ? 1 : 21) {
        const bits =
          (opcode | (10 << 7) | ((fields & 7) << 12) | (11 << 15) | (rs2 << 20) | ((fields >> 3) << 25)) >>> 0;
        if (decode(bits) === undefined) found.push(bits);
      }
    }
  }
  return found;
}

/** Blocks that hold encodings one after the other. */
export function casesOf(encodings: readonly number[], size: 2 | 4): Case[] {
  const cases: Case[] = [];
  for (let at = 0; at < encodings.length; at += PER_BLOCK) {
    const units = encodings.slice(at, at + PER_BLOCK).map(bits => ({ bits, size, fixed: false }));
    cases.push({ units, set: 0, pattern: 0 });
  }
  return cases;
}
