import type { CheckpointFile } from './file-reader.ts';
import { type PageRun, ZERO_BLOCK } from './page-index.ts';

/** A run of pages and the file that has them. */
export interface OwnedRun extends PageRun {
  readonly file: CheckpointFile;
}

/** Where the pages of a space come from when earlier files go before later ones; pages of none are left out. */
export function resolveRuns(files: readonly CheckpointFile[], space: number): OwnedRun[] {
  let upper: OwnedRun[] = [];
  for (const file of files) upper = overlay(upper, file.index.runs(space), file);
  return upper;
}

/** Both in the order of pages; where both have a page, the upper one's is taken. */
function overlay(upper: readonly OwnedRun[], lower: Iterable<PageRun>, file: CheckpointFile): OwnedRun[] {
  const result: OwnedRun[] = [];
  let at = 0;
  for (const run of lower) {
    let first = run.first;
    const end = run.first + run.count;
    while (first < end) {
      // What ends before the rest of this run is settled.
      while (at < upper.length && upper[at]!.first + upper[at]!.count <= first) result.push(upper[at++]!);
      const next = upper[at];
      if (next !== undefined && next.first <= first) {
        first = next.first + next.count;
        continue;
      }
      const until = next === undefined ? end : Math.min(end, next.first);
      result.push(part(run, first, until - first, file));
      first = until;
    }
  }
  while (at < upper.length) result.push(upper[at++]!);
  return result;
}

function part(run: PageRun, first: number, count: number, file: CheckpointFile): OwnedRun {
  const slot = run.block === ZERO_BLOCK ? 0 : run.slot + first - run.first;
  return { space: run.space, first, count, block: run.block, slot, file };
}
