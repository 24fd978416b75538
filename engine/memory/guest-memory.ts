import type { GuestPhys, MachineAddress } from '../base/addresses.ts';

/** A run of bytes in machine memory (the shared WebAssembly.Memory). */
export interface MemorySegment {
  readonly address: MachineAddress;
  readonly length: number;
}

/**
 * Guest RAM as devices see it (DMA). Every method may be called on the hart thread only; addresses come from the
 * guest and are hostile, so every method says by its result whether the whole range lies in RAM and has no effect
 * when it does not. Writes take the same path as the hart's stores: the page is marked dirty, copied when it is held
 * by a checkpoint, and cached code in it is dropped (C4).
 */
export interface GuestMemory {
  /** Copies `into.length` bytes from guest-physical `at`; false when any byte is outside RAM. */
  read(at: GuestPhys, into: Uint8Array): boolean;
  /** Copies `from` to guest-physical `at`; false, and nothing written, when any byte is outside RAM. */
  write(at: GuestPhys, from: Uint8Array): boolean;
  /** Little-endian loads; undefined outside RAM. `u64` must fit in 53 bits to be useful as an address: larger values come back as Infinity. */
  readU16(at: GuestPhys): number | undefined;
  readU32(at: GuestPhys): number | undefined;
  readU64(at: GuestPhys): number | undefined;
  writeU16(at: GuestPhys, value: number): boolean;
  writeU32(at: GuestPhys, value: number): boolean;
  /**
   * The frames behind a guest-physical range, pinned until `unpin` so that they are neither moved nor saved
   * (DESIGN 4). For `device-writes` they are first made writable as for a store (C9). Neighbouring frames are joined
   * into one segment. Undefined when any byte is outside RAM; nothing is pinned then.
   */
  pin(at: GuestPhys, length: number, purpose: 'device-reads' | 'device-writes'): MemorySegment[] | undefined;
  unpin(segments: readonly MemorySegment[]): void;
  /** The bytes of a pinned segment, in place. */
  bytes(segment: MemorySegment): Uint8Array;
}
