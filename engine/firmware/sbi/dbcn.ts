import {
  AGAIN,
  failure,
  INVALID_PARAM,
  NOT_SUPPORTED,
  SBI_ERR_FAILED,
  type SbiAnswer,
  type SbiCall,
  type SbiExtension,
  success,
} from './call.ts';
import type { SbiServices } from './services.ts';

/** "DBCN" */
export const DBCN = 0x4442434en;
const CONSOLE_WRITE = 0n;
const CONSOLE_READ = 1n;
const CONSOLE_WRITE_BYTE = 2n;

/** Bytes moved in one call at most: bounds the time a call takes. Callers go on with the rest. */
const LONGEST_TRANSFER = 4096;

/** Debug console (SBI 2.0, chapter 12). */
export class DbcnExtension implements SbiExtension {
  readonly id = DBCN;
  readonly #services: SbiServices;
  readonly #buffer = new Uint8Array(LONGEST_TRANSFER);

  constructor(services: SbiServices) {
    this.#services = services;
  }

  call(call: SbiCall): SbiAnswer {
    switch (call.functionId) {
      case CONSOLE_WRITE:
        return this.#transfer(call, (at, bytes) => this.#write(at, bytes));
      case CONSOLE_READ:
        return this.#transfer(call, (at, bytes) => this.#read(at, bytes));
      case CONSOLE_WRITE_BYTE:
        this.#buffer[0] = Number(call.argument(0) & 0xffn);
        // The specification lets this call wait for room: the hart waits by asking again.
        return this.#services.console.write(this.#buffer.subarray(0, 1)) === 1 ? success() : AGAIN;
      default:
        return NOT_SUPPORTED;
    }
  }

  /** Both directions name guest memory by length and by the lower and upper half of an address. */
  #transfer(call: SbiCall, move: (at: number, bytes: Uint8Array) => SbiAnswer): SbiAnswer {
    const length = Number(call.argument(0));
    const at = Number(call.argument(1));
    if (call.argument(2) !== 0n) return INVALID_PARAM;
    if (length === 0) return success();
    if (!this.#services.memory.contains(at, length)) return INVALID_PARAM;
    return move(at, this.#buffer.subarray(0, Math.min(length, LONGEST_TRANSFER)));
  }

  #write(at: number, bytes: Uint8Array): SbiAnswer {
    if (!this.#services.memory.read(at, bytes)) return failure(SBI_ERR_FAILED);
    return success(BigInt(this.#services.console.write(bytes)));
  }

  #read(at: number, bytes: Uint8Array): SbiAnswer {
    const count = this.#services.console.read(bytes);
    if (!this.#services.memory.write(at, bytes.subarray(0, count))) return failure(SBI_ERR_FAILED);
    return success(BigInt(count));
  }
}
