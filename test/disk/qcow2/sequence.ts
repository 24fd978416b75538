// Random requests on an image beside a plain array of bytes that says what must be read.
import type { Disk, HostFile } from '../../../engine/disk/disk.ts';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { type CreateOptions, createImage } from '../../../engine/disk/qcow2/create.ts';
import type { Qcow2Image } from '../../../engine/disk/qcow2/image.ts';
import { RawDisk } from '../../../engine/disk/raw.ts';
import {
  compressibleBytes,
  contentOf,
  firstDifference,
  openImage,
  type Random,
  randomBytes,
  scattered,
} from './images.ts';

const SECTOR = 512;

export interface Backing {
  readonly content: Uint8Array;
  readonly file: MemoryFile;
}

/** Options as random as the format allows; small disks, so that requests meet. */
export function randomOptions(random: Random): CreateOptions {
  // Refcount blocks of 64 clusters in a table of 64 blocks: both grow all the time.
  if (random.below(8) === 0) return { size: 2 ** 21 + 2 ** 20, clusterSize: 512, refcountBits: 64 };
  const version = random.below(5) === 0 ? 2 : 3;
  const clusterBits = random.below(4) === 0 ? 9 + random.below(13) : 9 + random.below(8);
  const clusterSize = 2 ** clusterBits;
  const clusters = 1 + random.below(clusterBits > 17 ? 6 : 200);
  const size = Math.max(SECTOR, clusters * clusterSize - SECTOR * random.below(clusterSize / SECTOR));
  if (version === 2) return { version, size, clusterSize };
  return {
    size,
    clusterSize,
    extendedL2: clusterBits >= 14 && random.below(2) === 0,
    refcountBits: random.pick([1, 2, 4, 8, 16, 16, 16, 32, 64]),
    compression: random.pick(['deflate', 'zstd'] as const),
    lazyRefcounts: random.below(6) === 0,
  };
}

export function randomBacking(random: Random, size: number): Backing | undefined {
  if (random.below(2) === 0) return undefined;
  // Often of another size than the overlay, to a sector.
  const length = SECTOR * (1 + random.below(Math.ceil((1.3 * size) / SECTOR)));
  const content = randomBytes(random, length);
  return { content, file: new MemoryFile('base.raw', content, true) };
}

/** What a guest does and learns: the ground on which it relies on a disk after a power cut. */
export type GuestEvent =
  | {
      readonly kind: 'asked';
      readonly id: number;
      readonly offset: number;
      readonly values: Uint8Array;
      /** Each sector may also stay as it was. */
      readonly maybe: boolean;
    }
  | { readonly kind: 'answered'; readonly id: number }
  | { readonly kind: 'flush' | 'flushed'; readonly id: number };

export class Model {
  readonly random: Random;
  readonly options: CreateOptions;
  readonly backing: Backing | undefined;
  /** What must be read. */
  readonly expected: Uint8Array;
  memory: MemoryFile;
  file: HostFile;
  image!: Qcow2Image;
  /** Told of each change to the disk when it is asked for and when it is answered. */
  watch: (event: GuestEvent) => void = () => undefined;
  #flushes = 0;
  #changes = 0;
  readonly #wrap: (memory: MemoryFile) => HostFile;

  private constructor(
    random: Random,
    options: CreateOptions,
    backing: Backing | undefined,
    wrap: (memory: MemoryFile) => HostFile,
  ) {
    this.random = random;
    this.#wrap = wrap;
    this.backing = backing;
    const preallocate = backing === undefined && options.version !== 2 && random.below(4) === 0;
    this.options = {
      ...options,
      ...(backing === undefined ? {} : { backing: { path: backing.file.name, format: 'raw' } }),
      ...(preallocate ? { preallocation: 'metadata' as const } : {}),
    };
    this.expected = new Uint8Array(options.size);
    if (backing !== undefined) this.expected.set(backing.content.subarray(0, options.size));
    this.memory = new MemoryFile('model.qcow2');
    this.file = this.memory;
  }

  /** A new image with random options; `wrap` puts something between the image and its file. */
  static async create(
    random: Random,
    wrap: (memory: MemoryFile) => HostFile = memory => memory,
    mostBytes = Number.POSITIVE_INFINITY,
  ): Promise<Model> {
    let options = randomOptions(random);
    while (options.size > mostBytes) options = randomOptions(random);
    const model = new Model(random, options, randomBacking(random, options.size), wrap);
    await createImage(model.memory, model.options);
    await model.open();
    return model;
  }

  async open(): Promise<void> {
    this.file = this.#wrap(this.memory);
    const disk: Disk | undefined = this.backing && (await RawDisk.open(this.backing.file));
    // Caches of the fewest slices force evictions and commits everywhere.
    const cache = this.random.below(3) === 0 ? { cache: { l2Bytes: 0, refcountBytes: 0 } } : {};
    this.image = await openImage(this.file, { ...cache, ...(disk === undefined ? {} : { backing: disk }) });
  }

