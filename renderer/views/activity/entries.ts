// The list of the activity view: what runs first, then what happened, newest first.
import type { JobView } from '../../../engine/api/control.ts';
import type { ActivityEntry } from '../../../preload/contract/library.ts';

export type Importance = 'all' | 'running' | 'problems';

export function isRunning(entry: ActivityEntry): boolean {
  return entry.what.kind === 'job' && entry.what.job.state === 'running';
}

export function isProblem(entry: ActivityEntry): boolean {
  switch (entry.what.kind) {
    case 'job':
      return entry.what.job.state === 'failed';
    case 'ended':
      return entry.what.error !== undefined;
    case 'checkpoint-failed':
    case 'crashed':
    case 'warning':
      return true;
    default:
      return false;
  }
}

/** A new or changed entry takes the place of the one with its name. */
export function withEntry(entries: readonly ActivityEntry[], entry: ActivityEntry): readonly ActivityEntry[] {
  return [entry, ...entries.filter(other => other.entry !== entry.entry)];
}

/** Running ones in the order in which they began, so that they keep their place; then the newest first. */
export function inOrder(entries: readonly ActivityEntry[]): readonly ActivityEntry[] {
  const running = entries
    .filter(isRunning)
    .toSorted((a, b) => beginning(a) - beginning(b) || (a.entry < b.entry ? -1 : 1));
  const others = entries.filter(entry => !isRunning(entry)).toSorted((a, b) => b.at - a.at);
  return [...running, ...others];
}

function beginning(entry: ActivityEntry): number {
  return entry.what.kind === 'job' ? entry.what.job.startedAt : entry.at;
}

export interface EntryFilter {
  readonly importance: Importance;
  /** Only this machine's. */
  readonly machine?: string;
}

export function shownEntries(entries: readonly ActivityEntry[], filter: EntryFilter): readonly ActivityEntry[] {
  return inOrder(entries).filter(
    entry =>
      (filter.machine === undefined || entry.machine === filter.machine) &&
      (filter.importance === 'all' || (filter.importance === 'running' ? isRunning(entry) : isProblem(entry))),
  );
}

/** 0 to 1; undefined when the total is not known. */
export function jobFraction(job: Pick<JobView, 'done' | 'total'>): number | undefined {
  return job.total > 0 ? Math.min(1, Math.max(0, job.done / job.total)) : undefined;
}

/** Seconds that a job still needs at its present rate; undefined when that says nothing. */
export function secondsLeft(job: Pick<JobView, 'done' | 'total' | 'bytesPerSecond'>): number | undefined {
  if (job.bytesPerSecond === undefined || job.bytesPerSecond <= 0 || job.total <= job.done) return undefined;
  return (job.total - job.done) / job.bytesPerSecond;
}
