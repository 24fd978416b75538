// Constants and configuration space of the block device (virtio 1.2, section 5.2).

export const BLOCK_DEVICE = 2;
export const SECTOR_BYTES = 512;
/** Section 5.2.6: type, reserved word, sector. */
export const HEADER_BYTES = 16;
/** One segment of a discard or write-zeroes request: sector, number of sectors, flags. */
export const SPAN_BYTES = 16;
export const ID_BYTES = 20;

export const FEATURE = {
  SEG_MAX: 2 ** 2,
  RO: 2 ** 5,
  BLK_SIZE: 2 ** 6,
  FLUSH: 2 ** 9,
  DISCARD: 2 ** 13,
  WRITE_ZEROES: 2 ** 14,
} as const;

export const TYPE = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, DISCARD: 11, WRITE_ZEROES: 13 } as const;
export const RESULT = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;
export const UNMAP = 1;

/** 1 GiB: a discard costs a disk little, but not nothing. */
export const DISCARD_SECTORS = 2 ** 21;
/** 64 MiB: a disk that must write the zeroes does so in well under a second. */
export const WRITE_ZEROES_SECTORS = 2 ** 17;
// What a discard frees: the granularity of our temporary and qcow2 overlay disks.
const DISCARD_ALIGNMENT_SECTORS = 8;

/** The fields of section 5.2.4 up to `write_zeroes_may_unmap`, padded to a word. */
const CONFIG_BYTES = 60;

export function blockFeatures(readonly: boolean): number {
  const common = FEATURE.SEG_MAX | FEATURE.BLK_SIZE | FEATURE.FLUSH;
  return readonly ? common | FEATURE.RO : common | FEATURE.DISCARD | FEATURE.WRITE_ZEROES;
}

export function blockConfig(size: number, readonly: boolean, segments: number): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  const view = new DataView(bytes.buffer);
  setCapacity(bytes, size);
  view.setUint32(12, segments, true);
  view.setUint32(20, SECTOR_BYTES, true);
  if (readonly) return bytes;
  view.setUint32(36, DISCARD_SECTORS, true);
  view.setUint32(40, 1, true);
  view.setUint32(44, DISCARD_ALIGNMENT_SECTORS, true);
  view.setUint32(48, WRITE_ZEROES_SECTORS, true);
  view.setUint32(52, 1, true);
  view.setUint8(56, 1);
  return bytes;
}

/** Sets the size in bytes. */
export function setCapacity(config: Uint8Array, size: number): void {
  new DataView(config.buffer, config.byteOffset).setBigUint64(0, BigInt(Math.floor(size / SECTOR_BYTES)), true);
}

/** The disk's name as GET_ID gives it: at most 20 bytes of ASCII, filled up with zeroes. */
export function blockId(name: string): Uint8Array {
  const id = new Uint8Array(ID_BYTES);
  id.set(new TextEncoder().encode(name).subarray(0, ID_BYTES));
  return id;
}
