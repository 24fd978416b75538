// Ranges of pages as people type and read them: guest-physical addresses, from the start of RAM.
import type { PageRangeArgument } from '../../../engine/api/memory.ts';

export const PAGE_SIZE = 4096;
/** Where RAM begins in the guest's physical addresses, as in the `virt` machine. */
export const RAM_START = 0x8000_0000;

export function addressOfPage(page: number): string {
  return `0x${(RAM_START + page * PAGE_SIZE).toString(16)}`;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** Bytes of `64M`, `64 MiB`, `0x1000` or `4096`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const parts = /^\s*(0x[0-9a-f]+|\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?\s*$/i.exec(text);
  if (parts === null) return undefined;
  const value = Number(parts[1]) * (UNITS[parts[2]!.toLowerCase()] ?? 1);
  return Number.isFinite(value) ? Math.round(value) : undefined;
}

/**
 * From an offset into RAM and a length, both as typed; empty: from its start, to its end. Whole pages around what was
 * said. Undefined when it is not a range of this memory.
 */
export function parseRange(offset: string, length: string, totalPages: number): PageRangeArgument | undefined {
  const start = offset.trim() === '' ? 0 : parseSize(offset);
  if (start === undefined) return undefined;
  const first = Math.floor(start / PAGE_SIZE);
  const size = length.trim() === '' ? totalPages * PAGE_SIZE - start : parseSize(length);
  if (size === undefined || size <= 0) return undefined;
  const count = Math.ceil((start + size) / PAGE_SIZE) - first;
  return first + count <= totalPages && count > 0 ? { first, count } : undefined;
}
