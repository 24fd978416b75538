import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { CheckpointFile } from './file-reader.ts';
import { type PageRun, ZERO_BLOCK } from './page-index.ts';
import { type OwnedRun, resolveRuns } from './resolve.ts';
import { PAGES_SECTION } from './section-table.ts';
import type { CheckpointWriter } from './writer.ts';

/** A wish to stop, looked at often; an AbortSignal is one. */
export interface Cancellation {
  readonly aborted: boolean;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
}

export interface JobOptions {
  readonly cancellation?: Cancellation;
  /** Called often; units are bytes of content. */
  readonly onProgress?: (progress: Progress) => void;
}

/** @throws AfterimageError `state` with `cancelled` when it is wished for */
export function checkCancelled(options: JobOptions): void {
  if (options.cancellation?.aborted === true) {
    throw new AfterimageError('state', 'It was cancelled', { cancelled: true });
  }
}

export interface CopyOptions extends JobOptions {
  /** Decompress also what is only copied, so that nothing damaged is passed on: for files from outside. */
  readonly verify?: boolean;
}

/**
 * Copies what a chain of files says of a space into a writer, earlier files before later ones. Blocks that are needed
 * as a whole are taken over as they are; of others only the needed pages. Every checksum is verified on the way.
 */
export async function copySpace(
  files: readonly CheckpointFile[],
  space: number,
  writer: CheckpointWriter,
  options: CopyOptions = {},
): Promise<void> {
  const runs = resolveRuns(files, space);
  let total = 0;
  for (const run of runs) {
    if (run.block === ZERO_BLOCK) writer.writeZeroes(space, run.first, run.count);
    else total += run.count * PAGE_SIZE;
  }
  let done = 0;
  for (const { file, block, runs: wanted } of byBlock(files, runs)) {
    checkCancelled(options);
    const stored = await file.storedBlock(block);
    const pages = wanted.reduce((sum, run) => sum + run.count, 0);
    const whole = pages === stored.pages;
    const content = !whole || options.verify ? await file.content(block, stored) : undefined;
    if (whole) await writer.writeStored(stored, wanted);
    else for (const run of wanted) await writeRun(writer, space, run, content!);
    done += pages * PAGE_SIZE;
    options.onProgress?.({ done, total });
  }
}

/** Copies all sections but the index. */
export async function copySections(
  from: CheckpointFile,
  writer: CheckpointWriter,
  except: ReadonlySet<string> = new Set(),
): Promise<void> {
  for (const { name, optional } of from.outline.sections.values()) {
    if (name === PAGES_SECTION || except.has(name)) continue;
    const bytes = await from.section(name);
    if (bytes !== undefined) writer.writeSection(name, bytes, { optional });
  }
}

interface BlockRuns {
  readonly file: CheckpointFile;
  readonly block: number;
  readonly runs: OwnedRun[];
}

/** What is needed of each block, in the order in which the blocks lie in their files. */
function byBlock(files: readonly CheckpointFile[], runs: readonly OwnedRun[]): BlockRuns[] {
  const needed = new Map<CheckpointFile, Map<number, OwnedRun[]>>(files.map(file => [file, new Map()]));
  for (const run of runs) {
    if (run.block === ZERO_BLOCK) continue;
    const blocks = needed.get(run.file)!;
    const of = blocks.get(run.block);
    if (of === undefined) blocks.set(run.block, [run]);
    else of.push(run);
  }
  return [...needed].flatMap(([file, blocks]) =>
    [...blocks].sort(([a], [b]) => a - b).map(([block, of]) => ({ file, block, runs: of })),
  );
}

async function writeRun(writer: CheckpointWriter, space: number, run: PageRun, content: Uint8Array): Promise<void> {
  const pages = Array.from({ length: run.count }, (_, index) => run.first + index);
  const frames = pages.map((_, index) => {
    const at = (run.slot + index) * PAGE_SIZE;
    return content.subarray(at, at + PAGE_SIZE);
  });
  await writer.writePages(space, pages, frames);
}
