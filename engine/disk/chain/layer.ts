import { AfterimageError } from '../../base/errors.ts';
import { totalLength } from '../buffers.ts';
import type { Disk, HostFile } from '../disk.ts';
import type { ClusterCodecs } from '../qcow2/compressed.ts';
import { readHeader } from '../qcow2/header.ts';
import { Qcow2Image } from '../qcow2/image.ts';
import type { Run } from '../qcow2/reader.ts';
import { RawDisk } from '../raw.ts';
import { DEPTH_BLOCK_BYTES, Depths } from './depths.ts';
import type { Folder } from './folder.ts';
import { backingPath } from './paths.ts';
import { SharedFile } from './shared-file.ts';

export type LayerFormat = 'raw' | 'qcow2';

export interface LayerParts {
  readonly folder: Folder;
  readonly path: string;
  readonly format: LayerFormat;
  readonly access: 'read' | 'write';
  readonly backing: Layer | undefined;
  readonly codecs: ClusterCodecs | undefined;
}

/** What a layer becomes by `reopen`; what is not named stays as it is. */
export interface Reopening {
  readonly access?: 'read' | 'write';
  /** The layer below from now on; null for none. */
  readonly backing?: Layer | null;
  /** Changes the file while no disk is open on it. When it fails the layer goes on as it was. */
  readonly change?: (file: HostFile) => Promise<void>;
}

/** Blocks that are looked up together where the first of them is: neighbours are wanted next, and are as cheap. */
const BLOCKS_AHEAD = 16;

/** Counts changes to what layers are and what they stand on, of all chains: what is remembered of one is forgotten then. */
let shape = 0;

/**
 * One disk file of a chain. What is opened on the file may be exchanged under running requests, which then wait for a
 * moment (`reopen`): that is how a chain changes its shape below a machine.
 */
export class Layer implements Disk {
  readonly folder: Folder;
  readonly path: string;
  readonly format: LayerFormat;
  readonly codecs: ClusterCodecs | undefined;
  #backing: Layer | undefined;
  #file: HostFile;
  #disk: Disk;
  #frozen = false;
  #running = 0;
  /** Requests that change it, waiting ones included. */
  #changing = 0;
  #whenIdle: (() => void) | undefined;
  /** New requests wait for it. */
  #gate: Promise<void> | undefined;
  #broken: unknown;
  /** Of reads that the layer above leaves to this one. */
  readonly #depths = new Depths();
  /** This layer and those below, as of `#depthsShape`. */
  readonly #layers: Layer[] = [];
  #depthsShape = -1;

  private constructor(parts: LayerParts, file: HostFile, disk: Disk) {
    this.folder = parts.folder;
    this.path = parts.path;
    this.format = parts.format;
    this.codecs = parts.codecs;
    this.#backing = parts.backing;
    this.#file = file;
    this.#disk = disk;
  }

