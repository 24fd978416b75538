import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import { encode, type Section } from '../state/section.ts';
import {
  type About,
  aboutTable,
  type Disks,
  disksTable,
  type Requests,
  requestsTable,
  type Screen,
  screenTable,
  type WorkingSet,
  workingSetTable,
} from './about.ts';
import { BlockOutput } from './block-output.ts';
import { checksum } from './checksum.ts';
import type { BlockCodecs } from './codecs.ts';
import {
  BLOCK_BYTES,
  BLOCK_PAGES,
  HEADER_BYTES,
  type Hex,
  MOST_SECTION_BYTES,
  MOST_SECTIONS,
  NAME_PATTERN,
  pagesOf,
  TRAILER_BYTES,
} from './format.ts';
import { type CheckpointHeader, encodeHeader, type Feature } from './header.ts';
import { type BlockEntry, PageIndexBuilder, type PageRun, ZERO_BLOCK } from './page-index.ts';
import { encodeSectionTable, encodeTrailer, PAGES_SECTION, type SectionEntry, sealOf } from './section-table.ts';

/** What is known when everything else is written. */
export interface CheckpointTrailer {
  readonly about: About;
  /** Device state: a tree of sections. */
  readonly state?: Uint8Array;
  readonly disks?: Disks;
  readonly requests?: Requests;
  readonly workingSet?: WorkingSet;
  readonly screen?: Screen;
}

export interface WrittenCheckpoint {
  readonly id: Hex;
  readonly seal: Hex;
  /** Size of the file. */
  readonly bytes: number;
  /** Pages stored with content. */
  readonly pages: number;
  readonly zeroPages: number;
}

/** A block as it lies in another file, to be taken over without compressing it again. */
export interface StoredBlock extends Omit<BlockEntry, 'offset'> {
  readonly bytes: Uint8Array;
}

/** Blocks that stay this large are not worth compressing: what is saved later takes longer than what is not written. */
const GAINLESS = 0.9;
/** After so many of them in a row only one of a few is tried, until one is worth it again. */
const ENOUGH_GAINLESS = 4;
const TRY_AGAIN_AFTER = 16;

interface Staging {
  buffer: Uint8Array<ArrayBuffer>;
  pages: number[];
}

/**
 * Writes one checkpoint into an empty file, pages in any order (C3, C8):
 *
 *     const writer = CheckpointWriter.begin(file, header, codecs);
 *     await writer.writePages(0, pages, frames); // as often as needed, late pages last
 *     const written = await writer.finish({ about, state, requests });
 *
 * `writePages` returns when the frames are no longer needed, and waits while too much is on its way, so memory stays
 * bounded at a few MiB. One call at a time. The first failure of the file ends it: every later call throws it. The file
 * is valid from the end of `finish`, which makes it durable; naming it is the store's task.
 */
export class CheckpointWriter {
  readonly header: CheckpointHeader;
  readonly #file: HostFile;
  readonly #codecs: BlockCodecs;
  readonly #output: BlockOutput;
  readonly #index: PageIndexBuilder;
  readonly #staging: Staging[];
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  readonly #sections = new Map<string, { readonly bytes: Uint8Array; readonly optional: boolean }>();
  readonly #features = new Set<Feature>();
  readonly #seal: Hex | undefined;
  /** Blocks in a row that compressing did not make much smaller, and those since. */
  #gainless = 0;
  #untried = 0;
  #ended = false;

  private constructor(file: HostFile, header: CheckpointHeader, codecs: BlockCodecs, seal: Hex | undefined) {
    this.header = header;
    this.#file = file;
    this.#codecs = codecs;
    this.#seal = seal;
    this.#output = new BlockOutput(file, HEADER_BYTES);
    this.#index = new PageIndexBuilder(header.spaces);
    this.#staging = header.spaces.map(() => ({ buffer: new Uint8Array(BLOCK_BYTES), pages: [] }));
  }

  /**
   * Touches nothing yet. Takes over neither file nor codecs.
   * @param seal of a checkpoint that is only written anew: kept, so that its children know it
   * @throws AfterimageError `usage` for a header that the format does not allow
   */
  static begin(file: HostFile, header: CheckpointHeader, codecs: BlockCodecs, seal?: Hex): CheckpointWriter {
    encodeHeader(header, new Set());
    return new CheckpointWriter(file, header, codecs, seal);
  }

