// The built-in firmware: SBI 2.0 for S-mode software, with no machine-mode code behind it. Offered are BASE, TIME,
// IPI, RFENCE, HSM, SRST and DBCN; the legacy extensions of SBI 0.1 are not.

import { choice, list } from '../../state/kinds.ts';
import { refuseState, type StateOf, section } from '../../state/section.ts';
import { BaseExtension } from './base.ts';
import { NOT_SUPPORTED, type SbiExtension, type SbiOutcome, type SbiRegisters } from './call.ts';
import { DbcnExtension } from './dbcn.ts';
import { HART_STATES, HartStates } from './hart-states.ts';
import { HsmExtension } from './hsm.ts';
import { IpiExtension } from './ipi.ts';
import { RfenceExtension } from './rfence.ts';
import type { SbiServices } from './services.ts';
import { SrstExtension } from './srst.ts';
import { TimeExtension } from './time.ts';

/** As many as a hart mask can name in one call; the machine has fewer. */
const MOST_HARTS = 64;

export const sbiSection = section(
  'sbi',
  { version: 1, oldest: 1 },
  {
    /** By hart id. Timers and pending interrupts are part of the harts. */
    harts: list(choice(...HART_STATES), MOST_HARTS),
  },
);
export type SbiState = StateOf<typeof sbiSection>;

// Numbers of the registers of the calling convention.
const A0 = 10;
const A1 = 11;
const A6 = 16;
const A7 = 17;

export class Sbi {
  readonly #harts: HartStates;
  readonly #extensions: ReadonlyMap<bigint, SbiExtension>;

  private constructor(services: SbiServices, harts: HartStates) {
    this.#harts = harts;
    const extensions: SbiExtension[] = [
      new BaseExtension(services, id => this.#extensions.has(id)),
      new TimeExtension(services),
      new IpiExtension(services, harts),
      new RfenceExtension(services, harts),
      new HsmExtension(services, harts),
      new SrstExtension(services),
      new DbcnExtension(services),
    ];
    this.#extensions = new Map(extensions.map(extension => [extension.id, extension]));
  }

  /** The state after power-on: the boot hart runs, the others are stopped. */
  static atPowerOn(services: SbiServices, harts: number, bootHart = 0): Sbi {
    return new Sbi(services, HartStates.atPowerOn(harts, bootHart));
  }

  /** @throws AfterimageError `corrupt` when the state is not one of a machine with that many harts. */
  static restore(services: SbiServices, harts: number, state: SbiState): Sbi {
    if (state.harts.length !== harts) refuseState(sbiSection, 'harts', `has ${state.harts.length} of ${harts} harts`);
    return new Sbi(services, new HartStates(state.harts));
  }

  save(): SbiState {
    return { harts: this.#harts.save() };
  }

  /** Answers an ECALL from S-mode on `hart`. The guest cannot make it throw. */
  call(hart: number, registers: SbiRegisters): SbiOutcome {
    // A hart that calls is awake, whatever it was before.
    this.#harts.set(hart, 'started');
    const extension = this.#extensions.get(registers.get(A7));
    const answer =
      extension?.call({
        hart,
        functionId: registers.get(A6),
        argument: index => registers.get(A0 + index),
      }) ?? NOT_SUPPORTED;
    if (answer.outcome === 'return' || answer.outcome === 'wait') {
      registers.set(A0, BigInt.asUintN(64, answer.error));
      registers.set(A1, answer.value);
    }
    return answer.outcome;
  }

  /** The machine tells that a hart runs: after `startHart`, or when the wait of a suspended hart is over. */
  hartStarted(hart: number): void {
    this.#harts.set(hart, 'started');
  }
}
