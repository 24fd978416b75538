import { viewOf, writeU64 } from './bytes.ts';
import type { DirtyPart } from './cache.ts';
import type { Layout } from './layout.ts';
import { MOST_PENDING_FREES } from './limits.ts';
import type { Grace } from './locks.ts';
import type { Mapping, TableSector } from './mapping.ts';
import type { Extent, Refcounts, TableChange } from './refcounts.ts';
import type { Storage } from './storage.ts';

/** Header fields that name the refcount table: its offset and its length in clusters. */
const REFCOUNT_TABLE_AT = 48;

interface Changes {
  readonly refcounts: DirtyPart[];
  readonly table: TableChange;
  readonly l2: DirtyPart[];
  readonly l1: TableSector[];
  readonly released: Extent[];
}

/**
 * Brings metadata from memory to the file in an order that no power cut can turn into damage:
 *
 * 1. refcounts that count all references, and data: durable;
 * 2. refcount table, then the header's pointer to it if it moved: durable;
 * 3. L2 entries, which may now point to what is there and counted: durable;
 * 4. L1 entries, which may now point to whole L2 tables: durable;
 * 5. only then references are taken away from clusters that nothing points to any more.
 *
 * A cut in between leaves clusters counted that nothing uses (leaks), never the other way round. What changes while a
 * commit runs is left to the next one: each writes copies of what was there when it began.
 */
export class Committer {
  readonly #storage: Storage;
  readonly #layout: Layout;
  readonly #grace: Grace;
  #mapping!: Mapping;
  #refcounts!: Refcounts;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  readonly #freeing = new Set<Promise<void>>();

  constructor(storage: Storage, layout: Layout, grace: Grace) {
    this.#storage = storage;
    this.#layout = layout;
    this.#grace = grace;
  }

  /** Says what to commit; once, before all else. */
  attach(mapping: Mapping, refcounts: Refcounts): void {
    this.#mapping = mapping;
    this.#refcounts = refcounts;
  }

  /** Makes durable all that was complete before the call. Callers that come together share one commit. */
  flush(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start();
    this.#next = this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#start();
      });
    return this.#next;
  }

  #start(): Promise<void> {
    const running = this.#commit().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  /** Whether nothing waits to be made durable. */
  get idle(): boolean {
    if (this.#running !== undefined || this.#next !== undefined) return false;
    return !this.#mapping.dirty && !this.#refcounts.dirty && this.#storage.durable;
  }

  /** Waits until more metadata may be made dirty and more clusters released. */
  room = async (): Promise<void> => {
    while (
      this.#mapping.cache.full ||
      this.#refcounts.cache.full ||
      this.#refcounts.releasedClusters > MOST_PENDING_FREES
    ) {
      await this.flush();
    }
  };

  /** Whether `room` would return at once. */
  get hasRoom(): boolean {
    const { cache, releasedClusters } = this.#refcounts;
    return !this.#mapping.cache.full && !cache.full && releasedClusters <= MOST_PENDING_FREES;
  }

  /** Commits until nothing is left to do, freed clusters included. Nothing else runs on the image meanwhile. */
  async settle(): Promise<void> {
    for (;;) {
      await this.flush();
      await Promise.all(this.#freeing);
      if (!this.#refcounts.dirty && !this.#mapping.dirty && this.#storage.durable) return;
    }
  }

  async #commit(): Promise<void> {
    const changes = this.#take();
    const { refcounts, table, l2, l1, released } = changes;
    try {
      await this.#writeParts(refcounts);
      const tableChanged = table.sectors.length > 0 || table.moved !== undefined;
      if (tableChanged || l2.length > 0 || l1.length > 0) await this.#settleFile();
      if (tableChanged) await this.#writeTable(table);
      await this.#writeParts(l2);
      if (l1.length > 0) {
        await this.#settleFile();
        for (const { at, bytes } of l1) await this.#storage.write(at, [bytes]);
      }
      await this.#settleFile();
    } catch (thrown) {
      this.#restore(changes);
      throw thrown;
    }
    this.#refcounts.cache.written(refcounts);
    this.#mapping.cache.written(l2);
    if (table.replaced !== undefined) released.push(table.replaced);
    if (released.length > 0) this.#free(released);
  }

  /** Everything in one step, so that no reference is taken without its count. */
  #take(): Changes {
    const { clusterSize } = this.#storage;
    const changes: Changes = {
      refcounts: this.#refcounts.cache.takeDirty(),
      table: this.#refcounts.takeTableChange(),
      l2: this.#mapping.cache.takeDirty(),
      l1: this.#mapping.takeTableChanges(),
      released: this.#refcounts.takeReleased(),
    };
    try {
      for (const { at, bytes } of changes.refcounts) this.#layout.expect('refcount block', at, bytes.length);
      for (const { at, bytes } of changes.l2) this.#layout.expect('L2 table', at, bytes.length);
      for (const { at } of changes.l1) this.#layout.expect('L1 table', at, Math.min(8, clusterSize));
    } catch (thrown) {
      this.#restore(changes);
      throw thrown;
    }
    return changes;
  }

  #restore(changes: Changes): void {
    this.#refcounts.cache.failed(changes.refcounts);
    this.#refcounts.restoreTableChange(changes.table);
    this.#mapping.cache.failed(changes.l2);
    this.#mapping.restoreTableChanges(changes.l1);
    for (const extent of changes.released) this.#refcounts.release(extent);
  }

  async #writeParts(parts: readonly DirtyPart[]): Promise<void> {
    for (const { at, bytes } of parts) await this.#storage.write(at, [bytes]);
  }

  async #writeTable(table: TableChange): Promise<void> {
    const { moved } = table;
    for (const { at, bytes } of table.sectors) await this.#storage.write(at, [bytes]);
    if (moved !== undefined) {
      await this.#storage.write(moved.offset, [moved.bytes]);
      await this.#settleFile();
      // Offset and length in one write within one sector: the header names the old table or the new one.
      const pointer = new Uint8Array(12);
      writeU64(viewOf(pointer), 0, moved.offset);
      viewOf(pointer).setUint32(8, moved.clusters);
      await this.#storage.write(REFCOUNT_TABLE_AT, [pointer]);
    }
    await this.#settleFile();
  }

  async #settleFile(): Promise<void> {
    if (!this.#storage.durable) await this.#storage.flush();
  }

  /** Frees clusters once the requests have ended that may have looked them up before they were released. */
  #free(released: readonly Extent[]): void {
    const sorted = [...released].sort((a, b) => a.first - b.first);
    const freeing: Promise<void> = this.#grace
      .settled()
      .then(() => this.#giveBack(sorted))
      // A cluster whose refcount cannot be read stays counted: a leak, which is safe.
      .catch(() => undefined)
      .finally(() => this.#freeing.delete(freeing));
    this.#freeing.add(freeing);
  }

  /** Nothing in the file refers to the clusters, so that their content may go before their count does. */
  async #giveBack(released: readonly Extent[]): Promise<void> {
    const { clusterSize } = this.#storage;
    const freed: { first: number; count: number }[] = [];
    try {
      await this.#refcounts.applyReleased(released, cluster => {
        const last = freed.at(-1);
        if (last !== undefined && last.first + last.count === cluster) last.count += 1;
        else freed.push({ first: cluster, count: 1 });
      });
      if (!this.#storage.punches) return;
      await Promise.all(freed.map(({ first, count }) => this.#storage.punch(first * clusterSize, count * clusterSize)));
    } finally {
      for (const extent of freed) this.#refcounts.giveAway(extent);
    }
  }
}
