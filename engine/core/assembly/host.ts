// What the core asks of its host. All calls happen on the hart thread.

/** Reads `width` bytes from a device; the upper half of 8 bytes goes to MMIO_HIGH; MMIO_FAULT is set when none answers. */
@external("host", "mmioLoad")
export declare function mmioLoad(address: u32, width: i32): u32;

/** Writes to a device; MMIO_FAULT is set when none answers. */
@external("host", "mmioStore")
export declare function mmioStore(address: u32, width: i32, low: u32, high: u32): void;

/** The machine's time in ticks of 10 MHz. */
@external("host", "ticks")
export declare function ticks(): f64;

/** sbiCall: the call is answered, the hart goes on behind its ECALL. */
export const SBI_DONE: i32 = 0;
/** sbiCall: nothing has changed; the hart stays on its ECALL until something has. */
export const SBI_AGAIN: i32 = 1;
/** sbiCall: answered; the hart waits for an interrupt first, as WFI does. */
export const SBI_WAIT: i32 = 2;

/** An ECALL from S-mode to the built-in SBI: arguments and results are in the registers. */
@external("host", "sbiCall")
export declare function sbiCall(): i32;

/** A store meets a page that a checkpoint holds: gives the page a frame that may be written (C4). */
@external("host", "cowFault")
export declare function cowFault(page: u32): void;

/** The first use of a page whose bytes are not there yet: returns when they are. */
@external("host", "pageIn")
export declare function pageIn(page: u32): void;
