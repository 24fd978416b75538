/** Values of machine-mode CSRs by name. */
export type CsrValues = Readonly<Record<string, bigint>>;

// Exceptions that S-mode handles itself: all that can come from S or U except the call that the SBI answers.
// Numbers of the privileged specification's mcause: 0-8, 12, 13 and 15.
const DELEGATED_EXCEPTIONS = 0xb1ffn;
/** Supervisor software, timer and external interrupts: bits 1, 5 and 9. */
const DELEGATED_INTERRUPTS = 0x222n;
/** cycle, time and instret: bits 0, 1 and 2. */
const COUNTERS = 0x7n;
/** menvcfg.STCE: S-mode has its own timer comparator. */
const SUPERVISOR_TIMER = 1n << 63n;
/** menvcfg.ADUE: the hardware updates A and D bits. */
const HARDWARE_UPDATES = 1n << 61n;
/** One PMP entry over all of memory: A = NAPOT, X, W, R; an address of all ones is the largest region. */
const PMP_ALL_ALLOWED = 0x1fn;
const PMP_ALL_MEMORY = (1n << 54n) - 1n;

/**
 * What machine-mode firmware leaves behind when it enters S-mode. With the built-in SBI no such firmware runs, so
 * each hart gets these values before its first S-mode instruction; CSRs that are not named stay as after reset.
 */
export function supervisorHandover(extensions: readonly string[]): CsrValues {
  let environment = 0n;
  if (extensions.includes('sstc')) environment |= SUPERVISOR_TIMER;
  if (extensions.includes('svadu')) environment |= HARDWARE_UPDATES;
  return {
    medeleg: DELEGATED_EXCEPTIONS,
    mideleg: DELEGATED_INTERRUPTS,
    mcounteren: COUNTERS,
    scounteren: COUNTERS,
    menvcfg: environment,
    pmpcfg0: PMP_ALL_ALLOWED,
    pmpaddr0: PMP_ALL_MEMORY,
  };
}