  /** Bytes of the file so far, those on their way included. */
  get bytes(): number {
    return this.#output.end;
  }

  /**
   * Adds pages of a space, each once in the life of the writer. Zero pages cost nothing.
   * @param frames each one page, in the order of `pages`; they may be views of shared memory
   */
  async writePages(space: number, pages: ArrayLike<number>, frames: readonly Uint8Array[]): Promise<void> {
    this.#check();
    const staging = this.#stagingOf(space);
    const limit = pagesOf(this.header.spaces[space]!.bytes);
    for (let index = 0; index < pages.length; index += 1) {
      const page = pages[index]!;
      const frame = frames[index];
      if (frame?.length !== PAGE_SIZE || !Number.isInteger(page) || page < 0 || page >= limit) {
        throw new AfterimageError('internal', 'A page to save is outside memory or no page', { space, page });
      }
      if (isZeroPage(frame)) {
        this.#index.addRun({ space, first: page, count: 1, block: ZERO_BLOCK, slot: 0 });
        continue;
      }
      staging.buffer.set(frame, staging.pages.length * PAGE_SIZE);
      staging.pages.push(page);
      if (staging.pages.length === BLOCK_PAGES) await this.#submit(space, staging);
    }
  }

  /** Adds pages that are known to be zero. */
  writeZeroes(space: number, first: number, count: number): void {
    this.#check();
    this.#stagingOf(space);
    if (count > 0) this.#index.addRun({ space, first, count, block: ZERO_BLOCK, slot: 0 });
  }

  /** Takes over a block of another file as it is; `runs` say what it holds (their `block` is ignored). */
  async writeStored(block: StoredBlock, runs: readonly PageRun[]): Promise<void> {
    this.#check();
    const { bytes, codec } = block;
    await this.#output.room(0);
    this.#addBlock(bytes, codec, block.pages, block.checksum, runs);
  }

  /** Adds a section; the bytes are kept until `finish`. An optional one may be skipped by readers that do not know it. */
  writeSection(name: string, bytes: Uint8Array, options: { readonly optional?: boolean } = {}): void {
    this.#check();
    const fits = NAME_PATTERN.test(name) && name !== PAGES_SECTION && !this.#sections.has(name);
    if (!fits || bytes.length > MOST_SECTION_BYTES || this.#sections.size + 1 >= MOST_SECTIONS) {
      throw new AfterimageError('internal', 'A section does not fit the checkpoint', { name, bytes: bytes.length });
    }
    this.#sections.set(name, { bytes, optional: options.optional === true });
  }

  /**
   * Adds what is known last, index, table, trailer and header, and makes the file durable.
   * @throws AfterimageError `internal` when a page was written twice, or one is missing and there is no parent
   */
  async finish(trailer?: CheckpointTrailer): Promise<WrittenCheckpoint> {
    this.#check();
    if (trailer !== undefined) this.#writeTrailer(trailer);
    for (const [space, staging] of this.#staging.entries()) {
      if (staging.pages.length > 0) await this.#submit(space, staging);
    }
    await this.#output.drain();
    const counts = this.#index.counts;
    const index = this.#index.encode(this.header.parent === undefined);
    const sections = [...this.#sections, [PAGES_SECTION, { bytes: index, optional: false }] as const];
    const entries = sections.map(([name, { bytes, optional }]): SectionEntry => {
      const offset = this.#output.append(bytes);
      return { name, offset, length: bytes.length, checksum: checksum(bytes), optional };
    });
    const header = encodeHeader(this.header, this.#features);
    const table = encodeSectionTable(entries);
    const seal = this.#seal ?? sealOf(table, header);
    const tableOffset = this.#output.append(table);
    const fileBytes = tableOffset + table.length + TRAILER_BYTES;
    const { id } = this.header;
    this.#output.append(
      encodeTrailer({ fileBytes, tableOffset, tableLength: table.length, tableChecksum: checksum(table), id, seal }),
    );
    await this.#output.drain();
    this.#ended = true;
    try {
      await this.#file.write(0, [header]);
      await this.#file.flush();
    } catch (thrown) {
      this.#output.fail(thrown);
      throw thrown;
    }
    return { id, seal, bytes: fileBytes, pages: counts.pages, zeroPages: counts.zeroPages };
  }

  /** Stops; returns when no buffer and no request on the file is in use. The file is left as it is, invalid. */
  async abort(): Promise<void> {
    this.#ended = true;
    await this.#output.stop(new AfterimageError('state', 'Writing the checkpoint was given up'));
  }

  #check(): void {
    this.#output.check();
    if (this.#ended) throw new AfterimageError('state', 'The checkpoint is already written');
  }

  #stagingOf(space: number): Staging {
    const staging = this.#staging[space];
    if (staging === undefined) throw new AfterimageError('internal', 'No such space', { space });
    return staging;
  }

