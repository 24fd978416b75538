// Where the machinery of directed programs keeps things, for the code that it emits and for those who read the results.
import { RAM_BASE } from '../../engine/core/core.ts';

export const RAM_BYTES = 64 << 20;
/** Words that the programs and their handler share. */
export const SAVED = RAM_BASE + 0x8000;
/** One doubleword for each thing that is expected. */
export const LOG = RAM_BASE + 0xa000;
/** The programs. */
export const CODE = RAM_BASE + 0x20000;
/** Pages that programs ask for. */
export const PAGES = RAM_BASE + 0x1000000;

/** Offsets of the words at SAVED. */
export const SAVED_T5 = 0;
/** What the handler of M-mode notes of the last trap; `status` is mstatus. */
export const TRAP = { cause: 8, tval: 16, epc: 24, status: 32 } as const;
/** Where the handler goes on. */
export const RESUME = 40;
/** Which program is next, and which is the last. */
export const FIRST = 48;
export const LAST = 56;

/** What a slot holds before anything is written to it. */
export const UNWRITTEN = 0xdead_dead_dead_deadn;
