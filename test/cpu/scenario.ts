// Directed programs for the processor: each states what the specification asks for, and runs on our core and in QEMU, so
// that a wrong expectation shows as well as a wrong core.
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../../engine/core/core.ts';
import { Assembler } from '../framework/assembler.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';
import { PageTables, PTE, type Scheme } from '../framework/page-tables.ts';
import { runInQemu } from '../framework/qemu.ts';

const RAM_BYTES = 64 << 20;
const SAVED = RAM_BASE + 0x8000;
const LOG = RAM_BASE + 0xa000;
const CODE = RAM_BASE + 0x20000;
const PAGES = RAM_BASE + 0x1000000;

/** Words of the page at SAVED. */
const SAVED_T5 = 0;
const CAUSE = 8;
const TVAL = 16;
const EPC = 24;
const STATUS = 32;
const RESUME = 40;
const FIRST = 48;
const LAST = 56;

/** What a slot holds before anything is written to it. */
const UNWRITTEN = 0xdead_dead_dead_deadn;

export type Mode = 'U' | 'S' | 'M';
const MODE_NUMBER = { U: 0n, S: 1n, M: 3n } as const;
const ECALL_CAUSE = { U: 8n, S: 9n, M: 11n } as const;

/** Where user mode finds the program when there are page tables: its pages may not be both the user's and the supervisor's. */
export const USER_ALIAS = 0x40000000n;

/** A number, or the address of a label and perhaps some bytes more. */
export type Value = bigint | number | string | { readonly label: string; readonly plus: bigint };

export interface ExpectOptions {
  /** Why QEMU's answer is another one and is not looked at. */
  readonly qemuDiffers?: string;
  /** Only these bits count. */
  readonly mask?: bigint;
}

export interface TrapExpectation extends ExpectOptions {
  readonly cause: bigint | number;
  readonly tval?: Value;
  /** Label or address; otherwise the first instruction of the attempt. */
  readonly epc?: Value;
}

interface Expectation extends ExpectOptions {
  readonly slot: number;
  readonly what: string;
  /** Undefined when the value is whatever QEMU finds. */
  readonly value: Value | undefined;
  readonly offset: bigint;
}

/**
 * One program. It starts in M-mode with everything off but the floating-point unit and a PMP entry that opens all
 * memory. t5 and t6 belong to the machinery outside of attempts.
 */
export class Scenario {
  readonly #suite: Suite;
  readonly #code: Assembler;
  readonly expectations: Expectation[] = [];
  /** Added to the address of code that user mode runs. */
  #alias = 0n;
  #lastAttempt = '';
  #lastAlias = 0n;

  constructor(suite: Suite, code: Assembler) {
    this.#suite = suite;
    this.#code = code;
  }

  /** Assembles code that runs in M-mode. Labels are the suite's: use `fresh`. */
  text(source: string): this {
    this.#code.text(source);
    return this;
  }

  fresh(prefix?: string): string {
    return this.#code.fresh(prefix);
  }

  /** Code beside the way of the program: a handler or a subroutine. Returns its label. */
  aside(source: string, align = 4): string {
    const over = this.fresh('over');
    const label = this.fresh('aside');
    this.text(`j ${over}\n.align ${align}`);
    this.#code.label(label).text(source);
    this.#code.align(4).label(over);
    return label;
  }

  /** Address of zeroed pages of RAM that are this scenario's alone. */
  pages(count: number): number {
    return this.#suite.allocate(count);
  }

