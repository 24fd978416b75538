import { INVALID_PARAM, LEAVE, low32, NOT_SUPPORTED, type SbiAnswer, type SbiCall, type SbiExtension } from './call.ts';
import type { ResetRequest, SbiServices } from './services.ts';

/** "SRST" */
export const SRST = 0x53525354n;
const SYSTEM_RESET = 0n;

/** At the index that the specification numbers them by. */
const RESET_TYPES: readonly ResetRequest['type'][] = ['shutdown', 'cold-reboot', 'warm-reboot'];
const REASON_NONE = 0;
const REASON_SYSTEM_FAILURE = 1;

/** System reset (SBI 2.0, chapter 10). */
export class SrstExtension implements SbiExtension {
  readonly id = SRST;
  readonly #services: SbiServices;

  constructor(services: SbiServices) {
    this.#services = services;
  }

  call(call: SbiCall): SbiAnswer {
    if (call.functionId !== SYSTEM_RESET) return NOT_SUPPORTED;
    const type = RESET_TYPES[low32(call.argument(0))];
    const reason = low32(call.argument(1));
    if (type === undefined || (reason !== REASON_NONE && reason !== REASON_SYSTEM_FAILURE)) return INVALID_PARAM;
    this.#services.reset({ type, failure: reason === REASON_SYSTEM_FAILURE });
    return LEAVE;
  }
}
