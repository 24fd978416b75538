import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import type { Section } from '../state/section.ts';
import type { BlockCodecs } from './codecs.ts';
import { CheckpointFile } from './file-reader.ts';
import { damaged, type Hex, pagesOf } from './format.ts';
import type { CheckpointHeader, Space } from './header.ts';
import { type PageRun, ZERO_BLOCK } from './page-index.ts';
import { type OwnedRun, resolveRuns } from './resolve.ts';

/** Opens the file of a checkpoint by its identity. Errors: `missing` when there is none. */
export type FindCheckpoint = (id: Hex) => Promise<HostFile>;

// Each file of a chain is open while a machine is restored; a host allows about a thousand.
export const LONGEST_CHAIN = 512;

/** Pages of one block that are asked for together. */
interface Wanted {
  readonly file: CheckpointFile;
  readonly block: number;
  readonly pages: { run: PageRun; page: number; into: Uint8Array }[];
}

/**
 * A checkpoint with the parents that it takes pages from. Pages come by random access, at any time, in any number
 * (C17). What cannot be read is an error that names file, section and offset, never a page of zeroes.
 */
export class CheckpointReader {
  /** The checkpoint's own file, then its parents. */
  readonly files: readonly CheckpointFile[];

  private constructor(files: readonly CheckpointFile[]) {
    this.files = files;
  }

  /**
   * Opens a checkpoint and its parents. Takes over `file` in any case.
   * @throws AfterimageError `corrupt`, `unsupported`, `missing` for a parent that is not there (naming it and the child)
   */
  static async open(file: HostFile, find: FindCheckpoint, codecs: BlockCodecs): Promise<CheckpointReader> {
    const files: CheckpointFile[] = [];
    let next = file;
    try {
      for (;;) {
        const opened = await CheckpointFile.open(next, codecs).catch(async thrown => {
          await next.close();
          throw thrown;
        });
        files.push(opened);
        checkLink(files);
        const { parent } = opened.header;
        if (parent === undefined) return new CheckpointReader(files);
        next = await findParent(find, parent.id, opened.name);
      }
    } catch (thrown) {
      await Promise.allSettled(files.map(one => one.close()));
      throw thrown;
    }
  }

  get header(): CheckpointHeader {
    return this.files[0]!.header;
  }

  get id(): Hex {
    return this.header.id;
  }

  get spaces(): readonly Space[] {
    return this.header.spaces;
  }

  section(name: string): Promise<Uint8Array | undefined> {
    return this.files[0]!.section(name);
  }

  table<S>(table: Section<S>): Promise<S | undefined> {
    return this.files[0]!.table(table);
  }

  /** Fills `into`, one page. */
  async readPage(space: number, page: number, into: Uint8Array): Promise<void> {
    const { file, run } = this.#find(space, page);
    await file.readPage(run, page, into);
  }

  /** Fills each of `into`, one page each. Pages that lie together cost one read. */
  async readPages(space: number, pages: ArrayLike<number>, into: readonly Uint8Array[]): Promise<void> {
    const blocks = new Map<string, Wanted>();
    for (let index = 0; index < pages.length; index += 1) {
      const page = pages[index]!;
      const target = into[index]!;
      const { file, run } = this.#find(space, page);
      if (run.block === ZERO_BLOCK) target.fill(0);
      else {
        const key = `${this.files.indexOf(file)}/${run.block}`;
        const wanted = blocks.get(key) ?? { file, block: run.block, pages: [] };
        wanted.pages.push({ run, page, into: target });
        blocks.set(key, wanted);
      }
    }
    // One block after the other, so that memory stays bounded whatever is asked for.
    for (const { file, block, pages: wanted } of blocks.values()) {
      const content = await file.block(block);
      for (const { run, page, into: target } of wanted) {
        const at = (run.slot + page - run.first) * PAGE_SIZE;
        target.set(content.subarray(at, at + PAGE_SIZE));
      }
    }
  }

  /** True when the page is known to be zero without reading anything. */
  isZero(space: number, page: number): boolean {
    return this.#find(space, page).run.block === ZERO_BLOCK;
  }

  /**
   * Where every page of a space comes from, in the order of pages.
   * @throws AfterimageError `corrupt` when a page is in none of the files
   */
  runs(space: number): OwnedRun[] {
    const limit = pagesOf(this.spaces[space]!.bytes);
    const runs = resolveRuns(this.files, space);
    let reached = 0;
    for (const run of runs) {
      if (run.first !== reached) break;
      reached += run.count;
    }
    if (reached !== limit) throw this.#lacking(space, reached);
    return runs;
  }

  async close(): Promise<void> {
    const results = await Promise.allSettled(this.files.map(file => file.close()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  #find(space: number, page: number): { file: CheckpointFile; run: PageRun } {
    const of = this.spaces[space];
    if (of === undefined || !Number.isInteger(page) || page < 0 || page >= pagesOf(of.bytes)) {
      throw new AfterimageError('usage', 'The checkpoint has no such page', { file: this.files[0]!.name, space, page });
    }
    for (const file of this.files) {
      const run = file.index.find(space, page);
      if (run !== undefined) return { file, run };
    }
    throw this.#lacking(space, page);
  }

  #lacking(space: number, page: number): AfterimageError {
    return damaged(
      'a page is in none of its files',
      { file: this.files.at(-1)!.name, section: 'pages' },
      { space, page },
    );
  }
}

async function findParent(find: FindCheckpoint, parent: Hex, child: string): Promise<HostFile> {
  try {
    return await find(parent);
  } catch (thrown) {
    const cause = AfterimageError.from(thrown);
    const context = { ...cause.context, parent, file: child, section: 'header', offset: 64 };
    throw new AfterimageError(cause.kind, 'The parent of a checkpoint cannot be opened', context, { cause });
  }
}

/** The last file must be what the one before it calls its parent. */
function checkLink(files: readonly CheckpointFile[]): void {
  const parent = files.at(-1)!;
  const child = files.at(-2);
  if (child === undefined) return;
  const refuse = (what: string): never => {
    throw damaged(what, { file: child.name, section: 'header', offset: 64 }, { parent: parent.name });
  };
  const link = child.header.parent!;
  if (files.length > LONGEST_CHAIN) refuse('its chain of parents is too long');
  if (files.slice(0, -1).some(file => file.id === parent.id)) refuse('its chain of parents is a circle');
  if (parent.id !== link.id) refuse('its parent has another identity');
  if (parent.outline.trailer.seal !== link.seal) refuse('its parent has another seal');
  if (parent.header.machine !== child.header.machine) refuse('its parent is of another machine');
  const sizes = (file: CheckpointFile) => file.header.spaces.map(({ name, bytes }) => `${name} ${bytes}`).join();
  if (sizes(parent) !== sizes(child)) refuse('its parent has other spaces');
}
