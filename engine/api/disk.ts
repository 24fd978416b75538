// What `afterimage disk` and its engine process say to each other: one command, progress, one result. Plain data.
// Paths are absolute or relative to the process's working directory; the process opens them, never the parent.
import type { PlainError } from '../base/errors.ts';

export type DiskFormat = 'raw' | 'qcow2';

export interface ImageOptions {
  readonly clusterSize?: number;
  readonly extendedL2?: boolean;
  readonly version?: 2 | 3;
  readonly refcountBits?: number;
  readonly lazyRefcounts?: boolean;
  readonly preallocation?: 'off' | 'metadata';
  readonly compression?: 'deflate' | 'zstd';
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
  | ({ readonly kind: 'check'; readonly repair: boolean } & OnFile)
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
  | ({ readonly kind: 'resize'; readonly size: number; readonly relative: boolean; readonly shrink: boolean } & OnFile)
  | ({
      readonly kind: 'rebase';
      /** Undefined for no backing file any more. */
      readonly backing: { readonly name: string; readonly format: DiskFormat } | undefined;
      /** Only change the name; the content may change with it. */
      readonly unsafe: boolean;
    } & OnFile)
  | ({ readonly kind: 'commit'; readonly remove: boolean } & OnFile)
  | ({ readonly kind: 'stream'; readonly base?: string } & OnFile)
  | ({
      readonly kind: 'bench';
      readonly count: number;
      readonly depth: number;
      readonly requestBytes: number;
      readonly write: boolean;
      readonly random: boolean;
    } & OnFile);

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
  | { readonly kind: 'create' | 'convert' | 'rebase' | 'commit' }
  | { readonly kind: 'info'; readonly layers: readonly LayerInfo[] }
  | {
      readonly kind: 'check';
      readonly corruptions: number;
      readonly leaks: number;
      readonly repaired: boolean;
      readonly allocatedClusters: number;
      readonly end: number;
      readonly findings: readonly { readonly kind: string; readonly message: string; readonly offset: number }[];
    }
  | { readonly kind: 'map'; readonly entries: readonly MapEntry[] }
  | { readonly kind: 'compact'; readonly freed: number }
  | { readonly kind: 'resize'; readonly size: number }
  | { readonly kind: 'stream'; readonly unused: readonly string[] }
  | { readonly kind: 'bench'; readonly seconds: number; readonly requests: number; readonly bytes: number };