  /** Opens one file; `openChain` opens what is below it. Errors: those of the folder and of the format. */
  static async open(parts: LayerParts): Promise<Layer> {
    const file = await parts.folder.open(parts.path, parts.access);
    try {
      return new Layer(parts, file, await openDisk(parts, file));
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  get size(): number {
    return this.#disk.size;
  }

  get readonly(): boolean {
    return this.#disk.readonly || this.#frozen;
  }

  /** How its file is open; a frozen layer may still be open for writing. */
  get access(): 'read' | 'write' {
    return this.#file.readonly ? 'read' : 'write';
  }

  get backing(): Layer | undefined {
    return this.#backing;
  }

  /** The image, for a layer that is one. */
  get image(): Qcow2Image | undefined {
    return this.#disk instanceof Qcow2Image ? this.#disk : undefined;
  }

  /** No request of a machine changes it any more. */
  get frozen(): boolean {
    return this.#frozen;
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    shape += 1;
    this.#frozen = false;
  }

  read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    // Down to the layer that has the range, without a wait at those that have none of it: depth costs little.
    const length = totalLength(into);
    const layer = this.#leavesToBacking(offset, length) ? this.#backing!.#serving(offset, length) : this;
    const reading = layer.#do(disk => disk.read(offset, into));
    if (layer === this || layer.#gate === undefined) return reading;
    // That layer may be leaving the chain just now; then those above know where the range is.
    return reading.catch(thrown => {
      if (layer.#broken === undefined) throw thrown;
      return this.#do(disk => disk.read(offset, into));
    });
  }

  /** The first layer from this one down that does not leave the range to the one below it for certain. */
  #serving(offset: number, length: number): Layer {
    if (this.#backing === undefined) return this;
    const block = Math.floor(offset / DEPTH_BLOCK_BYTES);
    const within = offset + length <= (block + 1) * DEPTH_BLOCK_BYTES;
    if (this.#depthsShape !== shape) {
      this.#depthsShape = shape;
      this.#depths.clear();
      this.#layers.length = 0;
      for (let layer: Layer | undefined = this; layer !== undefined; layer = layer.#backing) this.#layers.push(layer);
    }
    const known = within ? this.#depths.get(block) : undefined;
    if (known !== undefined) return this.#layers[known]!;
    let depth = 0;
    // Only layers that nobody writes to can be passed by again without a look.
    let lasting = within ? BLOCKS_AHEAD : 0;
    let layer: Layer = this;
    for (; ; layer = layer.#backing!) {
      const passed = lasting > 0 && layer.readonly ? layer.#blocksLeft(block, lasting) : 0;
      if (passed === 0 && !layer.#leavesToBacking(offset, length)) break;
      lasting = passed;
      depth += 1;
    }
    // What is left to the last layer is nobody else's.
    const ahead = layer.#backing === undefined ? lasting : Math.min(1, lasting);
    if (ahead > 1 || (ahead === 1 && layer.#knows(offset, length))) {
      for (let index = 0; index < ahead; index += 1) this.#depths.set(block + index, depth);
    }
    return layer;
  }

  /** How many blocks from one on are left to the layer below for certain, `most` at most. */
  #blocksLeft(block: number, most: number): number {
    const at = block * DEPTH_BLOCK_BYTES;
    if (!this.#leavesToBacking(at, DEPTH_BLOCK_BYTES)) return 0;
    const end = Math.min(at + most * DEPTH_BLOCK_BYTES, this.size, this.#backing!.size);
    return Math.max(1, Math.floor((this.image?.peekBacking(at, end - at) ?? 0) / DEPTH_BLOCK_BYTES));
  }

  /** Whether the mapping of the range is in memory, so that a second look would find nothing new. */
  #knows(offset: number, length: number): boolean {
    try {
      return this.image === undefined || this.image.peekKind(offset, length) !== undefined;
    } catch {
      return false;
    }
  }

  /** Whether a range is the backing file's for certain, with nothing on its way that would change that (C7). */
  #leavesToBacking(offset: number, length: number): boolean {
    const backing = this.#backing;
    if (backing === undefined || this.#changing > 0 || this.#gate !== undefined || this.#broken !== undefined)
      return false;
    if (offset + length > Math.min(backing.size, this.size)) return false;
    try {
      return this.image?.peekKind(offset, length) === 'backing';
    } catch {
      // Damage is for the read itself to report.
      return false;
    }
  }

  write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    return this.#modify(disk => disk.write(offset, from));
  }

  /** Writes into the layer's file what the range reads as already: the disk's content stays, bitmaps as well. */
  fill(offset: number, from: readonly Uint8Array[]): Promise<void> {
    return this.#modify(disk => (disk instanceof Qcow2Image ? disk.fill(offset, from) : disk.write(offset, from)));
  }

  /** As `fill`, with zeroes. */
  fillZeroes(offset: number, length: number): Promise<void> {
    return this.#modify(disk =>
      disk instanceof Qcow2Image ? disk.fillZeroes(offset, length) : disk.writeZeroes(offset, length),
    );
  }

  flush(): Promise<void> {
    return this.#do(disk => disk.flush());
  }

  discard(offset: number, length: number): Promise<void> {
    return this.#modify(disk => disk.discard(offset, length));
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.#modify(disk => disk.writeZeroes(offset, length));
  }

  /** Where the bytes of a range are, as `Qcow2Image.allocation` says it; a raw file has them all. */
  allocation(offset: number, length: number): Promise<Run[]> {
    return this.#do(async disk => {
      if (disk instanceof Qcow2Image) return await disk.allocation(offset, length);
      return [{ kind: 'allocated', offset, length, at: offset }];
    });
  }

  /** Makes everything durable and closes the file. The layers below are not closed with it. */
  async close(): Promise<void> {
    await this.#alone(async () => {
      try {
        await this.#disk.close();
      } finally {
        this.#broken ??= new AfterimageError('state', 'The layer is closed', { file: this.path });
        this.#depths.clear();
        await this.#file.close();
      }
    });
  }

