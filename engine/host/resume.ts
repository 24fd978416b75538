// What a run needs that goes on from a checkpoint instead of power-on (C17).
import { type About, aboutTable, requestsTable, workingSetTable } from '../checkpoint/about.ts';
import { damaged } from '../checkpoint/format.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';
import type { CheckpointTree } from '../checkpoint/tree.ts';
import type { BlockStatus } from '../devices/virtio/block/backend.ts';

/** A checkpoint that a machine is to go on from. Its disks must stand as it says already, on layers of their own. */
export interface Resume {
  /** Taken over: closed when no page is absent any more, or with the engine. */
  readonly reader: CheckpointReader;
  /** Where the reader is from. Its files are kept as long as pages are absent, and the next checkpoint builds on it. */
  readonly from?: { readonly tree: CheckpointTree; readonly durable: boolean };
  /**
   * `all`, the usual: pages at their first use, the rest in the background. `first`: all before the first instruction.
   * `used`: only those that are used, to see how many they are.
   */
  readonly bring?: 'all' | 'first' | 'used';
}

/** A request that was in flight at the moment, and how it ended. */
export interface EndedRequest {
  readonly device: string;
  readonly tag: number;
  readonly status: BlockStatus;
}

/** What the hart's thread goes on from. */
export interface ResumeState {
  /** Device state: a tree of sections. */
  readonly state: Uint8Array;
  readonly requests: readonly EndedRequest[];
}

export interface ResumeContent extends ResumeState {
  readonly about: About | undefined;
  /** Pages in the order in which they are likely to be used. */
  readonly workingSet: readonly number[];
}

/** In the order of their numbers in the file. */
export const REQUEST_STATUSES: readonly BlockStatus[] = ['ok', 'io-error', 'unsupported'];
/** 1 GiB: more is no working set, whoever wrote it. */
const MOST_WORKING_PAGES = 2 ** 18;

/** @throws AfterimageError `corrupt`, naming the file */
export async function readResume(reader: CheckpointReader): Promise<ResumeContent> {
  const [state, requests, working, about] = await Promise.all([
    reader.section('state'),
    reader.table(requestsTable),
    reader.table(workingSetTable),
    reader.table(aboutTable),
  ]);
  const file = reader.files[0]!.name;
  if (state === undefined) throw damaged('it has no device state', { file, section: 'state' });
  const ended = (requests?.requests ?? []).map(({ device, tag, status }) => {
    const name = REQUEST_STATUSES[status];
    if (name === undefined) throw damaged('a request has an unknown status', { file, section: 'requests' }, { status });
    return { device, tag, status: name };
  });
  return { state, requests: ended, about, workingSet: [...pagesOf(working?.runs ?? [])] };
}

function* pagesOf(runs: readonly { readonly first: number; readonly count: number }[]): Generator<number> {
  let left = MOST_WORKING_PAGES;
  for (const { first, count } of runs) {
    for (let page = first; page < first + count && left > 0; page += 1, left -= 1) yield page;
  }
}
