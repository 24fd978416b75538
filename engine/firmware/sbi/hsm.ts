import {
  failure,
  INVALID_PARAM,
  LEAVE,
  low32,
  NOT_SUPPORTED,
  SBI_ERR_ALREADY_AVAILABLE,
  SBI_ERR_INVALID_ADDRESS,
  type SbiAnswer,
  type SbiCall,
  type SbiExtension,
  success,
  WAIT,
} from './call.ts';
import { HART_STATES, type HartStates } from './hart-states.ts';
import type { SbiServices } from './services.ts';

/** "HSM" */
export const HSM = 0x48534dn;
const HART_START = 0n;
const HART_STOP = 1n;
const HART_GET_STATUS = 2n;
const HART_SUSPEND = 3n;

const SUSPEND_RETENTIVE = 0;
const SUSPEND_NON_RETENTIVE = 0x8000_0000;

/** Hart state management (SBI 2.0, chapter 9). */
export class HsmExtension implements SbiExtension {
  readonly id = HSM;
  readonly #services: SbiServices;
  readonly #harts: HartStates;

  constructor(services: SbiServices, harts: HartStates) {
    this.#services = services;
    this.#harts = harts;
  }

  call(call: SbiCall): SbiAnswer {
    switch (call.functionId) {
      case HART_START:
        return this.#start(call.argument(0), call.argument(1), call.argument(2));
      case HART_STOP:
        this.#harts.set(call.hart, 'stopped');
        this.#services.stopHart(call.hart);
        return LEAVE;
      case HART_GET_STATUS: {
        const state = this.#harts.get(Number(call.argument(0)));
        return state === undefined ? INVALID_PARAM : success(BigInt(HART_STATES.indexOf(state)));
      }
      case HART_SUSPEND:
        return this.#suspend(call.hart, low32(call.argument(0)));
      default:
        return NOT_SUPPORTED;
    }
  }

  #start(id: bigint, address: bigint, opaque: bigint): SbiAnswer {
    const hart = Number(id);
    const at = Number(address);
    const state = this.#harts.get(hart);
    if (state === undefined) return INVALID_PARAM;
    if (state !== 'stopped') return failure(SBI_ERR_ALREADY_AVAILABLE);
    // An instruction of at least two bytes, aligned to two, must be there.
    if (at % 2 !== 0 || !this.#services.memory.contains(at, 2)) return failure(SBI_ERR_INVALID_ADDRESS);
    this.#harts.set(hart, 'start-pending');
    this.#services.startHart(hart, at, opaque);
    return success();
  }

  /** Only the suspend that keeps all registers; that is what WFI does. */
  #suspend(hart: number, type: number): SbiAnswer {
    if (type === SUSPEND_NON_RETENTIVE) return NOT_SUPPORTED;
    if (type !== SUSPEND_RETENTIVE) return INVALID_PARAM;
    this.#harts.set(hart, 'suspended');
    return WAIT;
  }
}
