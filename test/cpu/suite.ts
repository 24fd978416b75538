import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../../engine/core/core.ts';
import { Assembler } from '../framework/assembler.ts';
import { BareMachine, coreModule } from '../framework/bare-machine.ts';
import { runInQemu } from '../framework/qemu.ts';
import { CODE, FIRST, LAST, LOG, PAGES, RAM_BYTES, RESUME, SAVED, SAVED_T5, TRAP, UNWRITTEN } from './layout.ts';
import { Scenario, type Surroundings, type Value } from './scenario.ts';

/** Scenarios that share an image: our core runs them one by one, QEMU all in one go. */
export class Suite implements Surroundings {
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
  sd t5, ${TRAP.cause}(t6)
  csrr t5, mtval
  sd t5, ${TRAP.tval}(t6)
  csrr t5, mepc
  sd t5, ${TRAP.epc}(t6)
  csrr t5, mstatus
  sd t5, ${TRAP.status}(t6)
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
