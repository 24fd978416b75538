// A deliberate scatter (V3), for tests and demonstrations: pages go to random frames, other pages' and the reserve's.
import type { JobStep } from './devirtualization.ts';
import type { FrameMover, MapParts } from './frame-mover.ts';
import type { PageRange } from './page-ranges.ts';

/** Every so many pages one goes to the reserve. */
const INTO_RESERVE = 8;
/** Frames of the reserve that are left alone, for the map and for copies. */
const LEFT_FREE = 64;

export interface ScatteringParts extends MapParts {
  readonly mover: FrameMover;
  readonly mayMove: (page: number) => boolean;
}

/** Gives the pages of a range random frames; the same seed does the same to the same map. */
export function* scatterPages(
  { tables, frames, map, mover, pins, mayMove }: ScatteringParts,
  { first, count }: PageRange,
  seed: number,
): Generator<JobStep, void> {
  const random = randomFrom(seed);
  const fixed = (page: number) => {
    const frame = map.frameOf(page);
    return !mayMove(page) || pins.isPinned(frame) || tables.isShared(frame);
  };
  for (let left = count; left > 1; left -= 1) {
    yield 'more';
    const page = first + left - 1;
    const other = first + random(left);
    if (fixed(page) || !map.makeRoom(page)) continue;
    const temporary = frames.free > LEFT_FREE ? frames.take() : undefined;
    if (temporary === undefined) return;
    if (random(INTO_RESERVE) === 0) mover.movePage(page, temporary);
    else {
      if (other !== page && !fixed(other) && map.makeRoom(other)) mover.swap(page, other, temporary);
      frames.dropOwner(temporary);
    }
  }
}

/** Numbers below a limit, from a 32-bit xorshift. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return below => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
