import { NOT_SUPPORTED, type SbiAnswer, type SbiCall, type SbiExtension, success } from './call.ts';
import type { SbiServices } from './services.ts';

export const BASE = 0x10n;

const GET_SPECIFICATION_VERSION = 0n;
const GET_IMPLEMENTATION_ID = 1n;
const GET_IMPLEMENTATION_VERSION = 2n;
const PROBE_EXTENSION = 3n;
const GET_MVENDORID = 4n;
const GET_MARCHID = 5n;
const GET_MIMPID = 6n;

/** 2.0: the major number in bits 24 to 30. */
const SPECIFICATION_VERSION = 2n << 24n;
/** The specification has given out 0 to 11 so far; this one, the letters AF, is nobody's. */
export const IMPLEMENTATION_ID = 0x4146n;
/** Ours to define: the first edition. */
const IMPLEMENTATION_VERSION = 1n;

/** Base extension (SBI 2.0, chapter 4): what there is. */
export class BaseExtension implements SbiExtension {
  readonly id = BASE;
  readonly #services: SbiServices;
  readonly #isAvailable: (extension: bigint) => boolean;

  constructor(services: SbiServices, isAvailable: (extension: bigint) => boolean) {
    this.#services = services;
    this.#isAvailable = isAvailable;
  }

  call(call: SbiCall): SbiAnswer {
    const { identity } = this.#services;
    switch (call.functionId) {
      case GET_SPECIFICATION_VERSION:
        return success(SPECIFICATION_VERSION);
      case GET_IMPLEMENTATION_ID:
        return success(IMPLEMENTATION_ID);
      case GET_IMPLEMENTATION_VERSION:
        return success(IMPLEMENTATION_VERSION);
      case PROBE_EXTENSION:
        return success(this.#isAvailable(call.argument(0)) ? 1n : 0n);
      case GET_MVENDORID:
        return success(identity.mvendorid);
      case GET_MARCHID:
        return success(identity.marchid);
      case GET_MIMPID:
        return success(identity.mimpid);
      default:
        return NOT_SUPPORTED;
    }
  }
}
