// What `afterimage disk` and its engine process say to each other: one command, progress, one result. Plain data.
// Paths are absolute or relative to the process's working directory; the process opens them, never the parent.
// At the end: what is said about the disks of a running machine.
import type { PlainError } from '../base/errors.ts';

export type DiskFormat = 'raw' | 'qcow2';

export interface ImageOptions {
  readonly clusterSize?: number;
  readonly extendedL2?: boolean;
  readonly version?: 2 | 3;
  readonly refcountBits?: number;
  readonly lazyRefcounts?: boolean;
  readonly preallocation?: 'off' | 'metadata' | 'falloc' | 'full';
  readonly compression?: 'deflate' | 'zstd';
}

/** What the file system that a disk lies on can do, with the programs that are there for it. */
export interface HostAbilities {
  /** Space that a guest discards is given back; without it, it stays in the file and is used again. */
  readonly discard: boolean;
  /** Copies share storage; without it, they are made byte by byte. */
  readonly reflink: boolean;
  /** Space can be reserved without being written to. */
  readonly preallocation: boolean;
}

interface OnFile {
  readonly file: string;
  /** Recorded in the command, never guessed from a raw disk's content. */
  readonly format: DiskFormat;
  /** For backing files whose format no image records. */
  readonly backingFormat?: DiskFormat;
}

export type DiskCommand =
  | {
      readonly kind: 'create';
      readonly file: string;
      readonly format: DiskFormat;
      /** Bytes; that of the backing file unless given. */
      readonly size?: number;
      readonly backing?: { readonly name: string; readonly format: DiskFormat };
      readonly options: ImageOptions;
    }
  | ({ readonly kind: 'info'; readonly backingChain: boolean } & OnFile)
  /** `giveUpLost`, with `repair`: entries that point nowhere read as zeroes from then on; else they stay, and fail. */
  | ({ readonly kind: 'check'; readonly repair: boolean; readonly giveUpLost?: boolean } & OnFile)
  | ({ readonly kind: 'map' } & OnFile)
  | ({
      readonly kind: 'convert';
      readonly to: string;
      readonly toFormat: DiskFormat;
      readonly compress: boolean;
      readonly options: ImageOptions;
    } & OnFile)
  | ({ readonly kind: 'compact'; readonly compress: boolean } & OnFile)
  /** `size` is absolute. */
  | ({
      readonly kind: 'resize';
      readonly size: number;
      readonly relative: boolean;
      readonly shrink: boolean;
      readonly force: boolean;
    } & OnFile)
  | ({
      readonly kind: 'rebase';
      /** Undefined for no backing file any more. */
      readonly backing: { readonly name: string; readonly format: DiskFormat } | undefined;
      /** Only change the name; the content may change with it. */
      readonly unsafe: boolean;
      readonly force: boolean;
    } & OnFile)
  | ({ readonly kind: 'commit'; readonly remove: boolean; readonly force: boolean } & OnFile)
  | ({ readonly kind: 'stream'; readonly base?: string } & OnFile)
  /** Jobs of the chain that a crash has interrupted; with `resume` they are brought to their end. */
  | ({ readonly kind: 'jobs'; readonly resume: boolean } & OnFile)
  | ({ readonly kind: 'bitmap' } & BitmapAction & OnFile)
  | ({
      readonly kind: 'bench';
      readonly count: number;
      readonly depth: number;
      readonly requestBytes: number;
      readonly write: boolean;
      readonly random: boolean;
    } & OnFile);

/** Dirty bitmaps: what was written since a named point. `map` goes on from a byte of the disk. */
export type BitmapAction =
  | { readonly action: 'list' }
  | { readonly action: 'add'; readonly name: string; readonly granularity?: number }
  | { readonly action: 'clear' | 'remove'; readonly name: string }
  | { readonly action: 'map'; readonly name: string; readonly from?: number };

export interface BitmapView {
  readonly name: string;
  /** Bytes of disk to a bit. */
  readonly granularity: number;
  readonly enabled: boolean;
  /** False when it has missed writes, as after a crash: then everything counts as changed. */
  readonly trusted: boolean;
}

export interface DirtyRangeView {
  readonly offset: number;
  readonly length: number;
}

export interface BitmapResult {
  readonly kind: 'bitmap';
  /** Those that the disk has now. */
  readonly bitmaps: readonly BitmapView[];
  /** For `map`, at most MOST_RANGES of them. */
  readonly ranges?: readonly DirtyRangeView[];
  /** Where the next `map` is to go on, when there are more. */
  readonly next?: number;
}

/** Ranges in one answer. */
export const MOST_RANGES = 65_536;

/** A job that a crash has interrupted, to be done again; what it has done already it finds done. */
export interface InterruptedJobView {
  readonly kind: 'commit' | 'stream';
  readonly layer: string;
  readonly base?: string;
}

export type DiskEvent =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'done'; readonly result: DiskResult }
  | { readonly kind: 'failed'; readonly error: PlainError };

export interface LayerInfo {
  readonly file: string;
  readonly format: DiskFormat;
  readonly virtualSize: number;
  readonly allocatedSize: number;
  readonly backing?: string;
  readonly backingFormat?: string;
  readonly version?: number;
  readonly clusterSize?: number;
  readonly extendedL2?: boolean;
  readonly refcountBits?: number;
  readonly compression?: string;
  readonly lazyRefcounts?: boolean;
  readonly snapshots?: readonly { readonly id: string; readonly name: string; readonly time: number }[];
}

