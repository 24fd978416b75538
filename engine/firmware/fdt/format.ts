// The flattened device tree, version 17 (Devicetree Specification 0.4, chapter 5). All numbers are big-endian.
//
// | offset | header field |
// |---|---|
// | 0 | magic |
// | 4 | total size |
// | 8 | offset of the structure block |
// | 12 | offset of the strings block |
// | 16 | offset of the memory reservation block |
// | 20 | version |
// | 24 | oldest version that a reader must know |
// | 28 | physical id of the boot CPU |
// | 32 | size of the strings block |
// | 36 | size of the structure block |

export const FDT_MAGIC = 0xd00dfeed;
export const FDT_VERSION = 17;
export const FDT_LAST_COMPATIBLE_VERSION = 16;
export const HEADER_SIZE = 40;
/** An entry of the memory reservation block: 64-bit address, 64-bit size; the block ends with an entry of zeroes. */
export const RESERVATION_SIZE = 16;

export const TOKEN_BEGIN_NODE = 1;
export const TOKEN_END_NODE = 2;
export const TOKEN_PROPERTY = 3;
export const TOKEN_NOP = 4;
export const TOKEN_END = 9;

/** Memory that the tree tells the operating system to leave alone. Bytes. */
export interface MemoryReservation {
  readonly at: number;
  readonly size: number;
}
