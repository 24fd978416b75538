// Directed programs for the processor: each states what the specification asks for, and runs on our core and in QEMU, so
// that a wrong expectation shows as well as a wrong core.
import { RAM_BASE } from '../../engine/core/core.ts';
import { Assembler } from '../framework/assembler.ts';
import { PageTables, PTE, type Scheme } from '../framework/page-tables.ts';
import { LOG, PAGES, RESUME, SAVED, TRAP } from './layout.ts';

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

export interface Expectation extends ExpectOptions {
  readonly slot: number;
  readonly what: string;
  /** Undefined when the value is whatever QEMU finds. */
  readonly value: Value | undefined;
  readonly offset: bigint;
}

/** What scenarios of one image share. */
export interface Surroundings {
  /** RAM, from its first byte on. */
  readonly image: Uint8Array;
  /** Address of pages of RAM that nobody else has. */
  allocate(count: number): number;
  /** Number of a slot of the log that nobody else has. */
  takeSlot(): number;
}

/**
 * One program. It starts in M-mode with everything off but the floating-point unit and a PMP entry that opens all
 * memory. t5 and t6 belong to the machinery outside of attempts.
 */
export class Scenario {
  readonly #around: Surroundings;
  readonly #code: Assembler;
  readonly expectations: Expectation[] = [];
  /** Added to the address of code that user mode runs. */
  #alias = 0n;
  #lastAttempt = '';
  #lastAlias = 0n;

  constructor(around: Surroundings, code: Assembler) {
    this.#around = around;
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
    return this.#around.allocate(count);
  }

  /** Sets a doubleword of the image. */
  put(address: number, value: bigint): this {
    new DataView(this.#around.image.buffer).setBigUint64(address - RAM_BASE, BigInt.asUintN(64, value), true);
    return this;
  }

  /** Puts assembled code into the image. It must not depend on where it is. */
  putCode(address: number, source: string): this {
    this.#around.image.set(new Assembler(address).text(source).build(), address - RAM_BASE);
    return this;
  }

  /** Page tables that map the program for the supervisor at its own addresses and for the user at the alias. */
  tables(scheme: Scheme): PageTables {
    const tables = new PageTables(this.#around.image, this.pages(24), scheme);
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
    return this.expectSaved(`${what}: cause`, 'cause', ECALL_CAUSE[mode], options);
  }

  /** The last attempt trapped. */
  expectTrap(what: string, trap: TrapExpectation): this {
    this.expectSaved(`${what}: cause`, 'cause', BigInt(trap.cause), trap);
    const relative = trap.epc === undefined || typeof trap.epc === 'string' || typeof trap.epc === 'object';
    const alias = relative ? this.#lastAlias : 0n;
    this.expectSaved(`${what}: epc`, 'epc', trap.epc ?? this.#lastAttempt, {}, alias);
    return trap.tval === undefined ? this : this.expectSaved(`${what}: tval`, 'tval', trap.tval, trap);
  }

  /** mstatus as the handler of the last trap found it. */
  expectTrapStatus(what: string, value: bigint, mask: bigint, options: ExpectOptions = {}): this {
    return this.expectSaved(what, 'status', value, { ...options, mask });
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
    for (const word of ['cause', 'tval', 'epc'] as const) {
      const slot = this.#slot(`${what}: ${word}`, undefined, {}, 0n);
      this.text(`li t6, ${SAVED}\nld t5, ${TRAP[word]}(t6)\nli t6, ${slot}\nsd t5, 0(t6)`);
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

  expectSaved(what: string, word: keyof typeof TRAP, value: Value, options: ExpectOptions = {}, offset = 0n): this {
    const slot = this.#slot(what, value, options, offset);
    return this.text(`li t6, ${SAVED}\nld t5, ${TRAP[word]}(t6)\nli t6, ${slot}\nsd t5, 0(t6)`);
  }

  /** Address of a new slot of the log. */
  #slot(what: string, value: Value | undefined, options: ExpectOptions, offset: bigint): number {
    const slot = this.#around.takeSlot();
    this.expectations.push({ ...options, slot, what, value, offset });
    return LOG + slot * 8;
  }
}
