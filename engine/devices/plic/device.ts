import { AfterimageError } from '../../base/errors.ts';
import { refuseState, type Saves } from '../../state/section.ts';
import type { AccessWidth, IrqLine, MmioDevice } from '../device.ts';
import { type HartPins, MEIP, SEIP } from '../hart-pins.ts';
import {
  CLAIM_COMPLETE,
  CONTEXT_BASE,
  CONTEXT_STRIDE,
  ENABLE_BASE,
  ENABLE_STRIDE,
  PENDING_BASE,
  PRIORITY_MASK,
  SOURCE_WORDS,
  SOURCES,
  THRESHOLD,
} from './registers.ts';
import { type PlicState, plicSection } from './state.ts';

export interface PlicParts {
  /** One per hart, in the order of hart ids. */
  readonly harts: readonly HartPins[];
}

/** What a hart in one mode sees of the controller. */
interface Context {
  readonly pins: HartPins;
  readonly bit: number;
  readonly enabled: Uint32Array;
  threshold: number;
  /** The level that the pin has. */
  output: boolean;
}

/**
 * Interrupt controller with level-triggered gateways: a line that is high makes its source pending once; after a
 * claim the source stays silent until it is completed, and is pending again then if its line is still high. A source
 * once pending stays so until claimed, even if its line falls (specification 1.0, section "Interrupt Gateways").
 */
export class Plic implements MmioDevice, Saves<PlicState> {
  readonly name = 'plic';
  readonly #priorities = new Uint8Array(SOURCES);
  readonly #levels = new Uint32Array(SOURCE_WORDS);
  readonly #pending = new Uint32Array(SOURCE_WORDS);
  readonly #claimed = new Uint32Array(SOURCE_WORDS);
  readonly #contexts: readonly Context[];

