/** States of a hart, at the index that the specification numbers them by (SBI 2.0, table 9). */
export const HART_STATES = [
  'started',
  'stopped',
  'start-pending',
  'stop-pending',
  'suspended',
  'suspend-pending',
  'resume-pending',
] as const;

export type HartState = (typeof HART_STATES)[number];

/** Which harts run. */
export class HartStates {
  readonly #states: HartState[];

  constructor(states: readonly HartState[]) {
    this.#states = [...states];
  }

  /** At power-on one hart runs; the others wait to be started. */
  static atPowerOn(count: number, bootHart: number): HartStates {
    return new HartStates(Array.from({ length: count }, (_, hart) => (hart === bootHart ? 'started' : 'stopped')));
  }

  get count(): number {
    return this.#states.length;
  }

  /** Undefined for a hart that is not there. */
  get(hart: number): HartState | undefined {
    return this.#states[hart];
  }

  set(hart: number, state: HartState): void {
    if (hart in this.#states) this.#states[hart] = state;
  }

  /** Whether interrupts and fences mean anything to the hart. */
  isRunning(hart: number): boolean {
    const state = this.#states[hart];
    return state !== undefined && state !== 'stopped' && state !== 'start-pending';
  }

  save(): readonly HartState[] {
    return [...this.#states];
  }
}
