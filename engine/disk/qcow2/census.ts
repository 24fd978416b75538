import { AfterimageError } from '../../base/errors.ts';
import { MOST_CHECKED_CLUSTERS } from './limits.ts';

const CHUNK = 32_768;

/** How many references there are to each host cluster, in chunks made on demand. */
export class Census {
  readonly clusterSize: number;
  readonly #chunks = new Map<number, Uint32Array>();
  #end = 0;

  constructor(clusterSize: number, fileSize: number) {
    if (fileSize / clusterSize > MOST_CHECKED_CLUSTERS) {
      throw new AfterimageError('too-large', 'The image has more clusters than can be checked', { fileSize });
    }
    this.clusterSize = clusterSize;
  }

  /** One more than the highest cluster counted. */
  get end(): number {
    return this.#end;
  }

  /** Counts `times` references to each cluster that the range touches. The caller keeps it within the file. */
  add(offset: number, length: number, times = 1): void {
    const last = Math.floor((offset + length - 1) / this.clusterSize);
    for (let cluster = Math.floor(offset / this.clusterSize); cluster <= last; cluster += 1) {
      const chunk = Math.floor(cluster / CHUNK);
      let counts = this.#chunks.get(chunk);
      if (counts === undefined) {
        counts = new Uint32Array(CHUNK);
        this.#chunks.set(chunk, counts);
      }
      // Saturates: a refcount that large fits into no block anyway.
      counts[cluster % CHUNK] = Math.min(0xffffffff, counts[cluster % CHUNK]! + times);
      if (cluster >= this.#end) this.#end = cluster + 1;
    }
  }

  get(cluster: number): number {
    return this.#chunks.get(Math.floor(cluster / CHUNK))?.[cluster % CHUNK] ?? 0;
  }

  /** Clusters with references, in ascending order. */
  *counted(): Iterable<[cluster: number, count: number]> {
    for (const chunk of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const counts = this.#chunks.get(chunk)!;
      for (let index = 0; index < CHUNK; index += 1) {
        const count = counts[index]!;
        if (count > 0) yield [chunk * CHUNK + index, count];
      }
    }
  }
}