  constructor(parts: PlicParts) {
    this.#contexts = parts.harts.flatMap(pins =>
      [MEIP, SEIP].map(bit => ({ pins, bit, enabled: new Uint32Array(SOURCE_WORDS), threshold: 0, output: false })),
    );
  }

  /** @throws AfterimageError `corrupt` for values that registers cannot hold or another number of harts. */
  static restore(parts: PlicParts, state: PlicState): Plic {
    const plic = new Plic(parts);
    if (state.contexts.length !== plic.#contexts.length) {
      refuseState(plicSection, 'contexts', `has ${state.contexts.length} entries, not ${plic.#contexts.length}`);
    }
    if (state.priorities[0] !== 0 || state.priorities.some(priority => priority > PRIORITY_MASK)) {
      refuseState(plicSection, 'priorities', 'has one out of range');
    }
    const masks = [state.levels, state.pending, state.claimed, ...state.contexts.map(context => context.enabled)];
    if (masks.some(mask => (mask[0]! & 1) !== 0)) refuseState(plicSection, 'sources', 'include source 0');
    plic.#priorities.set(state.priorities);
    plic.#levels.set(state.levels);
    plic.#pending.set(state.pending);
    plic.#claimed.set(state.claimed);
    for (const [index, { enabled, threshold }] of state.contexts.entries()) {
      if (threshold > PRIORITY_MASK) refuseState(plicSection, `contexts[${index}].threshold`, 'is out of range');
      const context = plic.#contexts[index]!;
      context.enabled.set(enabled);
      context.threshold = threshold;
    }
    plic.#update();
    return plic;
  }

  save(): PlicState {
    const contexts: PlicState['contexts'][number][] = [];
    for (const { enabled, threshold } of this.#contexts) contexts.push({ enabled: [...enabled], threshold });
    return {
      priorities: this.#priorities.slice(),
      levels: [...this.#levels],
      pending: [...this.#pending],
      claimed: [...this.#claimed],
      contexts,
    };
  }

  /** The lines are taken to be low afterwards: the devices that drive them are reset at the same time. */
  reset(): void {
    for (const words of [this.#priorities, this.#levels, this.#pending, this.#claimed]) words.fill(0);
    for (const context of this.#contexts) {
      context.enabled.fill(0);
      context.threshold = 0;
    }
    this.#update();
  }

  /** The line of a source, 1 to 95. Lines of the same source are one wire, not a wired-or. */
  line(source: number): IrqLine {
    if (!Number.isInteger(source) || source < 1 || source >= SOURCES) {
      throw new AfterimageError('internal', 'Interrupt source does not exist', { source });
    }
    return { set: level => this.#setLevel(source, level) };
  }

  read(offset: number, width: AccessWidth): number {
    if (width !== 4 || offset % 4 !== 0) return 0;
    if (offset < PENDING_BASE) return this.#priorities[offset / 4] ?? 0;
    if (offset < ENABLE_BASE) return this.#pending[(offset - PENDING_BASE) / 4] ?? 0;
    if (offset < CONTEXT_BASE) {
      const context = this.#contexts[Math.floor((offset - ENABLE_BASE) / ENABLE_STRIDE)];
      return context?.enabled[((offset - ENABLE_BASE) % ENABLE_STRIDE) / 4] ?? 0;
    }
    const context = this.#contexts[Math.floor((offset - CONTEXT_BASE) / CONTEXT_STRIDE)];
    if (context === undefined) return 0;
    const register = offset % CONTEXT_STRIDE;
    if (register === THRESHOLD) return context.threshold;
    return register === CLAIM_COMPLETE ? this.#claim(context) : 0;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (width !== 4 || offset % 4 !== 0) return;
    if (offset < PENDING_BASE) {
      const source = offset / 4;
      if (source > 0 && source < SOURCES) this.#priorities[source] = value & PRIORITY_MASK;
    } else if (offset < ENABLE_BASE) {
      return;
    } else if (offset < CONTEXT_BASE) {
      const context = this.#contexts[Math.floor((offset - ENABLE_BASE) / ENABLE_STRIDE)];
      const word = ((offset - ENABLE_BASE) % ENABLE_STRIDE) / 4;
      if (context === undefined || word >= SOURCE_WORDS) return;
      context.enabled[word] = word === 0 ? value & ~1 : value;
    } else {
      const context = this.#contexts[Math.floor((offset - CONTEXT_BASE) / CONTEXT_STRIDE)];
      if (context === undefined) return;
      const register = offset % CONTEXT_STRIDE;
      if (register === THRESHOLD) context.threshold = value & PRIORITY_MASK;
      else if (register === CLAIM_COMPLETE) this.#complete(context, value);
    }
    this.#update();
  }

  #setLevel(source: number, level: boolean): void {
    const word = source >>> 5;
    const bit = 1 << (source & 31);
    if (((this.#levels[word]! & bit) !== 0) === level) return;
    this.#levels[word]! ^= bit;
    if (!level || (this.#claimed[word]! & bit) !== 0) return;
    this.#pending[word]! |= bit;
    this.#update();
  }

  /** Enabled and pending source of the highest priority above `floor`, the lowest id among equals; 0 if none. */
  #best(context: Context, floor: number): number {
    let best = 0;
    let bestPriority = floor;
    for (let word = 0; word < SOURCE_WORDS; word += 1) {
      let candidates = this.#pending[word]! & context.enabled[word]!;
      while (candidates !== 0) {
        const bit = 31 - Math.clz32(candidates & -candidates);
        candidates &= candidates - 1;
        const source = word * 32 + bit;
        const priority = this.#priorities[source]!;
        if (priority > bestPriority) {
          best = source;
          bestPriority = priority;
        }
      }
    }
    return best;
  }

  /** The threshold decides about the interrupt, not about claims (specification 1.0, "Interrupt Claim Process"). */
  #claim(context: Context): number {
    const source = this.#best(context, 0);
    if (source === 0) return 0;
    const word = source >>> 5;
    const bit = 1 << (source & 31);
    this.#pending[word]! &= ~bit;
    this.#claimed[word]! |= bit;
    this.#update();
    return source;
  }

  /** Ignored for a source that is not enabled for the context ("Interrupt Completion"). */
  #complete(context: Context, source: number): void {
    const word = source >>> 5;
    const bit = 1 << (source & 31);
    if (source >= SOURCES || (context.enabled[word]! & this.#claimed[word]! & bit) === 0) return;
    this.#claimed[word]! &= ~bit;
    if ((this.#levels[word]! & bit) !== 0) this.#pending[word]! |= bit;
  }

  #update(): void {
    for (const context of this.#contexts) {
      const output = this.#best(context, context.threshold) !== 0;
      if (output === context.output) continue;
      context.output = output;
      context.pins.set(context.bit, output);
    }
  }
}
