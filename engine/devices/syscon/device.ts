import type { Saves } from '../../state/section.ts';
import type { AccessWidth, MmioDevice } from '../device.ts';
import { FAIL, PASS, RESET } from './registers.ts';
import type { SysconState } from './state.ts';

/** What the guest asked for. `code` is 0 except for `fail`, where the guest chooses it (0 to 65535). */
export interface Outcome {
  readonly kind: 'poweroff' | 'fail' | 'reset';
  readonly code: number;
}

export interface SysconParts {
  /** Called within the guest's store: the receiver notes the outcome and stops the hart at its next boundary. */
  readonly finish: (outcome: Outcome) => void;
}

/** Power-off, failure and reset. Reads as 0. */
export class Syscon implements MmioDevice, Saves<SysconState> {
  readonly name = 'syscon';
  readonly #finish: (outcome: Outcome) => void;

  constructor(parts: SysconParts) {
    this.#finish = parts.finish;
  }

  static restore(parts: SysconParts, _state: SysconState): Syscon {
    return new Syscon(parts);
  }

  save(): SysconState {
    return {};
  }

  reset(): void {}

  read(_offset: number, _width: AccessWidth): number {
    return 0;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (offset !== 0 || (width !== 2 && width !== 4)) return;
    switch (value & 0xffff) {
      case PASS:
        this.#finish({ kind: 'poweroff', code: 0 });
        break;
      case FAIL:
        this.#finish({ kind: 'fail', code: value >>> 16 });
        break;
      case RESET:
        this.#finish({ kind: 'reset', code: 0 });
        break;
    }
  }
}
