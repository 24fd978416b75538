// RISC-V Platform-Level Interrupt Controller specification 1.0, section 3 (memory map), as the SiFive PLIC in QEMU's
// `virt` has it: contexts 2h (M-mode of hart h) and 2h+1 (S-mode).

/** Source 0 does not exist; sources are 1 to 95. */
export const SOURCES = 96;
export const SOURCE_WORDS = SOURCES / 32;
/** Priorities 0 (never) to 7. */
export const PRIORITY_MASK = 7;

export const PRIORITY_BASE = 0;
export const PENDING_BASE = 0x1000;
export const ENABLE_BASE = 0x2000;
export const ENABLE_STRIDE = 0x80;
export const CONTEXT_BASE = 0x200000;
export const CONTEXT_STRIDE = 0x1000;
/** Within a context. */
export const THRESHOLD = 0;
export const CLAIM_COMPLETE = 4;
