// The numbers of FORMAT.md, and small helpers for its fields.
import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError, type ErrorContext } from '../base/errors.ts';

export const FORMAT_VERSION = 1;
export const HEADER_BYTES = 4096;
export const TRAILER_BYTES = 64;
export const HEADER_MAGIC = Uint8Array.of(0x89, 0x41, 0x46, 0x43, 0x4b, 0x0d, 0x0a, 0x1a);
export const TRAILER_MAGIC = Uint8Array.of(0x89, 0x41, 0x46, 0x45, 0x4e, 0x44, 0x0d, 0x0a);

export const IDENTITY_BYTES = 16;
export const SEAL_BYTES = 8;
export const BLOCK_PAGES = 16;
export const BLOCK_BYTES = BLOCK_PAGES * PAGE_SIZE;
export const MOST_SPACES = 33;
export const MOST_FEATURE_NAMES = 16;
export const MOST_SECTIONS = 64;
export const MOST_SECTION_BYTES = 64 * 2 ** 20;
export const MOST_INDEX_BYTES = 256 * 2 ** 20;
export const MOST_MEMORY_BYTES = 64 * 2 ** 30;
export const MOST_DISK_BYTES = 8 * 2 ** 40;

/** An identity or seal as the project passes it around: lower-case hexadecimal. */
export type Hex = string;

export function toHex(bytes: Uint8Array): Hex {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** @throws AfterimageError `usage` when the text is not `count` bytes in hexadecimal. */
export function fromHex(text: Hex, count: number): Uint8Array {
  if (text.length !== count * 2 || !/^[0-9a-f]*$/.test(text)) {
    throw new AfterimageError('usage', 'An identity is not hexadecimal of the right length', { text, count });
  }
  return Uint8Array.from({ length: count }, (_, index) => Number.parseInt(text.slice(index * 2, index * 2 + 2), 16));
}

export function isIdentity(text: unknown): text is Hex {
  return typeof text === 'string' && /^[0-9a-f]{32}$/.test(text);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A u64 as a number; those that a number does not hold exactly come out as infinity, so that every bound refuses them. */
export function readU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high >= 2 ** 21 ? Number.POSITIVE_INFINITY : high * 2 ** 32 + view.getUint32(at, true);
}

export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

export function allZero(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0);
}

/** Name fields: ASCII in a zero-padded field; undefined when it is anything else. */
export function readName(field: Uint8Array, pattern: RegExp): string | undefined {
  const end = field.indexOf(0);
  const used = end < 0 ? field : field.subarray(0, end);
  if (!allZero(field.subarray(used.length))) return undefined;
  const name = String.fromCharCode(...used);
  return pattern.test(name) ? name : undefined;
}

export function writeName(field: Uint8Array, name: string): void {
  for (let index = 0; index < name.length; index += 1) field[index] = name.charCodeAt(index);
}

export const NAME_PATTERN = /^[a-z0-9-]{1,16}$/;

/** Where in a checkpoint file something is wrong. */
export interface Place {
  readonly file: string;
  readonly section: string;
  readonly offset?: number;
}

/** The error for a file that breaks its format. */
export function damaged(what: string, place: Place, more: ErrorContext = {}, cause?: unknown): AfterimageError {
  const options = cause === undefined ? {} : { cause };
  return new AfterimageError('corrupt', `The checkpoint is damaged: ${what}`, { ...place, ...more }, options);
}

export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE);
}
