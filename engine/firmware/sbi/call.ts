// The calling convention of the RISC-V Supervisor Binary Interface, version 2.0, chapter 3: an ECALL from S-mode with
// the extension in a7, the function in a6 and arguments from a0 on; the error comes back in a0, a value in a1.

/** A hart's integer registers by number, as unsigned 64-bit numbers. */
export interface SbiRegisters {
  get(index: number): bigint;
  set(index: number, value: bigint): void;
}

/** Standard errors (SBI 2.0, table 1). */
export const SBI_SUCCESS = 0n;
export const SBI_ERR_FAILED = -1n;
export const SBI_ERR_NOT_SUPPORTED = -2n;
export const SBI_ERR_INVALID_PARAM = -3n;
export const SBI_ERR_DENIED = -4n;
export const SBI_ERR_INVALID_ADDRESS = -5n;
export const SBI_ERR_ALREADY_AVAILABLE = -6n;

/** What the calling hart does next. */
export type SbiOutcome =
  /** a0 and a1 are set; the hart goes on behind its ECALL. */
  | 'return'
  /** No register is changed; the hart stays on its ECALL and asks again when something may have changed. */
  | 'again'
  /** As `return`, but the hart first waits for an interrupt that is pending and enabled in `sie`, as WFI does. */
  | 'wait'
  /** The hart executes nothing more: it is stopped, or the machine is resetting. */
  | 'leave';

/** What a function answers: an error, a value on success, or an outcome that is not a plain return. */
export interface SbiAnswer {
  readonly error: bigint;
  readonly value: bigint;
  readonly outcome: SbiOutcome;
}

export function success(value = 0n): SbiAnswer {
  return { error: SBI_SUCCESS, value, outcome: 'return' };
}

export function failure(error: bigint): SbiAnswer {
  return { error, value: 0n, outcome: 'return' };
}

export const NOT_SUPPORTED = failure(SBI_ERR_NOT_SUPPORTED);
export const INVALID_PARAM = failure(SBI_ERR_INVALID_PARAM);
export const AGAIN: SbiAnswer = { error: SBI_SUCCESS, value: 0n, outcome: 'again' };
export const WAIT: SbiAnswer = { error: SBI_SUCCESS, value: 0n, outcome: 'wait' };
export const LEAVE: SbiAnswer = { error: SBI_SUCCESS, value: 0n, outcome: 'leave' };

/** One call, as an extension sees it. */
export interface SbiCall {
  /** Id of the calling hart. */
  readonly hart: number;
  readonly functionId: bigint;
  /** a0 to a5 by index 0 to 5, unsigned. */
  argument(index: number): bigint;
}

/** Arguments that the specification calls 32 bits wide: the upper half of the register does not count. */
export function low32(value: bigint): number {
  return Number(BigInt.asUintN(32, value));
}

export interface SbiExtension {
  /** The extension id (EID). */
  readonly id: bigint;
  call(call: SbiCall): SbiAnswer;
}
