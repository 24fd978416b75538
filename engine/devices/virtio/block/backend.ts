import type { MemorySegment } from '../../../memory/guest-memory.ts';

export type BlockRequestKind = 'read' | 'write' | 'flush' | 'discard' | 'write-zeroes';

/** What the device asks of the disk behind it. */
export interface BlockRequest {
  /** Number of the request on its device, never used twice: the same as in the device's list of requests in flight. */
  readonly id: number;
  readonly kind: BlockRequestKind;
  /** In bytes, within the disk and a multiple of 512, as is `length`. Both are 0 for a flush. */
  readonly offset: number;
  readonly length: number;
  /** For `read` and `write`: `length` bytes of pinned guest memory in order; empty for the others. */
  readonly segments: readonly MemorySegment[];
}

export type BlockStatus = 'ok' | 'io-error' | 'unsupported';

/**
 * The disk as the device sees it. Requests complete in any order; those that overlap take effect in the order of
 * submission. A flush covers the writes that completed before it was submitted.
 */
export interface BlockBackend {
  /** In bytes, a multiple of 512. May grow. */
  readonly size: number;
  readonly readonly: boolean;
  /** Has the listener called on the hart thread each time that the disk has got larger, with its size in bytes. */
  whenResized?(listener: (size: number) => void): void;
  /** `done` is called once, on the hart thread: later, or before `submit` returns. Never throws. */
  submit(request: BlockRequest, done: (status: BlockStatus) => void): void;
}
