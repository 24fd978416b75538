// Random accesses through page tables that change all the time, compared with QEMU: what one access leaves in the TLBs
// must not be seen by the next in another mode, with other rights, or after a change that a fence has announced.
// `SEED=... npx vitest run test/cpu/translation-random` repeats a run.
import { Random } from '../contract/random.ts';
import { type PageTables, PTE, SV39, SV48 } from '../framework/page-tables.ts';
import type { Mode, Scenario } from './scenario.ts';
import { Suite } from './suite.ts';

const SEED = Number(process.env.SEED ?? 1);
const STEPS = 500;

const { V, R, W, X, U, A, D } = PTE;
const VA = 0x1000000000n;
const PAGES = 12;
const FRAMES = 5;
const SUM = 1n << 18n;
const MXR = 1n << 19n;
const MPRV = 1n << 17n;

/** A call to the environment in every word, so that code may be fetched wherever a word begins. */
const FILLING = 0x0000_0073_0000_0073n;

class Walk {
  readonly #random: Random;
  readonly #s: Scenario;
  readonly #tables: readonly PageTables[];
  readonly #frames: number;
  /** The tables in use. */
  #current = 0;
  /** The page that is used most now. */
  #hot = 0;

  constructor(s: Scenario, random: Random, scheme: typeof SV39 | typeof SV48) {
    this.#s = s;
    this.#random = random;
    this.#tables = [s.tables(scheme), s.tables(scheme)];
    this.#frames = s.pages(FRAMES);
    for (let at = 0; at < FRAMES * 4096; at += 8) s.put(this.#frames + at, FILLING);
    for (const tables of this.#tables) {
      for (let page = 0; page < PAGES; page++) {
        tables.map(VA + BigInt(page) * 4096n, 0, 0);
        tables.write(tables.entryAddress(VA + BigInt(page) * 4096n), this.#entry());
      }
    }
    s.useTables(this.#tables[0]!).text('li s2, 0x7300000073');
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      const draw = this.#random.below(10);
      if (draw === 0) this.#remap(step);
      else if (draw === 1) this.#toggle();
      else if (draw === 2 && this.#random.below(4) === 0) this.#switch();
      else this.#access(`step ${step}`);
    }
    for (let at = 0; at < FRAMES * 4096; at += 4096) {
      // A sum of each frame: stores must have gone where QEMU's went.
      const loop = this.#s.fresh('sum');
      this.#s.text(`li a0, 0\nli a1, ${this.#frames + at}\nli a2, ${this.#frames + at + 4096}`);
      this.#s.text(
        `${loop}: ld a3, 0(a1)\nslli a4, a0, 5\nadd a0, a0, a4\nxor a0, a0, a3\naddi a1, a1, 8\nbltu a1, a2, ${loop}`,
      );
      this.#s.compare(`frame ${at / 4096}`, 'a0');
    }
  }

  /** A leaf of any rights, or none. A and D are set: QEMU 7.2 sets them always, we only when told to. */
  #entry(): bigint {
    const rights = this.#random.pick([R, R | W, X, R | X, R | W | X, R | W | X, R | W, 0]);
    const flags = rights === 0 ? 0 : V | rights | A | D | (this.#random.below(2) ? U : 0);
    const frame = this.#frames / 4096 + this.#random.below(FRAMES);
    return (BigInt(frame) << 10n) | BigInt(flags);
  }

  /** Often the same few, so that what is changed has been used, and is used again. */
  #page(): bigint {
    if (this.#random.below(30) === 0) this.#hot = this.#random.below(PAGES);
    const page = this.#random.below(3) ? this.#hot : this.#random.below(PAGES);
    return VA + BigInt(page) * 4096n;
  }

  #remap(step: number): void {
    const page = this.#page();
    const entry = this.#tables[this.#current]!.entryAddress(page);
    this.#s.text(`li t5, ${entry}\nli t6, ${this.#entry()}\nsd t6, 0(t5)`);
    const within = page + BigInt(this.#random.below(4096));
    if (this.#random.below(3) === 0) this.#s.text('sfence.vma');
    else if (this.#random.below(2) === 0) this.#s.text(`li t5, ${within}\nsfence.vma t5, zero`);
    else this.#s.text(`li t5, ${within}`).attempt('S', 'sfence.vma t5, zero').expectDone(`fence in step ${step}`, 'S');
  }

  #toggle(): void {
    const bit = this.#random.pick([SUM, MXR]);
    if (this.#random.below(2)) this.#s.set('mstatus', bit);
    else this.#s.clear('mstatus', bit);
  }

  #switch(): void {
    this.#current = 1 - this.#current;
    this.#s.useTables(this.#tables[this.#current]!);
  }

  #access(what: string): void {
    const mode = this.#random.pick<Mode>(['U', 'S', 'S', 'M']);
    const near = this.#random.below(3) === 0 ? 4096 - this.#random.below(8) : this.#random.below(1024) * 4;
    const at = this.#page() + BigInt(Math.min(near, 4095));
    if (mode !== 'M' && this.#random.below(8) === 0) {
      this.#s
        .text('fence.i')
        .attempt(mode, '', at & ~3n)
        .compareTrap(`${what}, fetch in ${mode} at ${(at & ~3n).toString(16)}`);
      return;
    }
    const access = this.#random.pick([
      'ld a0, 0(a1)',
      'lw a0, 0(a1)',
      'lhu a0, 0(a1)',
      'lb a0, 0(a1)',
      'fld f1, 0(a1)',
      'sd s2, 0(a1)',
      'sw s2, 0(a1)',
      'sh s2, 0(a1)',
      'sb s2, 0(a1)',
      'lr.w a0, (a1)',
    ]);
    // M-mode goes through the tables with MPRV only; without it the address is no memory.
    const prefix =
      mode === 'M'
        ? `li t0, 0x1800\ncsrc mstatus, t0\nli t0, ${MPRV | (BigInt(this.#random.below(2)) << 11n)}\ncsrs mstatus, t0\n`
        : '';
    this.#s.text(`li a1, ${at}\nli a0, 0x55`).attempt(mode, prefix + access);
    this.#s.compareTrap(`${what}, ${access} in ${mode} at ${at.toString(16)}`).compare(`${what}: value`, 'a0');
  }
}

for (const [name, scheme] of [
  ['Sv39', SV39],
  ['Sv48', SV48],
] as const) {
  const suite = new Suite();
  for (let run = 0; run < 4; run++) {
    suite.add(`seed ${SEED + run}`, s => new Walk(s, new Random(SEED + run), scheme).run());
  }
  suite.define(`Random accesses with ${name}`);
}
