// Tells a guest that it goes on from a saved state, so that it draws new random numbers, and sets its clock (C18).
// Specification: Microsoft, "Virtual Machine Generation ID"; device-tree binding `microsoft,vmgenid`.
import { AfterimageError } from '../../base/errors.ts';
import type { Saves } from '../../state/section.ts';
import type { AccessWidth, IrqLine, MmioDevice } from '../device.ts';
import { GENERATION_BYTES, type GenerationState } from './state.ts';

export interface GenerationParts {
  readonly irq: IrqLine;
}

/**
 * 16 bytes that differ between any two lives of a machine that began in the same state. When they change, the interrupt
 * is raised until the guest has looked at them. A guest that has not looked at the former ones is not told: it has taken
 * nothing from them, and Linux's driver, met by an interrupt while it is being set up, falls over.
 */
export class GenerationId implements MmioDevice, Saves<GenerationState> {
  readonly name = 'vmgenid';
  readonly #irq: IrqLine;
  #generation: Uint8Array;
  #changed = false;
  #known = false;

  /** @param generation 16 random bytes */
  constructor(parts: GenerationParts, generation: Uint8Array) {
    this.#irq = parts.irq;
    this.#generation = checked(generation);
  }

  static restore(parts: GenerationParts, state: GenerationState): GenerationId {
    const device = new GenerationId(parts, state.generation);
    device.#changed = state.changed;
    device.#known = state.known;
    parts.irq.set(state.changed);
    return device;
  }

  save(): GenerationState {
    return { generation: this.#generation.slice(), changed: this.#changed, known: this.#known };
  }

  /** The machine goes on as another one. */
  renew(generation: Uint8Array): void {
    this.#generation = checked(generation);
    if (!this.#known) return;
    this.#changed = true;
    this.#irq.set(true);
  }

  /** A guest that starts anew has nothing to be told. */
  reset(): void {
    this.#acknowledge();
    this.#known = false;
  }

  read(offset: number, width: AccessWidth): number {
    if (offset >= GENERATION_BYTES) return 0;
    this.#acknowledge();
    this.#known = true;
    let value = 0;
    // The bus makes two accesses of one of 8 bytes.
    for (let i = Math.min(width, 4) - 1; i >= 0; i -= 1) value = value * 256 + (this.#generation[offset + i] ?? 0);
    return value;
  }

  write(_offset: number, _width: AccessWidth, _value: number): void {}

  #acknowledge(): void {
    this.#changed = false;
    this.#irq.set(false);
  }
}

function checked(generation: Uint8Array): Uint8Array {
  if (generation.length !== GENERATION_BYTES) {
    throw new AfterimageError('internal', 'A generation has another length', { length: generation.length });
  }
  return generation.slice();
}
