// Little-endian reads of files whose bounds the caller has checked with `fits`.

/** Whether `length` bytes at `at` lie inside; both may come from the file itself. */
export function fits(bytes: Uint8Array, at: number, length: number): boolean {
  return at >= 0 && length >= 0 && at <= bytes.length && length <= bytes.length - at;
}

export function u16(bytes: Uint8Array, at: number): number {
  return view(bytes, at, 2).getUint16(0, true);
}

export function u32(bytes: Uint8Array, at: number): number {
  return view(bytes, at, 4).getUint32(0, true);
}

export function u64(bytes: Uint8Array, at: number): bigint {
  return view(bytes, at, 8).getBigUint64(0, true);
}

/** The number that a 64-bit field holds, or Infinity from 2^53 on: larger than any bound it can be checked against. */
export function u53(bytes: Uint8Array, at: number): number {
  const value = Number(u64(bytes, at));
  return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
}

export function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  if (!fits(bytes, at, text.length)) return false;
  for (let i = 0; i < text.length; i += 1) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

export function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

function view(bytes: Uint8Array, at: number, length: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at, length);
}