  /**
   * Exchanges what is open on the file, after the requests that run; those that come meanwhile wait. All that was
   * written is durable before. A failure leaves the layer as it was, or, when `change` had come so far, with
   * the layer below that its file names now.
   */
  async reopen(to: Reopening): Promise<void> {
    await this.#alone(async () => {
      if (this.#broken !== undefined) throw this.#broken;
      // What cannot be made durable must stay open, or it would be lost.
      if (!this.#disk.readonly) await this.#disk.flush();
      const was = { access: this.access, backing: this.#backing };
      // All that closing has left to do is to free clusters; failing at that leaks them.
      await this.#disk.close().catch(() => undefined);
      try {
        await this.#openFile(to.access ?? was.access);
        await to.change?.(this.#file);
        await this.#openDisk(to.backing === undefined ? was.backing : (to.backing ?? undefined));
      } catch (thrown) {
        try {
          await this.#openFile(was.access);
          await this.#openAsFound(was.backing, to.backing ?? undefined);
        } catch (again) {
          this.#broken = again;
        }
        throw thrown;
      }
    });
  }

  /**
   * Takes another file in the place of its own, which must have the same content; its name is gone then. A failure
   * leaves the layer as it was.
   */
  async replaceFile(path: string): Promise<void> {
    await this.#alone(async () => {
      if (this.#broken !== undefined) throw this.#broken;
      if (!this.#disk.readonly) await this.#disk.flush();
      const { access, backing } = this;
      await this.#disk.close().catch(() => undefined);
      await this.#file.close();
      const open = async () => {
        this.#file = await this.folder.open(this.path, access);
        await this.#openDisk(backing);
      };
      try {
        await this.folder.rename(path, this.path);
        await open();
      } catch (thrown) {
        await open().catch(again => {
          this.#broken = again;
        });
        throw thrown;
      }
      await this.folder.flush();
    });
  }

  async #openFile(access: 'read' | 'write'): Promise<void> {
    const before = this.access;
    if (before === access) return;
    // A lock cannot be held for reading and for writing at once.
    await this.#file.close();
    try {
      this.#file = await this.folder.open(this.path, access);
    } catch (thrown) {
      this.#file = await this.folder.open(this.path, before);
      throw thrown;
    }
  }

  /** After a failure: with the layer below that the file names now, so that memory and file never disagree. */
  async #openAsFound(was: Layer | undefined, wanted: Layer | undefined): Promise<void> {
    if (this.format === 'raw') return await this.#openDisk(undefined);
    const { backing } = await readHeader(this.#file);
    const name = backing && backingPath(this.path, backing.name);
    await this.#openDisk([was, wanted].find(layer => layer?.path === name));
  }

  async #openDisk(backing: Layer | undefined): Promise<void> {
    const { folder, path, format, access, codecs } = this;
    this.#disk = await openDisk({ folder, path, format, access, backing, codecs }, this.#file);
    this.#backing = backing;
  }

  async #modify(step: (disk: Disk) => Promise<void>): Promise<void> {
    this.#changing += 1;
    try {
      while (this.#gate !== undefined) await this.#gate;
      if (this.#broken !== undefined) throw this.#broken;
      if (this.#frozen) throw new AfterimageError('state', 'The layer is frozen', { file: this.path });
      this.#running += 1;
      try {
        await step(this.#disk);
      } finally {
        this.#ended();
      }
    } finally {
      this.#changing -= 1;
    }
  }

  async #do<Result>(step: (disk: Disk) => Promise<Result>): Promise<Result> {
    while (this.#gate !== undefined) await this.#gate;
    if (this.#broken !== undefined) throw this.#broken;
    this.#running += 1;
    try {
      return await step(this.#disk);
    } finally {
      this.#ended();
    }
  }

  #ended(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#whenIdle?.();
  }

  /** Runs a step while no request runs. */
  async #alone(step: () => Promise<void>): Promise<void> {
    while (this.#gate !== undefined) await this.#gate;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    shape += 1;
    try {
      if (this.#running > 0) {
        await new Promise<void>(idle => {
          this.#whenIdle = idle;
        });
      }
      this.#whenIdle = undefined;
      await step();
    } finally {
      shape += 1;
      this.#gate = undefined;
      resolve();
    }
  }
}

async function openDisk(parts: LayerParts, file: HostFile): Promise<Disk> {
  const shared = new SharedFile(file);
  if (parts.format === 'raw') return await RawDisk.open(shared);
  return await Qcow2Image.open(shared, {
    ...(parts.backing === undefined ? {} : { backing: parts.backing }),
    ...(parts.codecs === undefined ? {} : { codecs: parts.codecs }),
  });
}
