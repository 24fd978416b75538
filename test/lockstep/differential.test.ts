// Our core against QEMU on generated programs. A run is repeated with SEED=..., and made longer with COUNT=... (the
// instructions to execute in all): `SEED=7 COUNT=20000000 npx vitest run test/lockstep`.
import { describe, expect, it } from 'vitest';
import { Assembler } from '../framework/assembler.ts';
import { compareCases, compareGenerated, generateCases, type Outcome, runOurs } from './compare.ts';
import { generatedNames } from './generate.ts';
import { casesOf, illegalHalfwords, illegalWords } from './illegal.ts';
import { buildProgram, ENVIRONMENTS, MAX_BLOCKS, registerSets } from './program.ts';

const SEED = Number(process.env.SEED ?? 1);
const COUNT = Number(process.env.COUNT ?? 1_200_000);

/** Instructions that a block executes on average, a little less than the truth. */
const PER_BLOCK = 27;
const MACHINE = ENVIRONMENTS[0]!;

describe('generated programs leave the same registers, memory and traps as in QEMU', () => {
  for (const [place, environment] of ENVIRONMENTS.entries()) {
    const wanted = Math.ceil(COUNT / ENVIRONMENTS.length);
    it(`${environment.name}, ${wanted} instructions`, { timeout: 60_000 + COUNT / 20 }, async () => {
      let executed = 0;
      const drawn = new Map<string, number>();
      for (let round = 0; executed < wanted; round++) {
        const blocks = Math.min(MAX_BLOCKS, Math.ceil((wanted - executed) / PER_BLOCK) + 1);
        const outcome = await compareGenerated(SEED + round * 1000 + place, blocks, environment);
        expect(outcome.difference).toBeUndefined();
        executed += outcome.executed;
        for (const [name, times] of outcome.drawn) drawn.set(name, (drawn.get(name) ?? 0) + times);
      }
      if (wanted >= 100_000) expect(neverDrawn(drawn, environment.mode)).toEqual([]);
    });
  }
});

/** What only user mode may execute without leaving its block, where it is illegal. */
const USER_ONLY = ['mret', 'sret', 'wfi'];

function neverDrawn(drawn: Outcome['drawn'], mode: string): string[] {
  const wanted = [...generatedNames()].filter(name => mode === 'U' || !USER_ONLY.includes(name));
  return wanted.filter(name => !drawn.has(name));
}

describe('encodings that are no instruction', () => {
  it('of 16 bits trap as in QEMU', async () => {
    const halfwords = illegalHalfwords();
    const outcome = await compareCases(casesOf(halfwords, 2), SEED, MACHINE);
    expect(outcome.difference).toBeUndefined();
    expect(outcome.traps).toBe(halfwords.length);
  });

  it('of 32 bits trap as in QEMU', async () => {
    const words = illegalWords();
    for (let at = 0; at < words.length; at += 100_000) {
      const part = words.slice(at, at + 100_000);
      const outcome = await compareCases(casesOf(part, 4), SEED, MACHINE);
      expect(outcome.difference).toBeUndefined();
      expect(outcome.traps).toBe(part.length);
    }
  });
});

describe('the comparison itself', () => {
  it('finds the block with a wrong instruction and takes the others out of it', async () => {
    const units = ['add a0, a0, a1', 'sub a1, a1, a2', 'mul a2, a2, a3'].map(assembled);
    const harmless = [units[0]!, units[2]!];
    const cases = [harmless, units, harmless].map(each => ({ units: each, set: 3, pattern: 0 }));
    // Our core finds ADD wherever the program says SUB.
    const outcome = await compareCases(cases, SEED, MACHINE, image => {
      const view = new DataView(image.buffer);
      for (let at = 0; at < image.length; at += 4)
        if (view.getUint32(at, true) === units[1]!.bits) view.setUint32(at, assembled('add a1, a1, a2').bits, true);
    });
    expect(outcome.difference).toContain('Block 1 of seed');
    expect(outcome.difference).toContain('a1: ours');
    expect(outcome.difference).toContain('sub a1, a1, a2');
    expect(outcome.difference).not.toContain('mul');
    expect(outcome.difference).not.toContain('add');
  });
});

function assembled(text: string): { bits: number; size: 4; fixed: boolean } {
  const bytes = new Assembler(0).text(text).build();
  return { bits: new DataView(bytes.buffer).getUint32(0, true), size: 4, fixed: false };
}

describe('how many instructions the core runs at a time', () => {
  it('does not change what they do', async () => {
    for (const environment of ENVIRONMENTS) {
      const cases = generateCases(SEED, 300, environment);
      const { image } = buildProgram(cases, registerSets(SEED, environment), environment);
      const whole = await runOurs(image, cases.length);
      for (const slice of [1, 2, 7, 113]) {
        const sliced = await runOurs(image, cases.length, slice);
        expect(sliced.retired).toBe(whole.retired);
        expect(Buffer.compare(sliced.ram, whole.ram)).toBe(0);
      }
    }
  });
});
