import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import type { BlockCodecs } from './codecs.ts';
import { CheckpointFile } from './file-reader.ts';
import type { Hex } from './format.ts';
import { Queue } from './queue.ts';
import { checkCancelled, copySections, copySpace, type JobOptions } from './rewrite.ts';
import type { CheckpointStore } from './store.ts';
import type { TreeRecord } from './tree-file.ts';
import type { DeleteOptions, FileFacts } from './tree-shapes.ts';
import { CheckpointWriter } from './writer.ts';

export interface MergerParts {
  readonly stores: ReadonlyMap<string, CheckpointStore>;
  readonly codecs: BlockCodecs;
  readonly facts: Map<Hex, FileFacts>;
  readonly records: () => ReadonlyMap<Hex, TreeRecord>;
  readonly pinned: (id: Hex) => boolean;
  readonly find: (id: Hex) => Promise<HostFile>;
  /** Reads the facts that are not known yet; false when a file that cannot be read now may build on others. */
  readonly learn: () => Promise<boolean>;
  /** Changes a node in the tree, durably; undefined takes it out. */
  readonly change: (id: Hex, change: Partial<TreeRecord> | undefined) => Promise<void>;
}

/**
 * Gets rid of hidden files. One that nobody takes pages from is removed; one that a single file takes pages from is
 * merged into that: a new file with the pages of both replaces it in one step, under the same identity and seal, so
 * nobody else notices. One that several take pages from stays as it is: copying it to each would cost space, not free it.
 * Nothing goes while it cannot be known who takes pages from it.
 */
export class TreeMerger {
  readonly #parts: MergerParts;
  readonly #queue = new Queue();
  readonly #removing = new Set<Hex>();

  constructor(parts: MergerParts) {
    this.#parts = parts;
  }

  get busy(): boolean {
    return this.#queue.busy;
  }

  isRemoving(id: Hex): boolean {
    return this.#removing.has(id);
  }

  /** Runs a task while no file is merged, moved or removed. */
  quiet<T>(task: () => Promise<T>): Promise<T> {
    return this.#queue.run(task);
  }

  collapse(options: DeleteOptions): Promise<number> {
    return this.#queue.run(async () => {
      if (!(await this.#parts.learn())) return 0;
      const before = this.#total();
      await this.#removeUnneeded();
      for (const [heir, chain] of this.#mergers(options.merge ?? 'now')) {
        checkCancelled(options);
        await this.#merge(heir, chain, options);
        await this.#removeUnneeded();
      }
      return before - this.#total();
    });
  }

