import {
  MCR_DTR,
  MCR_LOOP,
  MCR_OUT1,
  MCR_OUT2,
  MCR_RTS,
  MSR_CTS,
  MSR_DCD,
  MSR_DELTA_CTS,
  MSR_DELTA_DCD,
  MSR_DELTA_DSR,
  MSR_DSR,
  MSR_RI,
  MSR_TRAILING_RI,
} from './registers.ts';
import type { UartState } from './state.ts';

/** The modem lines: the guest's outputs (MCR), and its inputs from a peer that is always there. */
export class Modem {
  #control = 0;
  #deltas = 0;
  #rtsUsed = false;

  get control(): number {
    return this.#control;
  }

  set control(value: number) {
    const before = this.#inputs();
    this.#control = value;
    if ((value & MCR_RTS) !== 0) this.#rtsUsed = true;
    const changed = before ^ this.#inputs();
    if ((changed & MSR_CTS) !== 0) this.#deltas |= MSR_DELTA_CTS;
    if ((changed & MSR_DSR) !== 0) this.#deltas |= MSR_DELTA_DSR;
    if ((changed & before & MSR_RI) !== 0) this.#deltas |= MSR_TRAILING_RI;
    if ((changed & MSR_DCD) !== 0) this.#deltas |= MSR_DELTA_DCD;
  }

  get loopback(): boolean {
    return (this.#control & MCR_LOOP) !== 0;
  }

  /** False only for a guest that has raised RTS and lowered it again. */
  get readyToReceive(): boolean {
    return !this.#rtsUsed || (this.#control & MCR_RTS) !== 0;
  }

  get changed(): boolean {
    return this.#deltas !== 0;
  }

  /** MSR; reading it clears the deltas. */
  takeStatus(): number {
    const status = this.#inputs() | this.#deltas;
    this.#deltas = 0;
    return status;
  }

  reset(): void {
    this.#control = 0;
    this.#deltas = 0;
    this.#rtsUsed = false;
  }

  save(): Pick<UartState, 'mcr' | 'modemDeltas' | 'rtsUsed'> {
    return { mcr: this.#control, modemDeltas: this.#deltas, rtsUsed: this.#rtsUsed };
  }

  restore(state: UartState): void {
    this.#control = state.mcr;
    this.#deltas = state.modemDeltas;
    this.#rtsUsed = state.rtsUsed;
  }

  /** MSR bits 7:4; in loopback they are the guest's own outputs. */
  #inputs(): number {
    if (!this.loopback) return MSR_DCD | MSR_DSR | MSR_CTS;
    let lines = 0;
    if ((this.#control & MCR_DTR) !== 0) lines |= MSR_DSR;
    if ((this.#control & MCR_RTS) !== 0) lines |= MSR_CTS;
    if ((this.#control & MCR_OUT1) !== 0) lines |= MSR_RI;
    if ((this.#control & MCR_OUT2) !== 0) lines |= MSR_DCD;
    return lines;
  }
}
