// Where everything lives in the one shared WebAssembly.Memory. This file is the only owner of these numbers: the host
// and the JIT read them from the exports of the compiled core.

/** Hart state: one block per hart; there is one hart today, and its block is saved and restored as a whole. */
export const HART: u32 = 0x1000;
export const X: u32 = HART; // x0..x31, u64 each; x0 is never written
export const F: u32 = HART + 0x100; // f0..f31, u64 each, singles NaN-boxed
export const PC: u32 = HART + 0x200; // u64
export const INSTRET: u32 = HART + 0x208; // u64, instructions retired since power-on
export const MODE: u32 = HART + 0x210; // u32: 0 U, 1 S, 3 M
export const FP_READY: u32 = HART + 0x214; // u32: 1 when mstatus.FS is Dirty, so FP needs no further look
export const RESERVATION: u32 = HART + 0x218; // u64 machine address of the last LR, all ones when none
export const RESERVED_VALUE: u32 = HART + 0x220; // u64 what LR read there
export const MSTATUS: u32 = HART + 0x228;
export const MEDELEG: u32 = HART + 0x230;
export const MIDELEG: u32 = HART + 0x238;
export const MIE: u32 = HART + 0x240;
export const MIP_SOFTWARE: u32 = HART + 0x248; // bits of mip that software writes: SSIP, STIP, SEIP
export const MTVEC: u32 = HART + 0x250;
export const MCOUNTEREN: u32 = HART + 0x258;
export const MSCRATCH: u32 = HART + 0x260;
export const MEPC: u32 = HART + 0x268;
export const MCAUSE: u32 = HART + 0x270;
export const MTVAL: u32 = HART + 0x278;
export const MENVCFG: u32 = HART + 0x280;
export const STVEC: u32 = HART + 0x288;
export const SCOUNTEREN: u32 = HART + 0x290;
export const SSCRATCH: u32 = HART + 0x298;
export const SEPC: u32 = HART + 0x2a0;
export const SCAUSE: u32 = HART + 0x2a8;
export const STVAL: u32 = HART + 0x2b0;
export const SATP: u32 = HART + 0x2b8;
export const SENVCFG: u32 = HART + 0x2c0;
export const STIMECMP: u32 = HART + 0x2c8;
export const FRM: u32 = HART + 0x2d0; // u32
export const FFLAGS: u32 = HART + 0x2d4; // u32, valid outside of a run only (a wasm global inside)
export const CYCLE_OFFSET: u32 = HART + 0x2d8; // u64: mcycle - INSTRET
export const INSTRET_OFFSET: u32 = HART + 0x2e0; // u64: minstret - INSTRET
export const MIP_PINS: u32 = HART + 0x2e8; // u64 bits of mip that devices drive
export const PMPCFG: u32 = HART + 0x2f0; // 16 bytes, one per entry
export const PMPADDR: u32 = HART + 0x300; // 16 x u64
export const HART_ID: u32 = HART + 0x380; // u64
export const HART_SIZE: u32 = 0x400;

/** Words between the core and its host. */
export const MMIO_HIGH: u32 = 0x2000; // upper half of a 64-bit MMIO value
export const MMIO_FAULT: u32 = 0x2004; // set to 1 by the host when no device answers
export const BUILTIN_SBI: u32 = 0x2008; // 1: ECALL from S-mode is a call to the host
export const STOP: u32 = 0x200c; // set by the host: `run` returns after the present instruction
export const TRAP_COUNT: u32 = 0x2010; // u64, all traps taken, for tests and statistics
export const FILL_COUNT: u32 = 0x2018; // u64, TLB fills
export const CODE_DROPS: u32 = 0x2020; // u64, code pages dropped because they were written
export const MAP_LOOKUPS: u32 = 0x2028; // u64, P->M look-ups (V12: none while unvirtualized)

/** A record decoded for one use: an instruction fetched from where code is not cached. */
export const SCRATCH_RECORD: u32 = 0x2100;

/**
 * Software TLBs: for each context (0 U, 1 S, 2 S with SUM, 3 M) a load, a store and a fetch table, 256 entries of 16
 * bytes: u64 tag, u32 value. A tag is the virtual page address; all ones when empty.
 */
export const TLB: u32 = 0x10000;
export const TLB_CONTEXT_SIZE: u32 = 0x4000;
export const TLB_STORE: u32 = 0x1000; // offset of the store table in a context
export const TLB_FETCH: u32 = 0x2000;
export const TLB_ENTRIES: u32 = 256;
export const TLB_TABLE_SIZE: u32 = 0x1000;
/** Bloom filters of 2 MiB and 1 GiB regions that have entries filled from a superpage. */
export const SUPERPAGES_2M: u32 = 0x20000; // 1024 bits
export const SUPERPAGES_1G: u32 = 0x20080; // 1024 bits