  /** What is to compress the next block; undefined while that is not worth the time. */
  #compressor(): BlockCodecs['compress'] {
    const { compress } = this.#codecs;
    if (compress?.when !== 'backlogged') return compress;
    if (!this.#output.backlogged) return undefined;
    this.#untried += 1;
    return this.#gainless < ENOUGH_GAINLESS || this.#untried % TRY_AGAIN_AFTER === 0 ? compress : undefined;
  }

  #gained(share: number): void {
    this.#gainless = share > GAINLESS ? this.#gainless + 1 : 0;
  }

  /** Sends the staged pages on and gives the staging an empty buffer. */
  async #submit(space: number, staging: Staging): Promise<void> {
    const bytes = staging.pages.length * PAGE_SIZE;
    await this.#output.room(bytes);
    const { buffer, pages } = staging;
    staging.buffer = this.#spare.pop() ?? new Uint8Array(BLOCK_BYTES);
    staging.pages = [];
    this.#output.start(bytes, () => this.#store(space, pages, buffer));
  }

  async #store(space: number, pages: readonly number[], buffer: Uint8Array<ArrayBuffer>): Promise<void> {
    const content = buffer.subarray(0, pages.length * PAGE_SIZE);
    const runs = pages.map((first, slot): PageRun => ({ space, first, count: 1, block: 0, slot }));
    const recycle = () => {
      this.#spare.push(buffer);
    };
    const compress = this.#compressor();
    const compressed = compress === undefined ? content : await compress.run(content);
    if (compress !== undefined) this.#gained(compressed.length / content.length);
    if (compress !== undefined && compressed.length < content.length) {
      recycle();
      this.#addBlock(compressed, compress.codec, pages.length, checksum(compressed), runs);
    } else {
      this.#addBlock(content, 'none', pages.length, checksum(content), runs, recycle);
    }
  }

  #addBlock(
    bytes: Uint8Array,
    codec: BlockEntry['codec'],
    pages: number,
    sum: number,
    runs: readonly PageRun[],
    done?: () => void,
  ): void {
    if (codec !== 'none') this.#features.add(codec);
    const offset = this.#output.append(bytes, done);
    const block = this.#index.addBlock({ offset, length: bytes.length, checksum: sum, pages, codec });
    for (const run of runs) this.#index.addRun({ ...run, block });
  }

  #writeTrailer(trailer: CheckpointTrailer): void {
    const put = <S>(table: Section<S>, value: S | undefined, optional = false) => {
      if (value !== undefined) this.writeSection(table.name, encode(table, value), { optional });
    };
    if (trailer.state !== undefined) this.writeSection('state', trailer.state);
    put(aboutTable, trailer.about);
    put(disksTable, trailer.disks);
    put(requestsTable, trailer.requests);
    put(workingSetTable, trailer.workingSet, true);
    put(screenTable, trailer.screen, true);
  }
}

function isZeroPage(frame: Uint8Array): boolean {
  if ((frame.byteOffset & 7) !== 0) return frame.every(byte => byte === 0);
  // Doubles of 0 and -0 compare equal, so words are compared; most pages differ in their first.
  const words = new Int32Array(frame.buffer, frame.byteOffset, PAGE_SIZE / 4);
  for (let index = 0; index < words.length; index += 4) {
    if ((words[index]! | words[index + 1]! | words[index + 2]! | words[index + 3]!) !== 0) return false;
  }
  return true;
}
