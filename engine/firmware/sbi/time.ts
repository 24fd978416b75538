import { NOT_SUPPORTED, type SbiAnswer, type SbiCall, type SbiExtension, success } from './call.ts';
import type { SbiServices } from './services.ts';

/** "TIME" */
export const TIME = 0x54494d45n;
const SET_TIMER = 0n;

/** Timer extension (SBI 2.0, chapter 6). */
export class TimeExtension implements SbiExtension {
  readonly id = TIME;
  readonly #services: SbiServices;

  constructor(services: SbiServices) {
    this.#services = services;
  }

  call(call: SbiCall): SbiAnswer {
    if (call.functionId !== SET_TIMER) return NOT_SUPPORTED;
    this.#services.setTimer(call.hart, call.argument(0));
    return success();
  }
}
