// SiFive CLINT as in QEMU's `virt`, and the ACLINT specification's MSWI and MTIMER that split it in two.

/** Software interrupt of hart h: +4h, bit 0. */
export const MSIP_BASE = 0;
/** Timer compare of hart h: +8h. */
export const MTIMECMP_BASE = 0x4000;
export const MTIME = 0xbff8;

export const TICKS_PER_SECOND = 10_000_000;
