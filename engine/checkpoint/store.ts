import type { HostFile } from '../disk/disk.ts';
import type { Hex } from './format.ts';

/** Bytes being stored under an identity. They are there for others from the end of `complete`, or never. */
export interface StoreDraft {
  readonly file: HostFile;
  /** Makes them durable and gives them their name, replacing what had it, in one step. Closes the file. */
  complete(): Promise<void>;
  /** Leaves nothing behind. Closes the file. Does not throw. */
  abort(): Promise<void>;
}

export interface StoredCheckpoint {
  readonly id: Hex;
  readonly bytes: number;
}

/** Where checkpoints are kept (C15). A file that is open stays readable when it is replaced or removed. */
export interface CheckpointStore {
  /** False for memory: what is there is gone with the process. */
  readonly durable: boolean;
  /** What is in it cannot be reached now, and is not gone for that. */
  readonly lost?: boolean;
  begin(id: Hex): Promise<StoreDraft>;
  /** @throws AfterimageError `missing` */
  open(id: Hex): Promise<HostFile>;
  list(): Promise<readonly StoredCheckpoint[]>;
  /** Durable when it returns. One that is not there is fine. */
  remove(id: Hex): Promise<void>;
  /** Removes what interrupted work left; the number of bytes freed. No draft may be open. */
  sweep(): Promise<number>;
}
