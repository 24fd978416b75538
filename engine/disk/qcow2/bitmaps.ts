import { AfterimageError } from '../../base/errors.ts';
import {
  type BitmapDirectory,
  type BitmapEntry,
  bitmapBytes,
  bitmapFlags,
  readBitmapDirectory,
  readBitmapTable,
  TYPE_DIRTY_TRACKING,
} from './bitmap-directory.ts';
import { viewOf } from './bytes.ts';
import type { Header } from './header.ts';
import type { Layout } from './layout.ts';
import * as limits from './limits.ts';
import type { Storage } from './storage.ts';

const DEFAULT_GRANULARITY = 65_536;

export interface BitmapInfo {
  readonly name: string;
  /** Bytes of disk to a bit. */
  readonly granularity: number;
  /** Writes are being recorded in it. */
  readonly enabled: boolean;
  /** False when what it says must not be relied on: then everything counts as changed. */
  readonly trusted: boolean;
}

export interface DirtyRange {
  readonly offset: number;
  readonly length: number;
}

/** One bitmap: its entry in the file, if it has one, and its bits once they are in memory. */
interface Bitmap {
  readonly name: string;
  readonly granularityBits: number;
  readonly stored: BitmapEntry | undefined;
  enabled: boolean;
  trusted: boolean;
  bits: Uint8Array | undefined;
  /** What is stored is out of date. */
  changed: boolean;
}

/**
 * The persistent dirty bitmaps of an image: which parts of the disk were written to since a named point. While the image
 * is written to the file says that they are in use; only a proper close takes that back, so that after a crash nobody
 * trusts a bitmap that missed writes.
 */
export class Bitmaps {
  readonly #storage: Storage;
  readonly #header: Header;
  readonly #directory: BitmapDirectory | undefined;
  readonly #bitmaps: Bitmap[];
  #recording: Bitmap[] = [];
  #writing = false;
  #removed = false;

