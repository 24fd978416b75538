import { INVALID_PARAM, NOT_SUPPORTED, type SbiAnswer, type SbiCall, type SbiExtension, success } from './call.ts';
import { hartsOf } from './hart-mask.ts';
import type { HartStates } from './hart-states.ts';
import type { FenceRange, RemoteFence, SbiServices } from './services.ts';

/** "RFNC" */
export const RFENCE = 0x52464e43n;
const REMOTE_FENCE_I = 0n;
const REMOTE_SFENCE_VMA = 1n;
const REMOTE_SFENCE_VMA_ASID = 2n;
// 3 to 6 fence the translations of a hypervisor's guests; harts without the H extension have none.

const WHOLE_ADDRESS_SPACE = 2n ** 64n - 1n;
/** Width of satp's ASID field; the bits above do not count. */
const ASID_BITS = 16;

/** Fences on other harts (SBI 2.0, chapter 8). */
export class RfenceExtension implements SbiExtension {
  readonly id = RFENCE;
  readonly #services: SbiServices;
  readonly #harts: HartStates;

  constructor(services: SbiServices, harts: HartStates) {
    this.#services = services;
    this.#harts = harts;
  }

  call(call: SbiCall): SbiAnswer {
    const fence = decode(call);
    if (fence === undefined) return NOT_SUPPORTED;
    const named = hartsOf(call.argument(0), call.argument(1), this.#harts.count);
    if (named === undefined) return INVALID_PARAM;
    // A stopped hart remembers no translations: it starts with none.
    this.#services.fence(
      named.filter(hart => this.#harts.isRunning(hart)),
      fence,
    );
    return success();
  }
}

function decode(call: SbiCall): RemoteFence | undefined {
  switch (call.functionId) {
    case REMOTE_FENCE_I:
      return { kind: 'instructions' };
    case REMOTE_SFENCE_VMA:
      return { kind: 'translations', range: range(call), addressSpace: 'all' };
    case REMOTE_SFENCE_VMA_ASID: {
      const addressSpace = Number(BigInt.asUintN(ASID_BITS, call.argument(4)));
      return { kind: 'translations', range: range(call), addressSpace };
    }
    default:
      return undefined;
  }
}

function range(call: SbiCall): FenceRange | 'all' {
  const start = call.argument(2);
  const size = call.argument(3);
  const all = (start === 0n && size === 0n) || size === WHOLE_ADDRESS_SPACE;
  return all ? 'all' : { start, size };
}
