import { INVALID_PARAM, NOT_SUPPORTED, type SbiAnswer, type SbiCall, type SbiExtension, success } from './call.ts';
import { hartsOf } from './hart-mask.ts';
import type { HartStates } from './hart-states.ts';
import type { SbiServices } from './services.ts';

/** "sPI" */
export const IPI = 0x735049n;
const SEND_IPI = 0n;

/** Interrupts between harts (SBI 2.0, chapter 7). */
export class IpiExtension implements SbiExtension {
  readonly id = IPI;
  readonly #services: SbiServices;
  readonly #harts: HartStates;

  constructor(services: SbiServices, harts: HartStates) {
    this.#services = services;
    this.#harts = harts;
  }

  call(call: SbiCall): SbiAnswer {
    if (call.functionId !== SEND_IPI) return NOT_SUPPORTED;
    const named = hartsOf(call.argument(0), call.argument(1), this.#harts.count);
    if (named === undefined) return INVALID_PARAM;
    this.#services.sendInterrupt(named.filter(hart => this.#harts.isRunning(hart)));
    return success();
  }
}
