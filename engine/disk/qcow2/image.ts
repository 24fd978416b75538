import { AfterimageError } from '../../base/errors.ts';
import { totalLength } from '../buffers.ts';
import type { Disk, HostFile } from '../disk.ts';
import { RangeLock } from '../range-lock.ts';
import { checkRequest, type DiskOperation, refusal } from '../request.ts';
import { saveBitmaps } from './bitmap-save.ts';
import { Bitmaps } from './bitmaps.ts';
import { type ClusterCodecs, Decompressor, DURING_DECOMPRESS } from './compressed.ts';
import type { EraseKind } from './eraser.ts';
import { hasBit, INCOMPATIBLE_CORRUPT, INCOMPATIBLE_DIRTY } from './features.ts';
import { type Header, readHeader } from './header.ts';
import { Grace } from './locks.ts';
import { Mapping } from './mapping.ts';
import { Reader, type Run, type RunKind } from './reader.ts';
import { repairImage } from './repair.ts';
import { readSnapshots, type Snapshot } from './snapshots.ts';
import { Storage } from './storage.ts';
import { clearAutoclear, INCOMPATIBLE_AT, markCorrupt, prepareWriting, type Writing } from './writing.ts';

export interface Qcow2Options {
  /** The disk below, when the header names one. Not closed with the image. */
  readonly backing?: Disk;
  /** Needed to read and write compressed clusters. */
  readonly codecs?: ClusterCodecs;
  /** Memory for metadata, in bytes; as `limits.ts` has it unless said otherwise. A few slices are kept in any case. */
  readonly cache?: { readonly l2Bytes: number; readonly refcountBytes: number };
}

/**
 * A disk in a qcow2 file, version 2 or 3. Many requests may be in flight; they wait for each other only where they
 * change the mapping of the same clusters. What `flush` has returned for survives a power cut; what was written since
 * may or may not, but never in a third way.
 */
export class Qcow2Image implements Disk {
  readonly header: Header;
  readonly size: number;
  readonly readonly: boolean;
  readonly #storage: Storage;
  readonly #mapping: Mapping;
  readonly #decompressor: Decompressor;
  readonly #reader: Reader;
  readonly #options: Qcow2Options;
  readonly #requests = new RangeLock();
  readonly #grace = new Grace();
  #writing: Promise<Writing> | undefined;
  /** What `#writing` has given: most writes need not wait for it. */
  #ready: Writing | undefined;
  #closed = false;
  #expectedBelow = 0;
  /** Why the image is not to be changed any more. */
  #damage: AfterimageError | undefined;