/** Code cache: decoded pages. */
export const CODE_SLOTS: u32 = 2048;
export const CODE_META: u32 = 0x30000; // 16 bytes per slot: u32 frame + 1 (0 free), u32 stale, u32 crossing halfword
export const STALE_LIST: u32 = 0x40000; // u32 slot numbers
export const CODE_SLOT_SIZE: u32 = 0x4040; // 2048 records of 8 bytes, two end marks, rounded up to a cache line
export const PAGE_RECORDS: u32 = 0x4000; // bytes of records of one page

/** Per page and per frame tables, enough for a full 4 GiB of frames. */
export const SAVE_STATE: u32 = 0x0100000; // u32 by page: how far the saver is with it (engine/memory/save-states.ts)
export const PAGE_EPOCH: u32 = 0x0500000; // u32 by page: epoch of its last write; 0 = never written
export const FRAME_STATE: u32 = 0x0900000; // u8 by frame, see below
export const CODE_INDEX: u32 = 0x0a00000; // u16 by frame: code slot + 1
export const CODE_POOL: u32 = 0x0c00000; // CODE_SLOTS * CODE_SLOT_SIZE
export const DMA_PINS: u32 = 0x2d00000; // u16 by frame: requests of devices that are going to fill it
export const PAGE_FLAGS: u32 = 0x2f00000; // u8 by page, changed atomically, see below
/** Pages in the order of their first use, while that is recorded: u32 page numbers. */
export const TOUCH_LOG: u32 = 0x3000000;
export const TOUCH_LOG_LENGTH: u32 = 16384;

/** Bits of PAGE_FLAGS. */
export const PAGE_ABSENT: u32 = 1; // of a lazy restore: its bytes are in the checkpoint's file only
export const PAGE_UNTOUCHED: u32 = 2; // its first use is to be recorded

/** Bits of FRAME_STATE; the others belong to the memory manager. */
export const FRAME_CODE: u32 = 1; // has decoded code that is not marked stale
export const FRAME_TAIL: u32 = 2; // begins with the second half of an instruction that is decoded with the page before
export const FRAME_SHARED: u32 = 4; // somebody else needs it as it is: no page may write it

/**
 * The P->M map, in two levels. A directory entry covers MAP_CHUNK pages: 0 when all of them are in their own frames, or
 * the machine address of a frame with one u32 frame number per page. Those frames come from the reserve and go back (V7).
 */
export const MAP_DIRECTORY: u32 = 0x50000; // 1024 x u32
export const MAP_CHUNK: u32 = 1024;
/** The virtualized ranges of pages, in order: pairs of u32 first page and number of pages. */
export const MAP_RANGES: u32 = 0x51000;
export const MAP_RANGES_LIMIT: u32 = 64;

/** Memory manager words. */
export const RAM_PAGES: u32 = 0x2040; // u32 guest-physical pages
export const EPOCH: u32 = 0x2044; // u32 a page may be written without more ado only in the epoch in which it was settled
export const HOLDING: u32 = 0x2048; // u32 1 while a checkpoint holds pages of an earlier epoch
export const HOLD_SINCE: u32 = 0x204c; // u32 the open checkpoint needs no page that was last written in this epoch or before
export const MAP_COUNT: u32 = 0x2050; // u32 how many ranges are virtualized; 0: no P->M map exists or is consulted (V1)
export const URGENT_PAGE: u32 = 0x2054; // u32 page that the hart waits for the saver to save, + 1
export const HOLD_ABANDONED: u32 = 0x2058; // u32 1: the checkpoint has failed, nothing needs to be kept for it
/** Whether any page may have a flag that counts: PAGE_ABSENT | PAGE_UNTOUCHED. Slow paths look at PAGE_FLAGS only then. */
export const PAGE_CHECKS: u32 = 0x205c;
export const ABSENT_COUNT: u32 = 0x2060; // u32 pages that are absent
export const WANTED_PAGE: u32 = 0x2064; // u32 absent page that the hart waits for, + 1
export const PAGE_ARRIVALS: u32 = 0x2068; // u32 counts what the hart may wait for: pages that arrived, a wish to stop
export const TOUCH_COUNT: u32 = 0x206c; // u32 entries of TOUCH_LOG

/** Machine memory proper starts here. */
export const FRAMES: u32 = 0x4000000;
/** Guest-physical address of RAM. */
export const RAM_BASE: u64 = 0x80000000;

export const PAGE_SIZE: u32 = 4096;