  /** Sets a doubleword of the image. */
  put(address: number, value: bigint): this {
    new DataView(this.#suite.image.buffer).setBigUint64(address - RAM_BASE, BigInt.asUintN(64, value), true);
    return this;
  }

  /** Puts assembled code into the image. It must not depend on where it is. */
  putCode(address: number, source: string): this {
    this.#suite.image.set(new Assembler(address).text(source).build(), address - RAM_BASE);
    return this;
  }

  /** Page tables that map the program for the supervisor at its own addresses and for the user at the alias. */
  tables(scheme: Scheme): PageTables {
    const tables = new PageTables(this.#suite.image, this.pages(24), scheme);
    const flags = PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D;
    for (let at: number = RAM_BASE; at < PAGES; at += 2 << 20) {
      tables.map(BigInt(at), at, flags, 1);
      tables.map(BigInt(at) + USER_ALIAS, at, flags | PTE.U, 1);
    }
    this.#alias = USER_ALIAS;
    return tables;
  }

  /** Turns translation on. Clobbers t5. */
  useTables(tables: PageTables): this {
    return this.text(`li t5, ${tables.satp}\ncsrw satp, t5\nsfence.vma`);
  }

  /** Sets or clears bits of a CSR. Clobbers t5. */
  set(csr: string, bits: bigint): this {
    return this.text(`li t5, ${bits}\ncsrs ${csr}, t5`);
  }

  clear(csr: string, bits: bigint): this {
    return this.text(`li t5, ${bits}\ncsrc ${csr}, t5`);
  }

  write(csr: string, value: bigint | number | string): this {
    return this.text(`${typeof value === 'string' ? 'la' : 'li'} t5, ${value}\ncsrw ${csr}, t5`);
  }

  /**
   * Runs code in a mode until it traps into M-mode or comes to its end, which is an ECALL. Afterwards the program goes
   * on in M-mode with interrupts off. `at` runs what is at an address instead.
   */
  attempt(mode: Mode, source: string, at?: bigint | number | string): this {
    const after = this.fresh('after');
    const body = this.fresh('body');
    this.#lastAttempt = body;
    this.#lastAlias = mode === 'U' && at === undefined ? this.#alias : 0n;
    this.text(`
      li t6, ${SAVED}
      la t5, ${after}
      sd t5, ${RESUME}(t6)
      li t5, 0x1800
      csrc mstatus, t5
      li t5, ${MODE_NUMBER[mode] << 11n}
      csrs mstatus, t5
      ${at === undefined ? `la t5, ${body}` : `${typeof at === 'string' ? 'la' : 'li'} t5, ${at}`}
      li t6, ${this.#lastAlias}
      add t5, t5, t6
      csrw mepc, t5
      mret
    `);
    this.#code.align(4).label(body).text(source).text('ecall').align(4).label(after);
    return this;
  }

  /** The label at the first instruction of the last attempt. */
  get lastAttempt(): string {
    return this.#lastAttempt;
  }

  /** The address some bytes behind that. */
  after(bytes: number): Value {
    return { label: this.#lastAttempt, plus: BigInt(bytes) };
  }

  /** The last attempt came to its end. */
  expectDone(what: string, mode: Mode, options: ExpectOptions = {}): this {
    return this.expectSaved(`${what}: cause`, CAUSE, ECALL_CAUSE[mode], options);
  }

  /** The last attempt trapped. */
  expectTrap(what: string, trap: TrapExpectation): this {
    this.expectSaved(`${what}: cause`, CAUSE, BigInt(trap.cause), trap);
    const relative = trap.epc === undefined || typeof trap.epc === 'string' || typeof trap.epc === 'object';
    const alias = relative ? this.#lastAlias : 0n;
    this.expectSaved(`${what}: epc`, EPC, trap.epc ?? this.#lastAttempt, {}, alias);
    return trap.tval === undefined ? this : this.expectSaved(`${what}: tval`, TVAL, trap.tval, trap);
  }

  /** mstatus as the handler of the last trap found it. */
  expectTrapStatus(what: string, value: bigint, mask: bigint, options: ExpectOptions = {}): this {
    return this.expectSaved(what, STATUS, value, { ...options, mask });
  }

  expect(what: string, register: string, value: Value, options: ExpectOptions = {}): this {
    const slot = this.#slot(what, value, options, 0n);
    return this.text(`li t6, ${slot}\n${register.startsWith('f') ? 'fsd' : 'sd'} ${register}, 0(t6)`);
  }

  /** What a register holds must be the same in QEMU. */
  compare(what: string, register: string): this {
    return this.text(`li t6, ${this.#slot(what, undefined, {}, 0n)}\nsd ${register}, 0(t6)`);
  }

  /** Cause, value and place of the last trap must be the same in QEMU. */
  compareTrap(what: string): this {
    for (const [name, word] of [
      ['cause', CAUSE],
      ['tval', TVAL],
      ['epc', EPC],
    ] as const) {
      const slot = this.#slot(`${what}: ${name}`, undefined, {}, 0n);
      this.text(`li t6, ${SAVED}\nld t5, ${word}(t6)\nli t6, ${slot}\nsd t5, 0(t6)`);
    }
    return this;
  }

  expectCsr(what: string, csr: string, value: Value, options: ExpectOptions = {}): this {
    const slot = this.#slot(what, value, options, 0n);
    return this.text(`csrr t5, ${csr}\nli t6, ${slot}\nsd t5, 0(t6)`);
  }

  expectMemory(what: string, address: number, value: Value, options: ExpectOptions = {}): this {
    const slot = this.#slot(what, value, options, 0n);
    return this.text(`li t5, ${address}\nld t5, 0(t5)\nli t6, ${slot}\nsd t5, 0(t6)`);
  }

  expectSaved(what: string, word: number, value: Value, options: ExpectOptions = {}, offset = 0n): this {
    const slot = this.#slot(what, value, options, offset);
    return this.text(`li t6, ${SAVED}\nld t5, ${word}(t6)\nli t6, ${slot}\nsd t5, 0(t6)`);
  }

  /** Address of a new slot of the log. */
  #slot(what: string, value: Value | undefined, options: ExpectOptions, offset: bigint): number {
    const slot = this.#suite.takeSlot();
    this.expectations.push({ ...options, slot, what, value, offset });
    return LOG + slot * 8;
  }
}

/** Scenarios that share an image: our core runs them one by one, QEMU all in one go. */
export class Suite {
  readonly image = new Uint8Array(RAM_BYTES);
  readonly #code = new Assembler(CODE);
  readonly #scenarios: { name: string; scenario: Scenario; entry: string }[] = [];
  #slots = 0;
  #nextPage = PAGES;
  #built = false;
  #theirs: Promise<Uint8Array> | undefined;

  add(name: string, write: (scenario: Scenario) => void): this {
    const entry = this.#code.align(4096).fresh('scenario');
    this.#code.label(entry);
    const scenario = new Scenario(this, this.#code);
    write(scenario);
    this.#code.text('j .next');
    this.#scenarios.push({ name, scenario, entry });
    return this;
  }

  allocate(count: number): number {
    const at = this.#nextPage;
    this.#nextPage += count * 4096;
    if (this.#nextPage > RAM_BASE + RAM_BYTES - (4 << 20)) throw new Error('The pages of RAM are used up');
    return at;
  }

  takeSlot(): number {
    const slot = this.#slots++;
    if (LOG + this.#slots * 8 > CODE) throw new Error('The log is full');
    return slot;
  }

  /** Declares one test for each scenario. */
  define(title: string): void {
    describe(title, () => {
      for (const [index, { name, scenario }] of this.#scenarios.entries()) {
        it(name, async () => {
          const image = this.#build();
          const ours = await this.#runOurs(image, index);
          expect(this.#mistakes(scenario, ours, 'ours')).toEqual([]);
          this.#theirs ??= this.#runTheirs(image);
          const theirs = await this.#theirs;
          expect(this.#mistakes(scenario, theirs, 'QEMU'), 'in QEMU').toEqual([]);
          expect(this.#disagreements(scenario, ours, theirs)).toEqual([]);
        });
      }
    });
  }

  #mistakes(scenario: Scenario, ram: Uint8Array, where: 'ours' | 'QEMU'): string[] {
    const view = new DataView(ram.buffer, ram.byteOffset);
    const mistakes: string[] = [];
    for (const { slot, what, value, offset, mask, qemuDiffers } of scenario.expectations) {
      if (value === undefined || (where === 'QEMU' && qemuDiffers !== undefined)) continue;
      const got = view.getBigUint64(LOG - RAM_BASE + slot * 8, true);
      const wanted = BigInt.asUintN(64, this.#resolve(value) + offset);
      const bits = mask ?? 2n ** 64n - 1n;
      if ((got & bits) !== (wanted & bits)) {
        const shown = got === UNWRITTEN ? 'nothing' : `0x${(got & bits).toString(16)}`;
        mistakes.push(`${what}: 0x${(wanted & bits).toString(16)} expected, ${shown} found`);
      }
    }
    return mistakes;
  }

  /** Where what is only compared is not the same. */
  #disagreements(scenario: Scenario, ours: Uint8Array, theirs: Uint8Array): string[] {
    const slot = (ram: Uint8Array, index: number) =>
      new DataView(ram.buffer, ram.byteOffset).getBigUint64(LOG - RAM_BASE + index * 8, true);
    return scenario.expectations
      .filter(each => each.value === undefined && slot(ours, each.slot) !== slot(theirs, each.slot))
      .map(
        ({ what, slot: at }) =>
          `${what}: ours 0x${slot(ours, at).toString(16)}, QEMU's 0x${slot(theirs, at).toString(16)}`,
      );
  }

  #resolve(value: Value): bigint {
    if (typeof value === 'object') return BigInt(this.#code.address(value.label)) + value.plus;
    return BigInt(typeof value === 'string' ? this.#code.address(value) : value);
  }

  async #runOurs(image: Uint8Array, index: number): Promise<Uint8Array> {
    const machine = new BareMachine(await coreModule(), RAM_BYTES);
    machine.load(image);
    const view = new DataView(machine.ram.buffer, machine.ram.byteOffset);
    view.setBigUint64(SAVED - RAM_BASE + FIRST, BigInt(index), true);
    view.setBigUint64(SAVED - RAM_BASE + LAST, BigInt(index), true);
    machine.run(2_000_000);
    return machine.ram;
  }

  #runTheirs(image: Uint8Array): Promise<Uint8Array> {
    const all = image.slice();
    const view = new DataView(all.buffer);
    view.setBigUint64(SAVED - RAM_BASE + FIRST, 0n, true);
    view.setBigUint64(SAVED - RAM_BASE + LAST, BigInt(this.#scenarios.length - 1), true);
    return runInQemu(all, { ramBytes: RAM_BYTES, timeout: 30_000 });
  }

  /** The used part of the image, with the runtime in it. */
  #build(): Uint8Array {
    const used = this.image.subarray(0, this.#nextPage - RAM_BASE);
    if (this.#built) return used;
    this.#built = true;
    this.#code.align(4096).label('.next').text(RUNTIME);
    for (const { entry } of this.#scenarios) this.#code.dword(BigInt(this.#code.address(entry)));
    this.#code.align(4096);
    const code = this.#code.build();
    if (CODE + code.length > PAGES) throw new Error('The scenarios are too long');
    this.image.set(code, CODE - RAM_BASE);
    const start = this.#code.address('.reset') - RAM_BASE;
    this.image.set(new Assembler(RAM_BASE).emit('jal', { imm: start }).build(), 0);
    const view = new DataView(this.image.buffer);
    for (let slot = 0; slot < this.#slots; slot++) view.setBigUint64(LOG - RAM_BASE + slot * 8, UNWRITTEN, true);
    return used;
  }
}

/** Goes from scenario to scenario, each from the same state, and takes the traps that come to M-mode. */
const RUNTIME = `
  li t6, ${SAVED}
  ld t5, ${FIRST}(t6)
  addi t5, t5, 1
  sd t5, ${FIRST}(t6)
.reset:
  la t5, .handler
  csrw mtvec, t5
  li t6, ${SAVED}
  csrw mscratch, t6
  csrw satp, zero
  sfence.vma
  csrw medeleg, zero
  csrw mideleg, zero
  csrw mie, zero
  csrw mip, zero
  csrw mcounteren, zero
  csrw scounteren, zero
  csrw stvec, zero
  csrw sscratch, zero
  csrw sepc, zero
  csrw scause, zero
  csrw stval, zero
  li t5, ${(1n << 63n) | (1n << 61n)}
  csrw menvcfg, t5
  li t5, -1
  csrw stimecmp, t5
  csrw menvcfg, zero
  li t5, 0x2004000
  li t4, -1
  sd t4, 0(t5)
  li t5, 0x2000000
  sw zero, 0(t5)
  csrw pmpcfg0, zero
  csrw pmpcfg2, zero
  li t5, -1
  csrw pmpaddr0, t5
  csrwi pmpcfg0, 31
  li t5, 0x6000
  csrw mstatus, t5
  csrw fcsr, zero
  ld t5, ${FIRST}(t6)
  ld t4, ${LAST}(t6)
  bltu t4, t5, .end
  la t4, .entries
  slli t5, t5, 3
  add t4, t4, t5
  ld t5, 0(t4)
  jr t5
.end:
  li t5, 0x100000
  li t4, 0x5555
  sw t4, 0(t5)
.hang: j .hang
.align 4
.handler:
  csrrw t6, mscratch, t6
  sd t5, ${SAVED_T5}(t6)
  csrr t5, mcause
  sd t5, ${CAUSE}(t6)
  csrr t5, mtval
  sd t5, ${TVAL}(t6)
  csrr t5, mepc
  sd t5, ${EPC}(t6)
  csrr t5, mstatus
  sd t5, ${STATUS}(t6)
  li t5, ${(1 << 17) | 0x80}
  csrc mstatus, t5
  li t5, 0x1800
  csrs mstatus, t5
  ld t5, ${RESUME}(t6)
  csrw mepc, t5
  ld t5, ${SAVED_T5}(t6)
  csrrw t6, mscratch, t6
  mret
.align 8
.entries:
`;
