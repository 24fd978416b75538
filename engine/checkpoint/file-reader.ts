import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import { decode, type Section } from '../state/section.ts';
import { checksum } from './checksum.ts';
import { type BlockCodecs, decompressBlock } from './codecs.ts';
import { damaged, HEADER_BYTES, type Hex, MOST_INDEX_BYTES, MOST_SECTION_BYTES, TRAILER_BYTES } from './format.ts';
import { type CheckpointHeader, decodeHeader } from './header.ts';
import { type BlockEntry, PageIndex, type PageRun, ZERO_BLOCK } from './page-index.ts';
import { decodeSectionTable, decodeTrailer, PAGES_SECTION, type SectionEntry, type Trailer } from './section-table.ts';

// 1 MiB of content: pages that a starting guest asks for lie together, and each block is decompressed once for them.
const CACHED_BLOCKS = 16;

/** Beginning and end of a file, without its index: cheap enough for a folder full of them. */
export interface CheckpointOutline {
  readonly header: CheckpointHeader;
  readonly trailer: Trailer;
  readonly sections: ReadonlyMap<string, SectionEntry>;
}

/** @throws AfterimageError `corrupt` or `unsupported`, naming file, section and offset; the file's own failures. */
export async function readOutline(file: HostFile): Promise<CheckpointOutline> {
  const size = await file.size();
  if (size < HEADER_BYTES + TRAILER_BYTES) {
    throw damaged('it is too short to be one', { file: file.name, section: 'header', offset: size });
  }
  const header = decodeHeader(await readBytes(file, 0, HEADER_BYTES), file.name);
  const end = await readBytes(file, size - TRAILER_BYTES, TRAILER_BYTES);
  const trailer = decodeTrailer(end, header.id, size, file.name);
  const table = await readBytes(file, trailer.tableOffset, trailer.tableLength);
  return { header, trailer, sections: decodeSectionTable(table, trailer, file.name) };
}

/** One checkpoint file, opened and checked; its parents are another's business (reader.ts). */
export class CheckpointFile {
  readonly name: string;
  readonly outline: CheckpointOutline;
  readonly index: PageIndex;
  readonly #file: HostFile;
  readonly #codecs: BlockCodecs;
  readonly #cache = new Map<number, Promise<Uint8Array>>();

  private constructor(file: HostFile, outline: CheckpointOutline, index: PageIndex, codecs: BlockCodecs) {
    this.name = file.name;
    this.outline = outline;
    this.index = index;
    this.#file = file;
    this.#codecs = codecs;
  }

  /** Takes over the file when it succeeds: `close` closes it. */
  static async open(file: HostFile, codecs: BlockCodecs): Promise<CheckpointFile> {
    const outline = await readOutline(file);
    const entry = outline.sections.get(PAGES_SECTION)!;
    const bytes = await readSection(file, entry, MOST_INDEX_BYTES);
    const { spaces } = outline.header;
    const index = PageIndex.decode(bytes, spaces, entry.offset, outline.trailer.tableOffset, file.name);
    return new CheckpointFile(file, outline, index, codecs);
  }

  get id(): Hex {
    return this.outline.header.id;
  }

  get header(): CheckpointHeader {
    return this.outline.header;
  }

  /** A section's bytes, checked; undefined when there is none. */
  async section(name: string): Promise<Uint8Array | undefined> {
    const entry = this.outline.sections.get(name);
    return entry && (await readSection(this.#file, entry, MOST_SECTION_BYTES));
  }

  /** A section's content by its table; undefined when there is none. */
  async table<S>(table: Section<S>): Promise<S | undefined> {
    const bytes = await this.section(table.name);
    if (bytes === undefined) return undefined;
    try {
      return decode(table, bytes);
    } catch (thrown) {
      if (!(thrown instanceof AfterimageError)) throw thrown;
      const context = { ...thrown.context, file: this.name };
      throw new AfterimageError(thrown.kind, thrown.message, context, { cause: thrown });
    }
  }

  /** Content of a block, through a small cache; not to be changed. */
  async block(number: number): Promise<Uint8Array> {
    let content = this.#cache.get(number);
    // The one used last goes to the end.
    this.#cache.delete(number);
    if (content === undefined) {
      content = this.#readBlock(number);
      content.catch(() => this.#cache.delete(number));
    }
    this.#cache.set(number, content);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_BLOCKS) break;
      this.#cache.delete(oldest);
    }
    return await content;
  }

  /** A block's bytes as they are stored, with their checksum verified. */
  async storedBlock(number: number): Promise<BlockEntry & { readonly bytes: Uint8Array }> {
    const entry = this.index.block(number);
    const bytes = await readBytes(this.#file, entry.offset, entry.length);
    if (checksum(bytes) !== entry.checksum) {
      throw damaged('the checksum of a block is wrong', this.#place(entry), { block: number });
    }
    return { ...entry, bytes };
  }

  /** Content of stored bytes of this file. */
  async content(number: number, stored: BlockEntry & { readonly bytes: Uint8Array }): Promise<Uint8Array> {
    return await decompressBlock(
      this.#codecs,
      stored.codec,
      stored.bytes,
      stored.pages * PAGE_SIZE,
      this.#place(this.index.block(number)),
    );
  }

  /** Fills `into`, one page, from a run of this file. */
  async readPage(run: PageRun, page: number, into: Uint8Array): Promise<void> {
    if (run.block === ZERO_BLOCK) {
      into.fill(0);
      return;
    }
    const content = await this.block(run.block);
    const at = (run.slot + page - run.first) * PAGE_SIZE;
    into.set(content.subarray(at, at + PAGE_SIZE));
  }

  async close(): Promise<void> {
    this.#cache.clear();
    await this.#file.close();
  }

  async #readBlock(number: number): Promise<Uint8Array> {
    return await this.content(number, await this.storedBlock(number));
  }

  #place(entry: BlockEntry) {
    return { file: this.name, section: 'blocks', offset: entry.offset };
  }
}

async function readBytes(file: HostFile, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await file.read(at, [bytes]);
  return bytes;
}

async function readSection(file: HostFile, entry: SectionEntry, most: number): Promise<Uint8Array> {
  const place = { file: file.name, section: entry.name, offset: entry.offset };
  if (entry.length > most) throw damaged('a section is too large', place);
  const bytes = await readBytes(file, entry.offset, entry.length);
  if (checksum(bytes) !== entry.checksum) throw damaged('the checksum of a section is wrong', place);
  return bytes;
}