  removeUnneeded(): Promise<void> {
    return this.#queue.run(async () => {
      if (await this.#parts.learn()) await this.#removeUnneeded();
    });
  }

  /** Hidden, and no file or pin needs it. */
  isUnneeded(id: Hex): boolean {
    const { records, pinned } = this.#parts;
    return records().get(id)?.hidden === true && !pinned(id) && this.#heirs(id).length === 0;
  }

  /** Rewrites a checkpoint in another store, together with the bases that are not durable when that store is. */
  move(id: Hex, store: string, options: JobOptions): Promise<void> {
    return this.#queue.run(async () => {
      const { records, facts, stores, change } = this.#parts;
      const from = records().get(id)?.store;
      // It may have been deleted while others were merged.
      if (from === undefined) throw new AfterimageError('missing', 'No such checkpoint', { id });
      if (from === store) return;
      const chain: Hex[] = [];
      const durable = stores.get(store)!.durable;
      for (let base = facts.get(id)?.base; durable && base !== undefined; base = facts.get(base)?.base) {
        if (stores.get(records().get(base)!.store)!.durable) break;
        chain.push(base);
      }
      await this.#rewrite(id, chain, store, options);
      await change(id, { store });
      await stores.get(from)!.remove(id);
    });
  }

  /** Until nothing more goes: removing one may make its base unneeded. */
  async #removeUnneeded(): Promise<void> {
    for (;;) {
      const id = [...this.#parts.records().keys()].find(one => this.isUnneeded(one) && !this.#removing.has(one));
      if (id === undefined) return;
      // From here on nobody can begin to build on it.
      this.#removing.add(id);
      try {
        const store = this.#parts.stores.get(this.#parts.records().get(id)!.store);
        // The file first: a hidden node without a file is forgotten when the tree is opened, a file without a node stays.
        await store?.remove(id);
        await this.#parts.change(id, undefined);
        this.#parts.facts.delete(id);
      } finally {
        this.#removing.delete(id);
      }
    }
  }

  #heirs(id: Hex): Hex[] {
    return [...this.#parts.facts].filter(([, facts]) => facts.base === id).map(([heir]) => heir);
  }

  #total(): number {
    return [...this.#parts.facts.values()].reduce((sum, facts) => sum + facts.bytes, 0);
  }

  /** Each file that is to take over a row of hidden bases, nearest first. */
  *#mergers(policy: 'now' | 'when-worth' | 'later'): Generator<[heir: Hex, chain: Hex[]]> {
    const { facts, records } = this.#parts;
    for (const [heir] of [...facts]) {
      const own = records().get(heir);
      // A hidden file with one heir is itself part of a row that ends at that heir or further on.
      if (own === undefined || (own.hidden && this.#heirs(heir).length < 2)) continue;
      const chain: Hex[] = [];
      let bytes = facts.get(heir)!.bytes;
      for (let base = facts.get(heir)?.base; base !== undefined; base = facts.get(base)?.base) {
        if (!this.#canTakeOver(own, base)) break;
        const size = facts.get(base)!.bytes;
        if (policy === 'when-worth' && size > 2 * bytes) break;
        chain.push(base);
        bytes += size;
      }
      if (chain.length > 0) yield [heir, chain];
    }
  }

  #canTakeOver(heir: TreeRecord, base: Hex): boolean {
    const { records, stores, pinned } = this.#parts;
    const record = records().get(base);
    if (record === undefined || !record.hidden || pinned(base) || this.#heirs(base).length !== 1) return false;
    // What is kept does not move into memory; it waits until the one in memory is dropped or persisted.
    return stores.get(heir.store)?.durable === true || stores.get(record.store)?.durable === false;
  }

  async #merge(heir: Hex, chain: readonly Hex[], options: JobOptions): Promise<void> {
    await this.#rewrite(heir, chain, this.#parts.records().get(heir)!.store, options);
  }

  /** Writes a checkpoint anew with the pages that it takes from `chain`, its nearest bases. */
  async #rewrite(id: Hex, chain: readonly Hex[], store: string, options: JobOptions): Promise<void> {
    const { stores, codecs, find, facts } = this.#parts;
    const files: CheckpointFile[] = [];
    const draft = await stores.get(store)!.begin(id);
    let writer: CheckpointWriter | undefined;
    try {
      for (const one of [id, ...chain]) {
        const file = await find(one);
        files.push(
          await CheckpointFile.open(file, codecs).catch(async thrown => {
            await file.close();
            throw thrown;
          }),
        );
      }
      const { parent: _, ...header } = files[0]!.header;
      const { parent } = files.at(-1)!.header;
      const { seal } = files[0]!.outline.trailer;
      writer = CheckpointWriter.begin(draft.file, parent === undefined ? header : { ...header, parent }, codecs, seal);
      for (const space of header.spaces.keys()) await copySpace(files, space, writer, options);
      await copySections(files[0]!, writer);
      const written = await writer.finish();
      // The last moment: from here on it happens.
      checkCancelled(options);
      await draft.complete();
      facts.set(id, { seal, bytes: written.bytes, ...(parent === undefined ? {} : { base: parent.id }) });
    } catch (thrown) {
      await writer?.abort();
      await draft.abort();
      throw thrown;
    } finally {
      await Promise.allSettled(files.map(file => file.close()));
    }
  }
}
