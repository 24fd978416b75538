// How many bytes of a disk differ between two chains of layers, in content.
import type { Layer } from '../disk/chain/layer.ts';
import { rangesOf } from '../disk/jobs/ranges.ts';

/** Compared in blocks as small as file systems change. */
const BLOCK = 4096;
/** Read at a time. */
const PIECE = 64 * 1024;
/** Looked at together: a mark for each piece of it. */
const WINDOW = 1024 ** 3;

/**
 * Only what a layer that the two do not share says something about is read. Bytes that one of the two does not have count
 * as zeroes.
 */
export async function compareDisks(
  one: Layer,
  other: Layer,
  step: (bytes: number, total: number) => void,
): Promise<number> {
  const apart = [...above(one, other), ...above(other, one)];
  const total = Math.max(one.size, other.size);
  let changed = 0;
  for (let start = 0; start < total; start += WINDOW) {
    const end = Math.min(total, start + WINDOW);
    const marks = new Uint8Array(Math.ceil((end - start) / PIECE));
    for (const layer of apart) await mark(layer, start, Math.min(end, layer.size), marks);
    for (const [piece, marked] of marks.entries()) {
      const at = start + piece * PIECE;
      if (marked === 1) changed += await changedIn(one, other, at, Math.min(PIECE, end - at));
    }
    step(end, total);
  }
  return changed;
}

/** The layers of a chain that another one does not have. */
function above(chain: Layer, other: Layer): Layer[] {
  const shared = new Set(chainOf(other).map(({ path }) => path));
  return chainOf(chain).filter(({ path }) => !shared.has(path));
}

function chainOf(top: Layer): Layer[] {
  const chain: Layer[] = [];
  for (let at: Layer | undefined = top; at !== undefined; at = at.backing) chain.push(at);
  return chain;
}

async function mark(layer: Layer, start: number, end: number, marks: Uint8Array): Promise<void> {
  if (end <= start) return;
  for await (const { kind, offset, length } of rangesOf(layer, start, end)) {
    if (kind === 'below') continue;
    const [first, last] = [Math.floor((offset - start) / PIECE), Math.ceil((offset + length - start) / PIECE)];
    marks.fill(1, first, last);
  }
}

async function changedIn(one: Layer, other: Layer, at: number, length: number): Promise<number> {
  const [left, right] = [await contentOf(one, at, length), await contentOf(other, at, length)];
  if (left.equals(right)) return 0;
  let changed = 0;
  for (let from = 0; from < length; from += BLOCK) {
    const block = left.subarray(from, Math.min(from + BLOCK, length));
    if (!block.equals(right.subarray(from, from + block.length))) changed += block.length;
  }
  return changed;
}

async function contentOf(layer: Layer, at: number, length: number): Promise<Buffer> {
  const content = Buffer.alloc(length);
  const there = Math.min(length, Math.max(0, layer.size - at));
  if (there > 0) await layer.read(at, [content.subarray(0, there)]);
  return content;
}
