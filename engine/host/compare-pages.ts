// How many pages of memory differ between two checkpoints, in content.
import { PAGE_SIZE } from '../base/addresses.ts';
import { ZERO_BLOCK } from '../checkpoint/page-index.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';

type Run = ReturnType<CheckpointReader['runs']>[number];

export interface PageComparison {
  readonly changed: number;
  readonly total: number;
}

/**
 * Pages stored at one place are the same; others are read and compared, a block of each side at a time. A page that one
 * of the two does not have, for its memory is smaller, differs.
 */
export async function comparePages(
  from: CheckpointReader,
  to: CheckpointReader,
  step: (pages: number, total: number) => void,
): Promise<PageComparison> {
  const [left, right] = [from.runs(0), to.runs(0)];
  const total = Math.max(lengthOf(left), lengthOf(right));
  let same = 0;
  for (let a = 0, b = 0; a < left.length && b < right.length; ) {
    const [one, other] = [left[a]!, right[b]!];
    const first = Math.max(one.first, other.first);
    const end = Math.min(one.first + one.count, other.first + other.count);
    if (first < end) {
      same += samePlace(one, other, first) ? end - first : await sameContent(one, other, first, end);
      step(end, total);
    }
    if (one.first + one.count <= other.first + other.count) a += 1;
    else b += 1;
  }
  return { changed: total - same, total };
}

function samePlace(one: Run, other: Run, page: number): boolean {
  if (one.block === ZERO_BLOCK || other.block === ZERO_BLOCK) return one.block === other.block;
  if (one.file.id !== other.file.id || one.block !== other.block) return false;
  return one.slot + page - one.first === other.slot + page - other.first;
}

/** How many of the pages are the same. A run lies in one block. */
async function sameContent(one: Run, other: Run, first: number, end: number): Promise<number> {
  const [left, right] = [await contentOf(one, first, end), await contentOf(other, first, end)];
  let same = 0;
  for (let at = 0; at < (end - first) * PAGE_SIZE; at += PAGE_SIZE) {
    const [page, twin] = [left?.subarray(at, at + PAGE_SIZE), right?.subarray(at, at + PAGE_SIZE)];
    if ((page ?? ZERO_PAGE).equals(twin ?? ZERO_PAGE)) same += 1;
  }
  return same;
}

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);

/** Undefined when it is zeroes. */
async function contentOf(run: Run, first: number, end: number): Promise<Buffer | undefined> {
  if (run.block === ZERO_BLOCK) return undefined;
  const { buffer, byteOffset } = await run.file.block(run.block);
  const slot = run.slot + first - run.first;
  return Buffer.from(buffer, byteOffset + slot * PAGE_SIZE, (end - first) * PAGE_SIZE);
}

function lengthOf(runs: readonly Run[]): number {
  const last = runs.at(-1);
  return last === undefined ? 0 : last.first + last.count;
}
