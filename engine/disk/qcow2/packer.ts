import { AfterimageError } from '../../base/errors.ts';
import { roundUp } from './bytes.ts';
import type { ClusterCodecs } from './compressed.ts';
import type { CompressionType } from './header.ts';
import { Mutex } from './locks.ts';
import type { Writer, WriterParts } from './writer.ts';

/**
 * Compressed clusters begin on a sector: a write to a sector that holds the end of another cluster could tear it when
 * the power goes. It costs 256 bytes a cluster on average.
 */
const SECTOR = 512;

/** Where the next compressed cluster may begin within a host cluster that is partly filled. */
interface Place {
  readonly at: number;
  readonly end: number;
}

/** Writes compressed clusters, one behind the other into shared host clusters. For export: whole clusters only. */
export class Packer {
  readonly #parts: WriterParts;
  readonly #writer: Writer;
  readonly #type: CompressionType;
  readonly #codecs: ClusterCodecs;
  readonly #mutex = new Mutex();
  #place: Place | undefined;

  constructor(parts: WriterParts, writer: Writer, type: CompressionType, codecs: ClusterCodecs) {
    this.#parts = parts;
    this.#writer = writer;
    this.#type = type;
    this.#codecs = codecs;
  }

  /** To be called when compressed clusters are let go: the partly filled cluster may be freed with them. */
  forget(): void {
    this.#place = undefined;
  }

  /** Replaces one guest cluster, whose whole content is given. What does not shrink is written as it is. */
  async write(cluster: number, content: Uint8Array): Promise<void> {
    const { clusterSize } = this.#parts.mapping.shape;
    const bytes = await (this.#type === 'deflate' ? this.#codecs.deflate(content) : this.#codecs.zstd(content));
    if (bytes.length + SECTOR > clusterSize) {
      const length = Math.min(clusterSize, this.#parts.size - cluster * clusterSize);
      await this.#writer.write(cluster * clusterSize, [content.subarray(0, length)]);
      return;
    }
    await this.#writer.locked(cluster, cluster, async () => {
      const { mapping, refcounts, layout, committer } = this.#parts;
      if (!mapping.writable(cluster)) await mapping.makeWritable(cluster, refcounts, layout, committer.room);
      const at = await this.#mutex.run(async () => await this.#claim(bytes.length));
      try {
        layout.expectData(at, bytes.length);
        await this.#parts.storage.write(at, [bytes]);
        while (mapping.peek(cluster) === undefined) await mapping.load(cluster);
      } catch (thrown) {
        this.#release(at, bytes.length);
        throw thrown;
      }
      const old = mapping.peek(cluster)!;
      mapping.setCompressed(cluster, at, bytes.length);
      this.#writer.releaseContent(old);
    });
  }

  /** Finds room, and counts the new cluster in each host cluster that it touches. */
  async #claim(length: number): Promise<number> {
    const { refcounts, mapping, storage } = this.#parts;
    const { clusterSize } = mapping.shape;
    const place = this.#place;
    // The place may be forgotten, and its cluster freed and given away, while we wait for our turn to count.
    const share = (shared: Place) =>
      refcounts.addReference(Math.floor(shared.at / clusterSize), () => this.#place === shared);
    if (place !== undefined && place.at + length <= place.end && (await share(place))) {
      return this.#advance(place.at, length, place.end);
    }
    const { first } = await refcounts.allocate(1);
    const host = first * clusterSize;
    // The sector count of an entry bounds its offset too: with clusters of 2 MiB, 512 TiB.
    if (host + clusterSize > 2 ** (62 - (mapping.shape.clusterBits - 8))) {
      refcounts.release({ first, count: 1 });
      throw new AfterimageError('too-large', 'The image is too large for compressed clusters', {
        file: storage.file.name,
      });
    }
    if (place !== undefined && place.end === host && place.at < place.end && (await share(place))) {
      return this.#advance(place.at, length, host + clusterSize);
    }
    return this.#advance(host, length, host + clusterSize);
  }

  #advance(at: number, length: number, end: number): number {
    this.#place = { at: roundUp(at + length, SECTOR), end };
    return at;
  }

  #release(at: number, length: number): void {
    const { clusterSize } = this.#parts.mapping.shape;
    const first = Math.floor(at / clusterSize);
    const last = Math.floor((at + length - 1) / clusterSize);
    this.forget();
    this.#parts.refcounts.release({ first, count: last - first + 1 });
  }
}
