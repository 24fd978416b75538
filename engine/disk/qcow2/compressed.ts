// Compressed clusters: a raw deflate stream or a zstd frame that gives exactly one cluster.
import { AfterimageError } from '../../base/errors.ts';
import type { ClusterEntry } from './entries.ts';
import type { CompressionType } from './header.ts';
import { DECOMPRESSED_CACHE_BYTES } from './limits.ts';
import { type MemoryUser, sharedMemory } from './metadata-memory.ts';
import type { Storage } from './storage.ts';

type Bytes = Uint8Array | Promise<Uint8Array>;

/** What the host brings to compress and decompress with. The functions throw on damaged input. */
export interface ClusterCodecs {
  /** Inflates a raw deflate stream and ignores bytes after its end; throws when it gives more than `limit` bytes. */
  inflate(bytes: Uint8Array, limit: number): Bytes;
  /** Decompresses one zstd frame; throws when it gives more than `limit` bytes. */
  unzstd(bytes: Uint8Array, limit: number): Bytes;
  /** A raw deflate stream with a window of 4 KiB (12 bits), the largest that other readers of qcow2 accept. */
  deflate(bytes: Uint8Array): Bytes;
  /** One zstd frame. */
  zstd(bytes: Uint8Array): Bytes;
}

/** In the context of errors about the content of one cluster, which say nothing about the rest of the image. */
export const DURING_DECOMPRESS = 'decompress cluster';

const ZSTD_MAGIC = 0xfd2fb528;

/** Length of the zstd frame at the start of `bytes` (RFC 8878, section 3.1.1), or undefined if there is no whole one. */
export function zstdFrameLength(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 6 || view.getUint32(0, true) !== ZSTD_MAGIC) return undefined;
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  let at = 5 + (singleSegment ? 0 : 1) + dictionary + contentSize;
  for (;;) {
    if (at + 3 > bytes.length) return undefined;
    const block = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (block >> 1) & 3;
    if (type === 3) return undefined;
    // A run-length block stores its one byte only.
    at += 3 + (type === 1 ? 1 : block >> 3);
    if ((block & 1) === 1) break;
  }
  if ((descriptor & 4) !== 0) at += 4;
  return at <= bytes.length ? at : undefined;
}

/** Reads compressed clusters, and keeps the last few: guests read a cluster in many small steps. */
export class Decompressor implements MemoryUser {
  readonly #storage: Storage;
  readonly #type: CompressionType;
  readonly #codecs: ClusterCodecs | undefined;
  readonly #kept = new Map<number, Promise<Uint8Array>>();
  readonly #most: number;

  constructor(storage: Storage, type: CompressionType, codecs: ClusterCodecs | undefined) {
    this.#storage = storage;
    this.#type = type;
    this.#codecs = codecs;
    this.#most = Math.max(1, Math.floor(DECOMPRESSED_CACHE_BYTES / storage.clusterSize));
  }

  /** The cluster's content; not to be changed. Throws `corrupt` when its bytes do not give one. */
  async cluster(entry: ClusterEntry): Promise<Uint8Array> {
    let content = this.#kept.get(entry.host);
    if (content === undefined) {
      content = this.#read(entry);
      this.#kept.set(entry.host, content);
      sharedMemory.took(this, this.#storage.clusterSize);
      content.catch(() => this.#drop(entry.host));
      for (const oldest of this.#kept.keys()) {
        if (this.#kept.size <= this.#most) break;
        this.#drop(oldest);
      }
    }
    return await content;
  }

  /** To be called when a compressed cluster is let go: something else may come to lie there. */
  forget(): void {
    for (const host of [...this.#kept.keys()]) this.#drop(host);
  }

  relinquish(): boolean {
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#drop(oldest);
    return oldest !== undefined;
  }

  #drop(host: number): void {
    if (this.#kept.delete(host)) sharedMemory.gave(this, this.#storage.clusterSize);
  }

  async #read(entry: ClusterEntry): Promise<Uint8Array> {
    const codecs = this.#codecs;
    if (codecs === undefined) throw new AfterimageError('unsupported', 'Nothing here can decompress clusters');
    const { clusterSize } = this.#storage;
    const bytes = await this.#storage.readBytes(entry.host, entry.compressedLength);
    const during = DURING_DECOMPRESS;
    let content: Uint8Array;
    try {
      content =
        this.#type === 'deflate'
          ? await codecs.inflate(bytes, clusterSize)
          : await codecs.unzstd(bytes.subarray(0, zstdFrameLength(bytes) ?? 0), clusterSize);
    } catch (cause) {
      const context = { file: this.#storage.file.name, offset: entry.host, during };
      throw new AfterimageError('corrupt', 'A compressed cluster is damaged', context, { cause });
    }
    if (content.length !== clusterSize) {
      throw this.#storage.corrupt('A compressed cluster gives less than a cluster', entry.host, during);
    }
    return content;
  }
}
