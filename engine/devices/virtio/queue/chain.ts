import { type GuestPhys, guestPhys } from '../../../base/addresses.ts';
import type { GuestMemory } from '../../../memory/guest-memory.ts';

/** A run of guest-physical bytes named by one descriptor: never empty, ends below 2^53, not known to be RAM. */
export interface GuestRange {
  readonly address: GuestPhys;
  readonly length: number;
}

/** One request of the driver: what the device may read, then what it may write (virtio 1.2, section 2.7.4). */
export class Chain {
  /** Index of the first descriptor: names the chain in the used ring. */
  readonly head: number;
  /** Which life of the queue it belongs to: a chain of a former life is never returned to the driver. */
  readonly life: number;
  readonly readable: GuestRange[] = [];
  readonly writable: GuestRange[] = [];
  readableLength = 0;
  writableLength = 0;

  constructor(head: number, life: number) {
    this.head = head;
    this.life = life;
  }
}

/** The part of `ranges` from byte `start` on, `length` bytes long or up to the end. */
export function sliceRanges(ranges: readonly GuestRange[], start: number, length: number): GuestRange[] {
  const part: GuestRange[] = [];
  let skip = start;
  let left = length;
  for (const range of ranges) {
    if (left === 0) break;
    if (skip >= range.length) {
      skip -= range.length;
      continue;
    }
    const taken = Math.min(range.length - skip, left);
    part.push({ address: guestPhys(range.address + skip), length: taken });
    left -= taken;
    skip = 0;
  }
  return part;
}

/** Fills `into` from the bytes of `ranges` at `start`; false when they end first or are not RAM. */
export function readRanges(
  memory: GuestMemory,
  ranges: readonly GuestRange[],
  start: number,
  into: Uint8Array,
): boolean {
  const first = ranges[0];
  if (start === 0 && first !== undefined && first.length >= into.length) return memory.read(first.address, into);
  let done = 0;
  for (const { address, length } of sliceRanges(ranges, start, into.length)) {
    if (!memory.read(address, into.subarray(done, done + length))) return false;
    done += length;
  }
  return done === into.length;
}

/** Writes `from` to the bytes of `ranges` at `start`; false when they end first or are not RAM. */
export function writeRanges(
  memory: GuestMemory,
  ranges: readonly GuestRange[],
  start: number,
  from: Uint8Array,
): boolean {
  let done = 0;
  for (const { address, length } of sliceRanges(ranges, start, from.length)) {
    if (!memory.write(address, from.subarray(done, done + length))) return false;
    done += length;
  }
  return done === from.length;
}
