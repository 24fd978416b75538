// Space on the host for the data of a new disk, before anything is written to it.
import type { HostFile } from './disk.ts';

/**
 * `off`: space is taken when it is written to. `metadata`: qcow2 clusters have their place, not their space. `falloc`: the
 * host's file system reserves the space. `full`: zeroes are written, whatever the file system can do.
 */
export type Preallocation = 'off' | 'metadata' | 'falloc' | 'full';

/** Zeroes are written in pieces of this size. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Gives the end of a new file its space. Returns false where the host cannot reserve any; then nothing is reserved.
 * Errors: `no-space`.
 */
export async function reserveSpace(file: HostFile, at: number, end: number, how: Preallocation): Promise<boolean> {
  if (at >= end || how === 'off' || how === 'metadata') return true;
  if (how === 'falloc') return (await file.allocate?.(at, end - at)) ?? false;
  const zeroes = new Uint8Array(Math.min(PIECE_BYTES, end - at));
  for (let from = at; from < end; from += zeroes.length) {
    await file.write(from, [zeroes.subarray(0, Math.min(zeroes.length, end - from))]);
  }
  return true;
}
