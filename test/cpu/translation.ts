// What the tests of address translation have in common.
import { PTE } from '../framework/page-tables.ts';
import type { ExpectOptions, Mode, Scenario } from './scenario.ts';

export const PAGE = 4096n;
export const SUM = 1n << 18n;
export const MXR = 1n << 19n;
export const MPRV = 1n << 17n;

export const LOAD_FAULT = 13;
export const STORE_FAULT = 15;
export const FETCH_FAULT = 12;

/** Everything but the user's. */
export const ALL = PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D;

/** Where the pages under test are: nothing else is near. */
export const VA = 0x1000000000n;

export type Access = 'load' | 'store' | 'fetch';
export const FAULTS = { load: LOAD_FAULT, store: STORE_FAULT, fetch: FETCH_FAULT } as const;

/** Makes one access and says what should come of it. */
export function access(
  s: Scenario,
  what: string,
  kind: Access,
  mode: Mode,
  va: bigint,
  fault: number | undefined,
  options: ExpectOptions = {},
): void {
  s.text(`li a1, ${va}\nli a0, 7`);
  if (kind === 'fetch') s.attempt(mode, '', va);
  else s.attempt(mode, kind === 'load' ? 'ld a0, 0(a1)' : 'sd a1, 0(a1)');
  if (fault === undefined) s.expectDone(what, mode);
  else s.expectTrap(what, { ...options, cause: fault, tval: va, ...(kind === 'fetch' ? { epc: va } : {}) });
  if (kind === 'load' && fault !== undefined) s.expect(`${what}: register`, 'a0', 7n);
}

/** A frame whose code is a call to the environment. */
export function codeFrame(s: Scenario): number {
  const frame = s.pages(1);
  s.putCode(frame, 'ecall');
  return frame;
}