  private constructor(storage: Storage, header: Header, mapping: Mapping, options: Qcow2Options) {
    this.header = header;
    this.size = header.size;
    this.readonly = storage.file.readonly;
    this.#storage = storage;
    this.#mapping = mapping;
    this.#options = options;
    this.#decompressor = new Decompressor(storage, header.compression, options.codecs);
    this.#reader = new Reader({
      storage,
      mapping,
      decompressor: this.#decompressor,
      size: header.size,
      hasBacking: header.backing !== undefined,
      backing: options.backing,
    });
  }

  /**
   * Opens an image; the file stays the caller's until this returns, and is closed with the image after that. A backing
   * file that the header names must be opened first and given, unless nothing below it will be read. Refcounts that a
   * writer left behind (lazy refcounts) are rebuilt first, when the file may be written to.
   * Errors: those of `readHeader`; `corrupt` for writing to an image that was marked as damaged.
   */
  static async open(file: HostFile, options: Qcow2Options = {}): Promise<Qcow2Image> {
    let header = await readHeader(file);
    if (options.backing !== undefined && header.backing === undefined) {
      throw new AfterimageError('usage', 'The image has no backing file', { file: file.name });
    }
    if (!file.readonly && hasBit(header.incompatible, INCOMPATIBLE_CORRUPT)) {
      const context = { file: file.name, offset: INCOMPATIBLE_AT, during: 'open' };
      throw new AfterimageError('corrupt', 'The image is marked as damaged and must be repaired first', context);
    }
    if (!file.readonly && hasBit(header.incompatible, INCOMPATIBLE_DIRTY)) {
      await repairImage(file);
      header = await readHeader(file);
    }
    const storage = new Storage(file, header.clusterSize, header.fileSize);
    return new Qcow2Image(storage, header, await Mapping.open(storage, header, options.cache?.l2Bytes), options);
  }

  read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(into);
    const refused = this.#refusal('read', offset, length);
    if (refused !== undefined) return Promise.reject(refused);
    if (length === 0) return Promise.resolve();
    return this.#run(offset, length, 'shared', () => this.#reader.read(offset, into));
  }

  write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(from);
    const refused = this.#refusal('write', offset, length);
    if (refused !== undefined) return Promise.reject(refused);
    if (length === 0) return Promise.resolve();
    const put = ({ writer, bitmaps }: Writing) => {
      bitmaps.mark(offset, length);
      return writer.write(offset, from);
    };
    return this.#run(offset, length, 'exclusive', () =>
      this.#ready === undefined ? this.#toWrite().then(put) : put(this.#ready),
    );
  }

  /** Writes what the range reads as already, of which no dirty bitmap takes notice: the disk does not change. */
  async fill(offset: number, from: readonly Uint8Array[]): Promise<void> {
    const length = totalLength(from);
    this.#checkOpen();
    checkRequest(this, 'write', offset, length);
    if (length === 0) return;
    await this.#run(offset, length, 'exclusive', async () => (await this.#toWrite()).writer.write(offset, from));
  }

  /** As `fill`, with zeroes. */
  async fillZeroes(offset: number, length: number): Promise<void> {
    this.#checkOpen();
    checkRequest(this, 'write zeroes', offset, length);
    if (length === 0) return;
    await this.#run(offset, length, 'exclusive', async () =>
      (await this.#toWrite()).eraser.erase(offset, length, 'zero'),
    );
  }

  async flush(): Promise<void> {
    this.#checkOpen();
    const writing = await this.#writing;
    if (writing !== undefined && !writing.committer.idle) await writing.committer.flush();
  }

  async discard(offset: number, length: number): Promise<void> {
    this.#checkOpen();
    checkRequest(this, 'discard', offset, length);
    await this.#erase(offset, length, 'discard');
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    this.#checkOpen();
    checkRequest(this, 'write zeroes', offset, length);
    await this.#erase(offset, length, 'zero');
  }

  async #erase(offset: number, length: number, kind: EraseKind): Promise<void> {
    if (length === 0) return;
    await this.#run(offset, length, 'exclusive', async () => {
      const { eraser, bitmaps } = await this.#toWrite();
      bitmaps.mark(offset, length);
      await eraser.erase(offset, length, kind);
    });
  }

  /** Runs a request, after those before it that overlap with it. */
  #run<Result>(
    offset: number,
    length: number,
    mode: 'shared' | 'exclusive',
    step: () => Promise<Result>,
  ): Promise<Result> {
    // Waiting for others counts as running: `close` must not overtake it.
    if (mode === 'exclusive' && this.#damage !== undefined) return Promise.reject(this.#damage);
    const failed = mode === 'exclusive' ? this.#changeFailed : undefined;
    return this.#grace.during(() => this.#requests.run(offset, length, mode, step), failed);
  }

  /**
   * After a change that met damaged metadata the image is marked as damaged, as QEMU does it, and not changed any more:
   * what else is wrong with it nobody knows. Reads go on, and so do flushes of what was written before.
   */
  readonly #changeFailed = async (thrown: unknown): Promise<void> => {
    if (!(thrown instanceof AfterimageError) || thrown.kind !== 'corrupt' || this.#damage !== undefined) return;
    // Of another layer, or only the content of one cluster.
    const { file, during } = thrown.context;
    if (file !== this.#storage.file.name || during === DURING_DECOMPRESS) return;
    this.#damage = thrown;
    if (this.header.version < 3) return;
    // The autoclear bits and the rest of the header stay as they are. The guest's request fails in any case.
    await markCorrupt(this.#storage).catch(() => undefined);
  };

  /**
   * Where the bytes of a range are: runs in order from `offset`, that may end before the range does (`MOST_RUNS`).
   * Without a backing file what is unallocated is `zero`.
   */
  async allocation(offset: number, length: number): Promise<Run[]> {
    this.#checkOpen();
    checkRequest(this, 'read', offset, length);
    return await this.#grace.during(() => this.#reader.allocation(offset, length));
  }

  /**
   * What a whole range is, if it is of one kind and that is known without waiting. It does not wait for requests that
   * change the range: only who knows that none run may ask.
   */
  peekKind(offset: number, length: number): RunKind | undefined {
    return this.#closed ? undefined : this.#reader.peek(offset, length);
  }

  /** How many bytes from a place on are the backing file's for certain; as `peekKind`, it waits for nothing. */
  peekBacking(offset: number, most: number): number {
    return this.#closed ? 0 : this.#reader.peekBacking(offset, most);
  }

  /** Writes one whole cluster compressed, if it shrinks. `content` is a cluster long, also for the last of the disk. */
  async writeCompressed(offset: number, content: Uint8Array): Promise<void> {
    const { clusterSize } = this.header;
    const length = Math.min(clusterSize, this.size - offset);
    this.#checkOpen();
    checkRequest(this, 'write', offset, length);
    if (offset % clusterSize !== 0 || content.length !== clusterSize) {
      throw new AfterimageError('usage', 'Only whole clusters can be compressed', { file: this.#storage.file.name });
    }
    if (this.#options.codecs === undefined) {
      throw new AfterimageError('unsupported', 'Nothing here can compress clusters', { file: this.#storage.file.name });
    }
    await this.#run(offset, length, 'exclusive', async () => {
      const { packer, bitmaps } = await this.#toWrite();
      bitmaps.mark(offset, length);
      await packer?.write(offset / clusterSize, content);
    });
  }

  /** The internal snapshots that the image holds; they are kept as they are. */
  async snapshots(): Promise<readonly Snapshot[]> {
    return (await readSnapshots(this.#storage, this.header)).snapshots;
  }

  /** The persistent dirty bitmaps, to look at. */
  async bitmaps(): Promise<Bitmaps> {
    const writing = await this.#writing;
    return writing?.bitmaps ?? (await Bitmaps.open(this.#storage, this.header));
  }

  /** The persistent dirty bitmaps, to be changed; they are saved when the image is closed. */
  async changeBitmaps(): Promise<Bitmaps> {
    this.#checkOpen();
    checkRequest(this, 'write', 0, 0);
    return (await this.#toWrite()).bitmaps;
  }

  /** Bytes of metadata that are in the caches now (`limits.ts` bounds them). */
  async cachedBytes(): Promise<number> {
    const writing = await this.#writing;
    return this.#mapping.cache.bytes + (writing?.refcounts.cache.bytes ?? 0);
  }

  /**
   * Says, until it is closed, that a disk of so many bytes is to lie below: zeroes past the end of the present one stay
   * marked from now on, or what is to lie below would show in their place.
   */
  expectBelow(size: number): void {
    this.#expectedBelow = size;
  }

  /** Makes everything durable and closes the file; the file is closed even when that fails. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#grace.settled();
      const writing = await this.#writing;
      if (writing === undefined) return;
      await writing.committer.settle();
      await saveBitmaps({ storage: this.#storage, header: this.header, ...writing }, writing.bitmaps);
      await writing.committer.settle();
    } finally {
      this.#mapping.cache.close();
      this.#ready?.refcounts.cache.close();
      this.#decompressor.forget();
      await this.#storage.file.close();
    }
  }

  #refusal(during: DiskOperation, offset: number, length: number): AfterimageError | undefined {
    if (!this.#closed) return refusal(this, during, offset, length);
    return new AfterimageError('state', 'The image is closed', { file: this.#storage.file.name });
  }

  #checkOpen(): void {
    if (this.#closed) throw new AfterimageError('state', 'The image is closed', { file: this.#storage.file.name });
  }

  /** What it takes to write. A failure leaves the image as it was, and the next write tries again. */
  async #toWrite(): Promise<Writing> {
    this.#writing ??= this.#prepare().catch(thrown => {
      this.#writing = undefined;
      throw thrown;
    });
    return await this.#writing;
  }

  async #prepare(): Promise<Writing> {
    const writing = await prepareWriting({
      storage: this.#storage,
      header: this.header,
      mapping: this.#mapping,
      reader: this.#reader,
      decompressor: this.#decompressor,
      backing: this.#options.backing,
      codecs: this.#options.codecs,
      grace: this.#grace,
      refcountCacheBytes: this.#options.cache?.refcountBytes,
      expectedBelow: () => this.#expectedBelow,
    });
    try {
      await clearAutoclear(this.#storage, this.header);
      await writing.bitmaps.startWriting(writing.layout);
    } catch (thrown) {
      writing.refcounts.cache.close();
      throw thrown;
    }
    this.#ready = writing;
    return writing;
  }
}
