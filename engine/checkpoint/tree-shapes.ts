// What a tree of checkpoints is given and gives.
import type { BlockCodecs } from './codecs.ts';
import type { Folder } from './folder.ts';
import type { Hex } from './format.ts';
import type { Space } from './header.ts';
import type { JobOptions } from './rewrite.ts';
import type { CheckpointStore } from './store.ts';
import type { TreeRecord } from './tree-file.ts';
import type { CheckpointTrailer, CheckpointWriter, WrittenCheckpoint } from './writer.ts';

export interface TreeParts {
  /** Where `tree.json` is. */
  readonly folder: Folder;
  /** Stores by name, e.g. `file`, `ram`. The names are recorded in the tree. */
  readonly stores: ReadonlyMap<string, CheckpointStore>;
  readonly machine: Hex;
  readonly codecs: BlockCodecs;
  /** Random bytes for identities. */
  readonly random: (count: number) => Uint8Array;
}

/** What a file says about itself, read when the tree is opened. */
export interface FileFacts {
  /** The checkpoint whose pages it builds on. */
  readonly base?: Hex;
  readonly seal: Hex;
  readonly bytes: number;
}

/** A checkpoint as others see it. */
export interface TreeNode extends Omit<TreeRecord, 'hidden'> {
  /** Size of its own file; undefined when the file is missing or unreadable. */
  readonly bytes?: number;
  /** Nearest base that its file takes pages from, deleted ones included. */
  readonly base?: Hex;
  readonly current: boolean;
  readonly durable: boolean;
}

export interface TakeOptions {
  readonly store: string;
  /** Save only what changed since this one, which is in the tree. Without it the checkpoint is complete. */
  readonly base?: Hex;
  readonly spaces: readonly Space[];
  /** The node it comes after; the current one unless said. */
  readonly parent?: Hex;
}

/** A checkpoint being taken: pages and sections go to `writer`; it is listed from the end of `complete`, or never. */
export interface TreeDraft {
  readonly id: Hex;
  readonly writer: CheckpointWriter;
  /** Also makes it the current position. After a failure nothing is listed, and `abort` has been done. */
  complete(trailer: CheckpointTrailer): Promise<WrittenCheckpoint>;
  abort(): Promise<void>;
}

export interface DeleteOptions extends JobOptions {
  /**
   * When files that only one other needs are merged into it. `now` frees what can be freed. `when-worth` merges only
   * files of like size, as log-structured stores do, so that letting the oldest go again and again never rewrites a
   * large base each time. `later` leaves it to `collapse`.
   */
  readonly merge?: 'now' | 'when-worth' | 'later';
}
