// What the boot ROM holds: the first instructions of a machine with its own firmware, and the facts that they hand
// over. The register contents at the jump are those of QEMU's `virt`: a0 = hart id, a1 = device tree, a2 = the
// structure by which OpenSBI's fw_dynamic learns what to start next.

export const BOOT_ROM_AT = 0x1000;
export const BOOT_ROM_SIZE = 0xf000;

export interface ResetVector {
  /** Where the firmware begins. */
  readonly start: number;
  readonly treeAt: number;
  /** What fw_dynamic starts in S-mode; 0 for nothing. */
  readonly next: number;
}

// Byte offsets in the ROM.
const START_AT = 24;
const TREE_AT = 32;
const FW_DYNAMIC_INFO_AT = 40;
const FW_DYNAMIC_INFO_SIZE = 48;

/** Where a2 points. */
export const FW_DYNAMIC_INFO_ADDRESS = BOOT_ROM_AT + FW_DYNAMIC_INFO_AT;

// OpenSBI's include/sbi/fw_dynamic.h.
const FW_DYNAMIC_MAGIC = 0x4942534fn; // OSBI
/** Version 2 is the first that names the boot hart. */
const FW_DYNAMIC_VERSION = 2n;
const NEXT_MODE_SUPERVISOR = 1n;

// Register numbers of the calling convention.
const T0 = 5;
const A0 = 10;
const A1 = 11;
const A2 = 12;
const CSR_MHARTID = 0xf14;

/** The ROM's content from its first byte; the rest of the window is zero. */
export function resetVector({ start, treeAt, next }: ResetVector): Uint8Array {
  const rom = new Uint8Array(FW_DYNAMIC_INFO_AT + FW_DYNAMIC_INFO_SIZE);
  const view = new DataView(rom.buffer);
  const code = [
    auipc(T0, 0),
    addi(A2, T0, FW_DYNAMIC_INFO_AT),
    csrRead(A0, CSR_MHARTID),
    ld(A1, T0, TREE_AT),
    ld(T0, T0, START_AT),
    jumpTo(T0),
  ];
  for (const [index, instruction] of code.entries()) view.setUint32(index * 4, instruction, true);
  view.setBigUint64(START_AT, BigInt(start), true);
  view.setBigUint64(TREE_AT, BigInt(treeAt), true);
  const options = 0n;
  const bootHart = 0n;
  const info = [FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, BigInt(next), NEXT_MODE_SUPERVISOR, options, bootHart];
  for (const [index, value] of info.entries()) view.setBigUint64(FW_DYNAMIC_INFO_AT + index * 8, value, true);
  return rom;
}

const auipc = (rd: number, upper: number): number => ((upper << 12) | (rd << 7) | 0x17) >>> 0;
const addi = (rd: number, rs: number, value: number): number => ((value << 20) | (rs << 15) | (rd << 7) | 0x13) >>> 0;
const ld = (rd: number, rs: number, offset: number): number =>
  ((offset << 20) | (rs << 15) | (3 << 12) | (rd << 7) | 0x03) >>> 0;
/** csrrs rd, csr, x0 */
const csrRead = (rd: number, csr: number): number => ((csr << 20) | (2 << 12) | (rd << 7) | 0x73) >>> 0;
/** jalr x0, 0(rs) */
const jumpTo = (rs: number): number => ((rs << 15) | 0x67) >>> 0;
