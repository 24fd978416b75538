// Blocks of generated instructions: short, ending where they began, and free of effects outside of their registers and
// the scratch memory, so that any processor may run them.
import { decode, encode, encodeCompressed, type Operands } from '../framework/encode.ts';

/** One encoding of a block. A unit that belongs to a pattern (a loop, a computed jump) must not be taken out alone. */
export interface Unit {
  readonly bits: number;
  readonly size: 2 | 4;
  readonly fixed: boolean;
}

interface Draft {
  readonly name: string;
  readonly operands: Operands;
  readonly bits: number;
  size: 2 | 4;
  readonly fixed: boolean;
  /** Index of the unit that a branch goes to; filled in with its offset at the end. */
  readonly target: number | undefined;
  /** Its immediate is the distance to the target from the unit before, as after AUIPC. */
  readonly fromPrevious: boolean;
}

/** Collects units and works out the offsets of branches between them. */
export class BlockBuilder {
  readonly #drafts: Draft[] = [];
  /** Units in the middle of a pattern: nothing may jump there. */
  readonly #inner = new Set<number>();

  get length(): number {
    return this.#drafts.length;
  }

  add(name: string, operands: Operands, fixed = false): void {
    this.#push(name, operands, fixed, undefined, false);
  }

  /** A branch or jump to the unit at index `target`, which may not be there yet. */
  branch(name: string, operands: Operands, target: number, fixed = false): void {
    this.#push(name, operands, fixed, target, false);
  }

  /** JALR through a register that AUIPC, the unit before, has set to its own address. */
  computedJump(operands: Operands, target: number): void {
    this.#push('jalr', operands, true, target, true);
  }

  /** Units added by `add` belong together: branches from elsewhere go to the first of them or past the last. */
  pattern(add: () => void): void {
    const first = this.length;
    add();
    for (let index = first + 1; index < this.length; index++) this.#inner.add(index);
  }

  /** Any bits. */
  raw(bits: number, size: 2 | 4): void {
    this.#drafts.push({ name: '', operands: {}, bits, size, fixed: false, target: undefined, fromPrevious: false });
  }

  /** The units; targets beyond the last one mean the end of the block. */
  finish(): Unit[] {
    const offsets: number[] = [];
    let end = 0;
    for (const draft of this.#drafts) {
      offsets.push(end);
      end += draft.size;
    }
    return this.#drafts.map((draft, index) => {
      if (draft.name === '') return { bits: draft.bits, size: draft.size, fixed: draft.fixed };
      let operands = draft.operands;
      if (draft.target !== undefined) {
        let target = draft.target;
        while (target > index && this.#inner.has(target)) target++;
        const from = offsets[draft.fromPrevious ? index - 1 : index]!;
        operands = { ...operands, imm: (offsets[target] ?? end) - from };
      }
      return { bits: encodeAny(draft.name, operands), size: draft.size, fixed: draft.fixed };
    });
  }

  #push(name: string, operands: Operands, fixed: boolean, target: number | undefined, fromPrevious: boolean): void {
    const size = name.startsWith('c.') ? 2 : 4;
    this.#drafts.push({ name, operands, bits: 0, size, fixed, target, fromPrevious });
  }
}

function encodeAny(name: string, operands: Operands): number {
  return name.startsWith('c.') ? encodeCompressed(name, operands) : encode(name, operands);
}

/** The same block with the units outside of `keep` replaced by no-ops of their size. */
export function withOnly(units: readonly Unit[], keep: (index: number) => boolean): Unit[] {
  return units.map((unit, index) => (keep(index) || unit.fixed ? unit : noOperation(unit)));
}

export function noOperation(unit: Unit): Unit {
  return { ...unit, bits: unit.size === 2 ? 0x0001 : 0x00000013 };
}

export function isNoOperation(unit: Unit): boolean {
  return unit.bits === noOperation(unit).bits;
}

/** Name of what a unit is, `illegal` when it is nothing. */
export function unitName(unit: Unit): string {
  return decode(unit.bits)?.name ?? 'illegal';
}
