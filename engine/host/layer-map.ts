// Which ranges of a layer have content of their own, for a picture of it.
import type { AllocatedRange } from '../api/control.ts';
import type { LayerFormat } from '../api/machine.ts';
import { closeChain, openChain } from '../disk/chain/open.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { OwnedFolder } from './owned-folder.ts';

/** Looked up at a time. */
const STEP = 1024 * 1024 * 1024;
/** Ranges kept before neighbours are joined; bounds what a scattered layer costs. */
const MOST_COLLECTED = 65_536;
const USUAL_MOST = 1024;

type Kind = AllocatedRange['kind'];

interface Range {
  readonly start: number;
  length: number;
  kind: Kind;
}

/** Of a layer that is in use it is as the file says, which may be a moment old. */
export async function layerMap(
  folder: string,
  layer: string,
  format: LayerFormat,
  most = USUAL_MOST,
): Promise<AllocatedRange[]> {
  const chain = await openChain(
    new OwnedFolder(folder),
    { path: layer, format },
    { access: 'read', codecs: clusterCodecs },
  );
  try {
    let ranges: Range[] = [];
    for (let at = 0; at < chain.size; at += STEP) {
      for (const run of await chain.allocation(at, Math.min(STEP, chain.size - at))) {
        const kind = kindOf(run.kind);
        if (kind !== undefined) add(ranges, run.offset, run.length, kind);
      }
      if (ranges.length > MOST_COLLECTED) ranges = joined(ranges, MOST_COLLECTED / 2);
    }
    return joined(ranges, most);
  } finally {
    await closeChain(chain);
  }
}

function kindOf(kind: string): Kind | undefined {
  if (kind === 'allocated') return 'data';
  return kind === 'zero' || kind === 'compressed' ? kind : undefined;
}

function add(ranges: Range[], start: number, length: number, kind: Kind): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.kind === kind && last.start + last.length === start) last.length += length;
  else ranges.push({ start, length, kind });
}

/** At most so many: those with the smallest gaps between them become one. */
function joined(ranges: readonly Range[], most: number): Range[] {
  if (ranges.length <= most) return [...ranges];
  const gaps = ranges.slice(1).map((range, index) => ({
    after: index,
    gap: range.start - ranges[index]!.start - ranges[index]!.length,
  }));
  gaps.sort((a, b) => a.gap - b.gap);
  const closed = new Set(gaps.slice(0, ranges.length - most).map(({ after }) => after));
  const result: Range[] = [];
  for (const [index, range] of ranges.entries()) {
    const last = result.at(-1);
    if (last === undefined || !closed.has(index - 1)) result.push({ ...range });
    else {
      last.length = range.start + range.length - last.start;
      if (last.kind !== range.kind) last.kind = 'data';
    }
  }
  return result;
}