export interface MapEntry {
  readonly start: number;
  readonly length: number;
  /** Layers between the top and the one that has it. */
  readonly depth: number;
  readonly kind: 'data' | 'zero';
  readonly compressed: boolean;
  /** In the layer's file, for data that is not compressed. */
  readonly offset?: number;
}

export type DiskResult =
  | { readonly kind: 'rebase' | 'commit' }
  /** `preallocation` as it was done, which is less than was asked for where the host cannot reserve space. */
  | {
      readonly kind: 'create' | 'convert';
      readonly preallocation: 'off' | 'metadata' | 'falloc' | 'full';
      readonly absent?: 'preallocation';
    }
  | { readonly kind: 'jobs'; readonly jobs: readonly InterruptedJobView[]; readonly resumed: boolean }
  | BitmapResult
  /** `host` is absent where nobody can tell, as in a folder that cannot be written to. */
  | { readonly kind: 'info'; readonly layers: readonly LayerInfo[]; readonly host?: HostAbilities }
  | {
      readonly kind: 'check';
      readonly corruptions: number;
      readonly leaks: number;
      readonly repaired: boolean;
      /** Entries that were given up: zeroes from now on. */
      readonly lost: number;
      readonly allocatedClusters: number;
      readonly end: number;
      readonly findings: readonly { readonly kind: string; readonly message: string; readonly offset: number }[];
    }
  | { readonly kind: 'map'; readonly entries: readonly MapEntry[] }
  | { readonly kind: 'compact'; readonly freed: number }
  | { readonly kind: 'resize'; readonly size: number }
  | { readonly kind: 'stream'; readonly unused: readonly string[] }
  | { readonly kind: 'bench'; readonly seconds: number; readonly requests: number; readonly bytes: number };

/** Work on the layers of a running machine's disk, given by its index. One job a disk at a time; legal while it runs. */
export interface RunningDiskJob {
  readonly disk: number;
  /**
   * `overlay`: a new layer on top. `commit`: a layer into the one below. `stream`: what lies below, down to `base`,
   * comes into the layer. `compact`: a layer is written anew without what it does not need. `copy`: of a frozen layer's
   * file to `to`. `check`: for damage. `resize`: a larger disk, of which the guest is told. `resume`: what a crash has
   * interrupted is done again, or put away.
   */
  readonly job: 'overlay' | 'commit' | 'stream' | 'compact' | 'copy' | 'check' | 'resize' | 'resume';
  /** The active one unless named. */
  readonly layer?: string;
  readonly base?: string;
  /** Layers that are neither changed nor removed. */
  readonly keep: readonly string[];
  readonly to?: string;
  readonly sparse?: boolean;
  /** Bytes of the disk. */
  readonly size?: number;
  readonly repair?: boolean;
  readonly compress?: boolean;
  /** For `overlay`: dirty bitmaps whose named point is the switch; the others go on. */
  readonly restartBitmaps?: readonly string[];
  readonly bytesPerSecond?: number;
}

/** What a job has to say at its end. */
export interface DiskJobOutcome {
  /** Layers that are not in the chain any more; their files are there. */
  readonly unused?: readonly string[];
  /** How a copy was made: sharing the host's storage, or byte by byte. */
  readonly method?: 'shared' | 'sparse' | 'full';
  /** Bytes that a file takes less. */
  readonly freed?: number;
  readonly size?: number;
  readonly check?: { readonly corruptions: number; readonly leaks: number; readonly repaired: boolean };
  /** How many interrupted jobs were done again. */
  readonly resumed?: number;
}

export type DiskJobCommand =
  /** Answered by `disk-job` events. */
  | ({ readonly kind: 'disk-job' } & RunningDiskJob)
  | { readonly kind: 'disk-job-cancel'; readonly disk: number }
  | { readonly kind: 'disk-job-limit'; readonly disk: number; readonly bytesPerSecond?: number }
  /** The answer to `disk-active`: it is durable. */
  | { readonly kind: 'disk-recorded'; readonly disk: number }
  /** Answered by `disk-bitmap` with the same request number. */
  | { readonly kind: 'disk-bitmap'; readonly disk: number; readonly request: number; readonly does: BitmapAction };

export type DiskJobEvent =
  | {
      readonly kind: 'disk-job';
      readonly disk: number;
      readonly job: RunningDiskJob['job'];
      readonly state: 'copying' | 'ready' | 'pivoting' | 'done' | 'failed' | 'cancelled';
      /** Bytes. */
      readonly done: number;
      readonly total: number;
      /** Of late. */
      readonly bytesPerSecond?: number;
      readonly outcome?: DiskJobOutcome;
      readonly error?: PlainError;
    }
  /** The machine's disk is about to be this file: to be recorded durably and answered by `disk-recorded`. */
  | { readonly kind: 'disk-active'; readonly disk: number; readonly file: string; readonly format: DiskFormat }
  | {
      readonly kind: 'disk-bitmap';
      readonly disk: number;
      readonly request: number;
      readonly result?: BitmapResult;
      readonly error?: PlainError;
    }
  /** A crash has interrupted these; `resume` goes on with them. Half-made files are removed already. */
  | { readonly kind: 'disk-interrupted'; readonly disk: number; readonly jobs: readonly InterruptedJobView[] };
