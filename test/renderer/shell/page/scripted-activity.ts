// What a week with the made-up machines might have left in the activity list.
import type { JobView } from '../../../../engine/api/control.ts';
import { GIB, MIB } from '../../../../engine/api/settings.ts';
import type { ActivityEntry, MachineSummary } from '../../../../preload/contract/library.ts';
import { NOW } from '../../scripted/trees.ts';

const MINUTE = 60_000;

export function usualActivity(machines: readonly MachineSummary[]): readonly ActivityEntry[] {
  const entry = (minutes: number, at: number, what: ActivityEntry['what']): ActivityEntry[] => {
    const machine = machines[at];
    if (machine === undefined) return [];
    const { id, name } = machine;
    return [{ entry: `${minutes}`, at: NOW - minutes * MINUTE, machine: id, machineName: name, what }];
  };
  const job = (kind: JobView['kind'], change: Partial<JobView>): ActivityEntry['what'] => ({
    kind: 'job',
    job: { job: 1, kind, subject: 'vda', state: 'done', done: GIB, total: GIB, startedAt: NOW - 3 * MINUTE, ...change },
  });
  return [
    ...entry(0.1, 0, job('stream', { state: 'running', done: 412 * MIB, bytesPerSecond: 61 * MIB })),
    ...entry(3, 1, job('commit', { endedAt: NOW - 3 * MINUTE + 8400 })),
    ...entry(7, 1, {
      kind: 'checkpoint',
      taken: {
        id: '7',
        name: 'before the upgrade',
        pauseMicroseconds: 412,
        durationMilliseconds: 830,
        pages: 9000,
        zeroPages: 100_000,
        bytes: 36_100_000,
        pendingRequests: 2,
        incremental: true,
      },
    }),
    ...entry(64, 1, { kind: 'started' }),
    ...entry(71, 1, {
      kind: 'crashed',
      error: { kind: 'internal', message: 'The process of the machine ended with signal 9', context: {} },
    }),
    ...entry(60 * 26, 2, {
      kind: 'warning',
      error: { kind: 'no-space', message: 'The host’s disk is full; the machine waits', context: {} },
    }),
    ...entry(60 * 30, 4, { kind: 'ended', reason: 'poweroff' }),
    ...entry(60 * 31, 4, { kind: 'imported' }),
    ...entry(60 * 50, 3, { kind: 'created' }),
  ];
}