  private constructor(storage: Storage, header: Header, directory: BitmapDirectory | undefined) {
    this.#storage = storage;
    this.#header = header;
    this.#directory = directory;
    this.#bitmaps = (directory?.entries ?? []).map(stored => ({
      name: stored.name,
      granularityBits: stored.granularityBits,
      stored,
      enabled: stored.auto,
      trusted: !stored.inUse && !stored.foreign,
      bits: undefined,
      changed: false,
    }));
  }

  /** Reads the directory. Throws `corrupt` or `too-large`. */
  static async open(storage: Storage, header: Header): Promise<Bitmaps> {
    return new Bitmaps(storage, header, await readBitmapDirectory(storage, header));
  }

  /** A program that knows nothing of bitmaps has changed the image: those that it had say nothing any more. */
  get lost(): boolean {
    return this.#directory?.consistent === false;
  }

  get directory(): BitmapDirectory | undefined {
    return this.#directory;
  }

  list(): BitmapInfo[] {
    return this.#bitmaps.map(({ name, granularityBits, enabled, trusted }) => ({
      name,
      granularity: 2 ** granularityBits,
      enabled,
      trusted,
    }));
  }

  /** What was written to, in order. Throws `state` for a bitmap that is not trusted, `missing` for none. */
  async ranges(name: string): Promise<DirtyRange[]> {
    const bitmap = this.#find(name);
    if (!bitmap.trusted) throw new AfterimageError('state', 'The bitmap was not saved and is not trusted', { name });
    const bits = await this.#load(bitmap);
    const granularity = 2 ** bitmap.granularityBits;
    const ranges: { offset: number; length: number }[] = [];
    const count = Math.ceil(this.#header.size / granularity);
    for (let bit = 0; bit < count; bit += 1) {
      if (((bits[bit >> 3]! >> (bit & 7)) & 1) === 0) continue;
      const offset = bit * granularity;
      const length = Math.min(granularity, this.#header.size - offset);
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.length === offset) last.length += length;
      else ranges.push({ offset, length });
    }
    return ranges;
  }

  /** Records a write in all bitmaps that are enabled; before the write is made. */
  mark(offset: number, length: number): void {
    for (const { bits, granularityBits } of this.#recording) setBits(bits!, granularityBits, offset, length);
  }

  /** Records ranges in one bitmap, enabled or not, unless it is not trusted anyway. Throws `missing` or `too-large`. */
  async markIn(name: string, ranges: readonly DirtyRange[]): Promise<void> {
    const bitmap = this.#find(name);
    if (!bitmap.trusted) return;
    bitmap.bits = await this.#load(bitmap);
    bitmap.changed = true;
    for (const { offset, length } of ranges) setBits(bitmap.bits, bitmap.granularityBits, offset, length);
    this.#choose();
  }

  /** Adds an empty bitmap that records writes from now on, or never. It is in the file when the image has been closed. */
  create(name: string, granularity = DEFAULT_GRANULARITY, enabled = true): void {
    const granularityBits = Math.log2(granularity);
    const { SMALLEST_GRANULARITY_BITS, LARGEST_GRANULARITY_BITS, MOST_BITMAPS, MOST_BITMAP_NAME_BYTES } = limits;
    const refuse = (message: string) => new AfterimageError('usage', message, { name, granularity });
    const length = new TextEncoder().encode(name).length;
    if (this.#header.version < 3) {
      throw new AfterimageError('unsupported', 'Images of version 2 cannot keep bitmaps', { name });
    }
    if (length === 0 || length > MOST_BITMAP_NAME_BYTES) throw refuse('The name of the bitmap is empty or too long');
    if (!Number.isInteger(granularityBits)) throw refuse('The granularity is not a power of two');
    if (granularityBits < SMALLEST_GRANULARITY_BITS || granularityBits > LARGEST_GRANULARITY_BITS) {
      throw refuse('The granularity is not from 512 bytes to 2 GiB');
    }
    if (this.#bitmaps.some(bitmap => bitmap.name === name)) throw refuse('There is a bitmap of this name');
    if (this.#bitmaps.length >= MOST_BITMAPS) throw refuse('There are too many bitmaps');
    const bytes = bitmapBytes(this.#header.size, granularityBits);
    this.#reserve(bytes, name);
    const bits = new Uint8Array(bytes);
    this.#bitmaps.push({ name, granularityBits, stored: undefined, enabled, trusted: true, bits, changed: true });
    this.#choose();
  }

  remove(name: string): void {
    this.#bitmaps.splice(this.#bitmaps.indexOf(this.#find(name)), 1);
    this.#removed = true;
    this.#choose();
  }

  /** Starts a bitmap anew: nothing counts as written. An untrusted one is trusted again. */
  clear(name: string): void {
    const bitmap = this.#find(name);
    const bytes = bitmapBytes(this.#header.size, bitmap.granularityBits);
    if (bitmap.stored?.foreign === true)
      throw new AfterimageError('unsupported', 'The bitmap is of an unknown kind', { name });
    if (bitmap.bits === undefined) this.#reserve(bytes, name);
    bitmap.bits = new Uint8Array(bytes);
    bitmap.trusted = true;
    bitmap.changed = true;
    this.#choose();
  }

  /** Before the first change to the disk: bitmaps that record are brought into memory and marked as in use, durably. */
  async startWriting(layout: Layout): Promise<void> {
    if (this.#directory?.consistent === true) {
      layout.add('bitmap', this.#directory.offset, this.#directory.length);
      for (const { stored } of this.#bitmaps) if (stored !== undefined) await this.#describe(layout, stored);
    }
    const inUse: BitmapEntry[] = [];
    for (const bitmap of this.#bitmaps) {
      const { stored } = bitmap;
      if (stored === undefined || !bitmap.enabled || stored.foreign || stored.inUse) continue;
      await this.#load(bitmap).catch(thrown => {
        // One that cannot be kept up must not be trusted later; the disk itself is not harmed.
        if (AfterimageError.from(thrown).kind !== 'too-large') throw thrown;
        bitmap.trusted = false;
      });
      bitmap.changed = bitmap.trusted;
      inUse.push(stored);
    }
    for (const entry of inUse) {
      const flags = new Uint8Array(4);
      viewOf(flags).setUint32(0, bitmapFlags({ ...entry, inUse: true }));
      await this.#storage.write(entry.flagsAt, [flags]);
    }
    if (inUse.length > 0) await this.#storage.flush();
    this.#writing = true;
    this.#choose();
  }

  /** What the directory is to hold after a close, or undefined when it may stay as it is. */
  pending(): { readonly kept: readonly BitmapEntry[]; readonly changed: readonly ChangedBitmap[] } | undefined {
    if (!this.#writing || (!this.#removed && !this.#bitmaps.some(bitmap => bitmap.changed))) return undefined;
    const kept: BitmapEntry[] = [];
    const changed: ChangedBitmap[] = [];
    for (const { name, granularityBits, stored, enabled, trusted, bits, changed: isChanged } of this.#bitmaps) {
      if (isChanged && bits !== undefined) changed.push({ name, granularityBits, auto: enabled, bits, stored });
      else if (stored !== undefined) kept.push({ ...stored, inUse: stored.inUse || !trusted });
    }
    return { kept, changed };
  }

  async #describe(layout: Layout, entry: BitmapEntry): Promise<void> {
    if (entry.table.entries === 0) return;
    layout.add('bitmap', entry.table.offset, entry.table.entries * 8);
    for (const { host } of await readBitmapTable(this.#storage, entry)) if (host !== 0) layout.add('bitmap', host, 1);
  }

  #find(name: string): Bitmap {
    const found = this.#bitmaps.find(bitmap => bitmap.name === name);
    if (found === undefined) throw new AfterimageError('missing', 'The image has no bitmap of this name', { name });
    return found;
  }

  #choose(): void {
    this.#recording = this.#bitmaps.filter(bitmap => bitmap.enabled && bitmap.bits !== undefined);
  }

  /** Refuses what would take more memory than bitmaps may. */
  #reserve(bytes: number, name: string): void {
    const held = this.#bitmaps.reduce((sum, bitmap) => sum + (bitmap.bits?.length ?? 0), 0);
    if (held + bytes <= limits.MOST_BITMAP_BYTES) return;
    throw new AfterimageError('too-large', 'The bitmaps take too much memory; a coarser granularity takes less', {
      name,
    });
  }

  async #load(bitmap: Bitmap): Promise<Uint8Array> {
    if (bitmap.bits !== undefined) return bitmap.bits;
    const { stored, granularityBits, name } = bitmap;
    const bits = new Uint8Array(bitmapBytes(this.#header.size, granularityBits));
    this.#reserve(bits.length, name);
    const parts = stored === undefined ? [] : await readBitmapTable(this.#storage, stored);
    const { clusterSize } = this.#header;
    for (const [index, { host, ones }] of parts.entries()) {
      const part = bits.subarray(index * clusterSize, (index + 1) * clusterSize);
      if (host !== 0) await this.#storage.read(host, [part]);
      else if (ones) part.fill(0xff);
    }
    // Kept only when it is recorded into or will be: a reader does not hold on to what it only looked at.
    if (bitmap.enabled) bitmap.bits = bits;
    return bits;
  }
}

function setBits(bits: Uint8Array, granularityBits: number, offset: number, length: number): void {
  const last = Math.floor((offset + length - 1) / 2 ** granularityBits);
  for (let bit = Math.floor(offset / 2 ** granularityBits); bit <= last; bit += 1) bits[bit >> 3]! |= 1 << (bit & 7);
}

/** A bitmap that is to be stored anew. */
export interface ChangedBitmap {
  readonly name: string;
  readonly granularityBits: number;
  readonly auto: boolean;
  readonly bits: Uint8Array;
  readonly stored: BitmapEntry | undefined;
}

/** The directory entry of a bitmap that was saved properly. */
export function savedEntry(bitmap: ChangedBitmap, table: BitmapEntry['table']): BitmapEntry {
  const { name, granularityBits, auto, stored } = bitmap;
  return {
    name,
    granularityBits,
    table,
    inUse: false,
    auto,
    foreign: false,
    extra: stored?.extra ?? new Uint8Array(),
    flagsAt: 0,
    extraCompatible: stored?.extraCompatible ?? false,
    type: TYPE_DIRTY_TRACKING,
  };
}
