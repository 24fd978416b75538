import type { Storage } from './storage.ts';

/** What a host cluster holds besides guest data. */
export type MetadataKind =
  | 'header'
  | 'L1 table'
  | 'L2 table'
  | 'refcount table'
  | 'refcount block'
  | 'snapshot table'
  | 'L1 table of a snapshot'
  | 'bitmap';

/**
 * Which host clusters hold metadata in use. Every write is checked against it first: a damaged image must not make us
 * write guest data over a table, or one table over another. Kept for images that are written to: one entry per
 * table, at most one for each L1 entry.
 */
export class Layout {
  readonly #storage: Storage;
  readonly #kinds = new Map<number, MetadataKind>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  add(kind: MetadataKind, offset: number, length: number): void {
    for (const cluster of this.#clusters(offset, length)) {
      const other = this.#kinds.get(cluster);
      // Tables of different snapshots may be one and the same; nothing else may.
      if (other !== undefined && (other !== kind || kind !== 'L1 table of a snapshot')) {
        throw this.#overlap(`A cluster is both ${other} and ${kind}`, cluster);
      }
      this.#kinds.set(cluster, kind);
    }
  }

  remove(offset: number, length: number): void {
    for (const cluster of this.#clusters(offset, length)) this.#kinds.delete(cluster);
  }

  /** Throws `corrupt` unless the range holds guest data, or nothing yet. */
  expectData(offset: number, length: number): void {
    // On the path of every write, hence no iterator.
    const { clusterSize } = this.#storage;
    const last = Math.floor((offset + length - 1) / clusterSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster += 1) {
      const kind = this.#kinds.get(cluster);
      if (kind !== undefined) throw this.#overlap(`Guest data would be written over the ${kind}`, cluster);
    }
  }

  /** Throws `corrupt` unless the range is metadata of this kind. */
  expect(kind: MetadataKind, offset: number, length: number): void {
    for (const cluster of this.#clusters(offset, length)) {
      const other = this.#kinds.get(cluster);
      if (other !== kind) throw this.#overlap(`The ${kind} would be written over ${other ?? 'guest data'}`, cluster);
    }
  }

  *#clusters(offset: number, length: number): Iterable<number> {
    const { clusterSize } = this.#storage;
    const last = Math.floor((offset + length - 1) / clusterSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster += 1) yield cluster;
  }

  #overlap(message: string, cluster: number) {
    return this.#storage.corrupt(message, cluster * this.#storage.clusterSize, 'check for overlaps');
  }
}
