// The P→M map of a running machine as others see it. Plain data. Pages are of 4096 bytes, from the start of RAM.

/** Bits of a page's byte in `MemoryView.pages`; none: identity, unvirtualized, written before. */
export const PAGE_BITS = {
  /** The P→M map counts for it. */
  virtualized: 1,
  /** In another frame than its own. */
  remapped: 2,
  /** The open checkpoint still has to save it. */
  held: 4,
  /** Its frame has other owners too. */
  shared: 8,
  /** Never written. */
  zero: 16,
  /** Written since the last complete checkpoint. */
  dirty: 32,
  /** A device is about to fill it. */
  pinned: 64,
  /** Of a lazy restore: still in the checkpoint's file only. */
  absent: 128,
} as const;

export type PageBit = keyof typeof PAGE_BITS;

export interface MemoryView {
  readonly totalPages: number;
  readonly first: number;
  /** One byte per page, or per group of `group` pages: the bits that any page of the group has. */
  readonly pages: Uint8Array;
  readonly group: number;
  /** Of all pages, whatever was asked for. */
  readonly counts: Readonly<Record<PageBit, number>>;
  /** Page ranges whose P→M map counts; none: the machine is unvirtualized. */
  readonly virtualized: readonly { readonly first: number; readonly count: number }[];
  readonly freeFrames: number;
  /** Frames that hold the map itself. */
  readonly mapFrames: number;
  /** COW faults, copies and moves since the start. */
  readonly counters: Readonly<Record<string, number>>;
  /** Whether virtualizing, devirtualizing, sharing or scattering is under way. */
  readonly busy: boolean;
}

export interface PageRangeArgument {
  readonly first: number;
  readonly count: number;
}

export interface DevirtualizeArguments {
  readonly range?: PageRangeArgument;
  /** In slices beside the guest, or all at once (V9). */
  readonly mode?: 'concurrent' | 'paused';
  /** How the users of a frame are known (V10). */
  readonly reverse?: 'backmap' | 'refcount' | 'search';
}
