/**
 * A host file as plain bytes: the only door from disk code to the host. `engine/host` implements it over the host's
 * files; tests implement it in memory, record it, delay it or make it fail. Offsets and lengths are in bytes.
 * Failures are AfterimageError of kind `io`, `no-space` or `denied` with the file's name in the context.
 */
export interface HostFile {
  readonly name: string;
  readonly readonly: boolean;
  size(): Promise<number>;
  /** Fills all buffers from `at`, in order; bytes past the end of the file read as zero. */
  read(at: number, into: readonly Uint8Array[]): Promise<void>;
  /** Writes all buffers at `at`, in order, growing the file as needed. Not durable until `flush`. */
  write(at: number, from: readonly Uint8Array[]): Promise<void>;
  /** Returns when everything written before the call is durable (fsync). */
  flush(): Promise<void>;
  truncate(size: number): Promise<void>;
  /**
   * Gives the space of a range back to the host, after which it reads as zeroes. Both numbers are multiples of
   * `PUNCH_BYTES`. False where the host cannot do that or would gain too little; then any part may have become zeroes.
   * Not durable until `flush`.
   */
  punch?(at: number, length: number): Promise<boolean>;
  /**
   * Reserves space on the host for a range, which may lie past the end of the file and then makes it longer; what is there
   * stays. False where the host cannot do that. Errors: `no-space`.
   */
  allocate?(at: number, length: number): Promise<boolean>;
  close(): Promise<void>;
}

/** The unit in which space is given back to the host: a block of its file systems. */
export const PUNCH_BYTES = 4096;

/** The whole blocks that a range covers; undefined when it covers none. */
export function blocksWithin(at: number, length: number): { readonly at: number; readonly length: number } | undefined {
  const from = Math.ceil(at / PUNCH_BYTES) * PUNCH_BYTES;
  const to = Math.floor((at + length) / PUNCH_BYTES) * PUNCH_BYTES;
  return to > from ? { at: from, length: to - from } : undefined;
}

/**
 * A virtual disk, whatever its format. Requests may be many in flight; they are ordered only where they overlap, and
 * only by completion: a caller that needs order waits. Ranges outside `[0, size)` are refused with kind `usage`.
 */
export interface Disk {
  /** Virtual size in bytes, a multiple of 512. */
  readonly size: number;
  readonly readonly: boolean;
  read(offset: number, into: readonly Uint8Array[]): Promise<void>;
  write(offset: number, from: readonly Uint8Array[]): Promise<void>;
  /** Returns when every write that completed before the call is durable. */
  flush(): Promise<void>;
  /** The range's content is no longer needed: reads afterwards give zeroes or the old bytes. */
  discard(offset: number, length: number): Promise<void>;
  /** The range reads as zeroes afterwards. */
  writeZeroes(offset: number, length: number): Promise<void>;
  close(): Promise<void>;
}
