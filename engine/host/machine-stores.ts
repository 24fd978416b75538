// Where a machine's checkpoints are kept (C15): files of its folder, memory of this process, raw media.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { AfterimageError } from '../base/errors.ts';
import { FileStore } from '../checkpoint/file-store.ts';
import { MemoryStore } from '../checkpoint/memory-store.ts';
import { RawMedium } from '../checkpoint/raw-medium.ts';
import type { CheckpointStore } from '../checkpoint/store.ts';
import { CheckpointTree } from '../checkpoint/tree.ts';
import { TREE_FILE } from '../checkpoint/tree-file.ts';
import { blockCodecs } from './checkpoint-codecs.ts';
import { CheckpointFolder, isExclusive, openMedium } from './checkpoint-folder.ts';
import { FileLock } from './file-lock.ts';
import { LostStore } from './lost-store.ts';
import { CHECKPOINTS, type MachineFolder } from './machine-folder.ts';

export const FILE = 'file';
const RAM = 'ram';
const RAW = 'raw:';
/** Of the host's memory; checkpoints in RAM must not push the machine itself out. */
const RAM_SHARE = 0.5;
/** Looked at before a medium is formatted: what has anything there is somebody's. */
const BLANK_BYTES = 1024 * 1024;

/** The stores of one machine by their names in the tree. */
export class MachineStores {
  readonly byName = new Map<string, CheckpointStore>();
  readonly #folder: MachineFolder;
  readonly #media: { close(): Promise<void> }[] = [];

  private constructor(folder: MachineFolder) {
    this.#folder = folder;
    this.byName.set(FILE, new FileStore(new CheckpointFolder(folder.inside(CHECKPOINTS))));
    this.byName.set(RAM, new MemoryStore(Math.floor(os.totalmem() * RAM_SHARE)));
  }

  /** A medium that is not there now, or not usable, does not stop the machine; its checkpoints cannot be read then. */
  static async open(folder: MachineFolder): Promise<MachineStores> {
    const stores = new MachineStores(folder);
    for (const medium of folder.process.media ?? []) {
      await stores.#openMedium(medium, false).catch(() => stores.#lose(medium));
    }
    return stores;
  }

  /**
   * The tree of checkpoints. A list that is lost or damaged is made anew from the checkpoints themselves, with the names
   * that they had when they were taken; the damaged one stays beside it.
   */
  async openTree(warn: (error: AfterimageError) => void = () => undefined): Promise<CheckpointTree> {
    const folder = this.#folder.inside(CHECKPOINTS);
    const parts = treeParts(folder, this.#folder.record.id, this.byName);
    const listed = existsSync(path.join(folder, TREE_FILE));
    try {
      if (listed || (await this.byName.get(FILE)!.list()).length === 0) return await CheckpointTree.open(parts);
    } catch (thrown) {
      const error = AfterimageError.from(thrown);
      if (error.kind !== 'corrupt') throw error;
      await rename(path.join(folder, TREE_FILE), path.join(folder, `${TREE_FILE}.damaged-${Date.now()}`));
      warn(
        new AfterimageError(
          'corrupt',
          'The list of checkpoints is damaged; it is made anew from their files',
          error.context,
        ),
      );
      return await CheckpointTree.rebuild(parts);
    }
    warn(
      new AfterimageError('missing', 'The list of checkpoints is lost; it is made anew from their files', {
        path: folder,
      }),
    );
    return await CheckpointTree.rebuild(parts);
  }

  /** The name in the tree of a store that a user has named; opens a raw medium, and formats it when it is blank. */
  async use(store: string): Promise<string> {
    if (!store.startsWith(RAW)) return store;
    const medium = path.resolve(this.#folder.path, store.slice(RAW.length));
    const name = RAW + medium;
    const known = this.byName.get(name);
    if (known === undefined || known instanceof LostStore) {
      await this.#openMedium(medium, true);
      await this.#folder.change(({ process }) => ({
        process: { media: [...new Set([...(process.media ?? []), medium])] },
      }));
    }
    return name;
  }

  #lose(medium: string): void {
    const find = async () => {
      await this.#openMedium(medium, false);
      return this.byName.get(RAW + medium)!;
    };
    this.byName.set(RAW + medium, new LostStore(medium, find));
  }

  async close(): Promise<void> {
    for (const medium of this.#media) await medium.close();
  }

  async #openMedium(medium: string, format: boolean): Promise<void> {
    const lock = (await isExclusive(medium)) ? undefined : await FileLock.take(medium, 'write');
    try {
      const file = await openMedium(medium);
      try {
        const start = new Uint8Array(BLANK_BYTES);
        await file.read(0, [start]);
        if (format && start.every(byte => byte === 0)) await RawMedium.format(file, { bytes: await file.size() });
        const opened = await RawMedium.open(file);
        this.byName.set(RAW + medium, opened);
        this.#media.push({ close: () => opened.close().finally(() => lock?.release()) });
      } catch (thrown) {
        await file.close();
        const error = AfterimageError.from(thrown);
        if (error.kind !== 'corrupt' || !format) throw error;
        throw new AfterimageError(
          'state',
          'It holds something that is not ours; fill its first MiB with zeroes if it may be overwritten',
          { path: medium },
          { cause: error },
        );
      }
    } catch (thrown) {
      lock?.release();
      throw thrown;
    }
  }
}

/** What a tree in a folder needs. */
export function treeParts(folder: string, machine: string, stores: ReadonlyMap<string, CheckpointStore>) {
  return {
    folder: new CheckpointFolder(folder),
    stores,
    machine,
    codecs: blockCodecs,
    random: (count: number) => new Uint8Array(randomBytes(count)),
  };
}

/** As a user sees it. */
export function storeKind(name: string): string {
  return name.startsWith(RAW) ? 'raw' : name;
}
