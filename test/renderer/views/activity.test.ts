// The activity list: order, filters, progress.
import { expect, test } from 'vitest';
import type { JobView } from '../../../engine/api/control.ts';
import type { ActivityEntry } from '../../../preload/contract/library.ts';
import {
  inOrder,
  isProblem,
  jobFraction,
  secondsLeft,
  shownEntries,
  withEntry,
} from '../../../renderer/views/activity/entries.ts';

function job(entry: string, at: number, more: Partial<JobView> = {}): ActivityEntry {
  const view: JobView = { job: 1, kind: 'commit', subject: 'vda', state: 'running', done: 1, total: 4, startedAt: at };
  return { entry, at, machine: 'm', what: { kind: 'job', job: { ...view, ...more } } };
}
const ERROR = { kind: 'io', message: 'The disk is gone', context: {} } as const;
const ENTRIES: readonly ActivityEntry[] = [
  { entry: 'a', at: 50, machine: 'm', what: { kind: 'started' } },
  job('b', 10),
  { entry: 'c', at: 60, machine: 'n', what: { kind: 'crashed', error: ERROR } },
  job('d', 5),
  job('e', 70, { state: 'failed', error: ERROR }),
];
const names = (entries: readonly ActivityEntry[]) => entries.map(({ entry }) => entry).join('');

test('running jobs come first, the earliest on top, then what happened, newest first', () => {
  expect(names(inOrder(ENTRIES))).toBe('dbeca');
});

test('a changed entry replaces itself', () => {
  const changed = withEntry(ENTRIES, job('b', 90, { state: 'done' }));
  expect(names(inOrder(changed))).toBe('dbeca');
  expect(changed).toHaveLength(ENTRIES.length);
  expect(names(inOrder(withEntry(ENTRIES, job('f', 1))))).toBe('fdbeca');
});

test('filters show what runs, problems, or one machine', () => {
  expect(names(shownEntries(ENTRIES, { importance: 'running' }))).toBe('db');
  expect(names(shownEntries(ENTRIES, { importance: 'problems' }))).toBe('ec');
  expect(names(shownEntries(ENTRIES, { importance: 'all', machine: 'n' }))).toBe('c');
  expect(isProblem({ entry: 'x', at: 0, what: { kind: 'ended', reason: 'power-off' } })).toBe(false);
  expect(isProblem({ entry: 'x', at: 0, what: { kind: 'ended', reason: 'error', error: ERROR } })).toBe(true);
});

test('progress and time left are told only when they are known', () => {
  expect(jobFraction({ done: 1, total: 4 })).toBe(0.25);
  expect(jobFraction({ done: 9, total: 4 })).toBe(1);
  expect(jobFraction({ done: 0, total: 0 })).toBeUndefined();
  expect(secondsLeft({ done: 10, total: 30, bytesPerSecond: 5 })).toBe(4);
  expect(secondsLeft({ done: 10, total: 30 })).toBeUndefined();
  expect(secondsLeft({ done: 30, total: 30, bytesPerSecond: 5 })).toBeUndefined();
});