  async reopen(): Promise<void> {
    await this.image.close();
    this.memory = new MemoryFile(this.memory.name, this.memory.content());
    await this.open();
  }

  /** A range of whole sectors, mostly short, sometimes on clusters, sometimes the whole disk. */
  range(): { offset: number; length: number } {
    const { random } = this;
    const { size, clusterSize = 65_536 } = this.options;
    const sectors = size / SECTOR;
    const kind = random.below(10);
    if (kind === 0) return { offset: 0, length: size };
    if (kind < 4) {
      const clusters = Math.ceil(size / clusterSize);
      const first = random.below(clusters);
      const offset = first * clusterSize;
      return { offset, length: Math.min(size - offset, (1 + random.below(4)) * clusterSize) };
    }
    const offset = random.below(sectors);
    const most = random.pick([1, 8, 8, 64, Math.ceil((3 * clusterSize) / SECTOR)]);
    return { offset: offset * SECTOR, length: Math.min(sectors - offset, 1 + random.below(most)) * SECTOR };
  }

  /** One request, and what it does to the model. Requests of a batch must not overlap. */
  async request(kind: string, offset: number, length: number): Promise<void> {
    const { image, expected, random } = this;
    if (kind === 'write') {
      const data = randomBytes(random, length);
      await this.#change(offset, data, false, () => image.write(offset, scattered(random, data)));
    } else if (kind === 'zero') {
      await this.#change(offset, new Uint8Array(length), false, () => image.writeZeroes(offset, length));
    } else if (kind === 'read') {
      const want = expected.slice(offset, offset + length);
      const into = new Uint8Array(length).fill(0xee);
      await image.read(offset, scattered(random, into));
      this.#compare(into, want, offset, 'read');
    } else {
      const before = expected.slice(offset, offset + length);
      await this.#change(offset, new Uint8Array(length), true, () => image.discard(offset, length));
      // Sector by sector it reads as zeroes or as before.
      const now = await contentOf(image, offset, length);
      for (let at = 0; at < length; at += SECTOR) {
        const sector = now.subarray(at, at + SECTOR);
        if (sector.some(byte => byte !== 0)) this.#compare(sector, before.subarray(at, at + SECTOR), offset + at, kind);
      }
      expected.set(now, offset);
    }
  }

  async #change(offset: number, values: Uint8Array, maybe: boolean, step: () => Promise<void>): Promise<void> {
    const id = this.#changes;
    this.#changes += 1;
    this.watch({ kind: 'asked', id, offset, values, maybe });
    this.expected.set(values, offset);
    await step();
    this.watch({ kind: 'answered', id });
  }

  async flush(): Promise<void> {
    const id = this.#flushes;
    this.#flushes += 1;
    this.watch({ kind: 'flush', id });
    await this.image.flush();
    this.watch({ kind: 'flushed', id });
  }

  /** Replaces a whole cluster with compressed content. */
  async compress(content: Uint8Array): Promise<void> {
    const { clusterSize = 65_536, size } = this.options;
    const offset = this.random.below(Math.ceil(size / clusterSize)) * clusterSize;
    const values = content.subarray(0, Math.min(clusterSize, size - offset));
    await this.#change(offset, values, false, () => this.image.writeCompressed(offset, content));
  }

  /** Several requests at once on ranges of their own. */
  async batch(most: number): Promise<void> {
    const taken: { offset: number; length: number }[] = [];
    const running: Promise<void>[] = [];
    for (let index = 0; index < most; index += 1) {
      const range = this.range();
      if (
        taken.some(other => other.offset < range.offset + range.length && range.offset < other.offset + other.length)
      ) {
        continue;
      }
      taken.push(range);
      const kind = this.random.pick(['write', 'write', 'write', 'read', 'zero', 'discard']);
      running.push(this.request(kind, range.offset, range.length));
      if (this.random.below(6) === 0) running.push(this.flush());
    }
    const failed = (await Promise.allSettled(running)).find(result => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** A few steps of everything. */
  async steps(count: number): Promise<void> {
    const { random } = this;
    for (let step = 0; step < count; step += 1) {
      const kind = random.below(12);
      if (kind < 2) await this.flush();
      else if (kind === 2) await this.compress(compressibleBytes(random, this.options.clusterSize ?? 65_536));
      else await this.batch(1 + random.below(12));
    }
  }

  async verify(): Promise<void> {
    this.#compare(await contentOf(this.image), this.expected, 0, 'verify');
  }

  #compare(got: Uint8Array, want: Uint8Array, offset: number, during: string): void {
    const at = firstDifference(got, want);
    if (at < 0) return;
    const found = `${got[at]} instead of ${want[at]}`;
    throw new Error(`Seed ${this.random.seed}: ${during} finds ${found} at byte ${offset + at} of the disk`);
  }
}
