// Checkpoints as everybody but the engine sees them. Plain data.
import type { Identity } from './machine.ts';

/**
 * What happens to pending reads whose pages the running machine writes meanwhile (C10, C11). `copy`: the result is
 * copied to the machine's page when it arrives. `reissue`: it is read again from the frozen disk; where a pending write
 * overlaps the read, the machine waits as with `wait`. `wait`: the machine stands still until all pending requests are
 * done, so its pause is as long as the disk takes.
 */
export type PendingStrategy = 'copy' | 'reissue' | 'wait';

export interface TakeArguments {
  /** Up to 200 characters; a name made from the time when absent. */
  readonly name?: string;
  /** Up to 16,384 characters. */
  readonly note?: string;
  readonly origin?: 'manual' | 'automatic';
  /** Save everything, not only what changed since the checkpoint before (C17). */
  readonly full?: boolean;
  /** `file`, the default; `ram`; or `raw:` and the path of a preallocated raw file or block device (C15). */
  readonly store?: string;
  readonly pending?: PendingStrategy;
  /** Give the checkpoint its own copy of the disks instead of pointing to the frozen layers (C12, C14). */
  readonly copyDisks?: boolean;
  /** The console as text when it was taken, for thumbnails; made by whoever draws the console. */
  readonly screen?: ScreenText;
}

export interface ScreenText {
  readonly columns: number;
  readonly rows: number;
  /** At most 500, each up to 4096 characters. */
  readonly lines: readonly string[];
}

export interface TakenCheckpoint {
  readonly id: Identity;
  readonly parent?: Identity;
  readonly name: string;
  /** How long the hart did not execute. */
  readonly pauseMicroseconds: number;
  /** From the call to the end: everything durable. */
  readonly durationMilliseconds: number;
  /** Pages with content that were saved. */
  readonly pages: number;
  readonly zeroPages: number;
  /** Size of the file. */
  readonly bytes: number;
  /** Requests that were pending at the moment. */
  readonly pendingRequests: number;
  readonly incremental: boolean;
}

export interface CheckpointNode {
  readonly id: Identity;
  /** The checkpoint that it was taken after. */
  readonly parent?: Identity;
  readonly name: string;
  readonly note: string;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  readonly origin: 'manual' | 'automatic';
  readonly protected: boolean;
  /** `file`, `ram` or `raw`. */
  readonly store: string;
  /** Whether it is still there when the machine's process ends. */
  readonly durable: boolean;
  readonly pauseMicroseconds: number;
  /** Of its own file; absent when the file is missing or unreadable. */
  readonly bytes?: number;
  /** Takes pages from this one's file, which may be deleted from the list. */
  readonly base?: Identity;
  /** The machine's present state comes from it. */
  readonly current: boolean;
}

export interface CheckpointTreeView {
  readonly nodes: readonly CheckpointNode[];
  readonly current?: Identity;
  /** Bytes of files that are kept only because listed checkpoints take pages from them. */
  readonly hiddenBytes: number;
}

/** More about one node, which takes reading its file. */
export interface CheckpointDetails extends CheckpointNode {
  readonly ownBytes: number;
  /** Bytes that it takes from other files. */
  readonly sharedBytes: number;
  readonly memory: number;
  readonly pages: number;
  readonly pendingRequests: number;
  readonly disks: readonly { readonly device: string; readonly layer?: string; readonly size: number }[];
  readonly screen?: ScreenText;
}

export interface Comparison {
  readonly from: Identity;
  readonly to: Identity;
  /** Pages of memory that differ in content, those included that only one has. */
  readonly changedPages: number;
  readonly totalPages: number;
  /** Bytes that differ, in blocks of 4 KiB; absent when only one of the two has the disk. */
  readonly disks: readonly { readonly device: string; readonly changedBytes?: number; readonly size: number }[];
}

export interface TreeProblem {
  readonly id?: Identity;
  readonly message: string;
}

export interface TreeVerification {
  readonly checkpoints: number;
  readonly pages: number;
  readonly problems: readonly TreeProblem[];
}

export interface RestoreArguments {
  readonly id: Identity;
  /** First take a checkpoint of the present state: "save, then switch" as one step. */
  readonly keepCurrent?: boolean;
  /** Leave the machine paused at its first instruction. */
  readonly paused?: boolean;
}

export interface Restored {
  readonly id: Identity;
  /** The checkpoint of the state that was left, when it was kept. */
  readonly kept?: Identity;
  /** From the call to the first instruction. */
  readonly milliseconds: number;
}

/** What a checkpoint file to be imported says of itself; nothing of it is trusted. */
export interface ImportPreview {
  readonly name: string;
  readonly note: string;
  readonly takenAt: number;
  readonly memory: number;
  readonly machineName: string;
  readonly disks: readonly { readonly device: string; readonly size: number }[];
  readonly bytes: number;
  /** Written by this program's version. */
  readonly writer: string;
  readonly screen?: ScreenText;
}
