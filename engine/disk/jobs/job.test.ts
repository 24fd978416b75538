import { expect, it } from 'vitest';
import { AfterimageError } from '../../base/errors.ts';
import { Job, type JobState } from './job.ts';

/** Time that passes only by waiting. */
class FakeClock {
  time = 0;
  now = () => this.time;
  wait = async (milliseconds: number) => {
    this.time += milliseconds;
  };
}

it('a limit spreads the bytes over time, and can be lifted', async () => {
  const clock = new FakeClock();
  const job = new Job('stream', clock);
  job.limit(1000);
  for (let count = 0; count < 11; count += 1) await job.pace(500);
  expect(clock.time).toBe(5000);
  job.limit(undefined);
  for (let count = 0; count < 11; count += 1) await job.pace(500);
  expect(clock.time).toBe(5000);
});

it('a cancel is heard while a limit makes the job wait', async () => {
  const clock = new FakeClock();
  const job = new Job('commit', clock);
  job.limit(1);
  const states: JobState[] = [];
  const work = job.run(async () => {
    await job.pace(1_000_000);
    job.cancel();
    await job.pace(1);
    states.push(job.state);
  });
  expect(await work).toBeUndefined();
  expect([states, job.state]).toEqual([[], 'cancelled']);
  expect(clock.time).toBeLessThan(1000);
});

it('what pivots is neither cancelled nor slowed', async () => {
  const clock = new FakeClock();
  const job = new Job('commit', clock);
  job.limit(1);
  await job.run(async () => {
    job.enter('pivoting');
    job.cancel();
    for (let count = 0; count < 5; count += 1) await job.pace(1_000_000);
  });
  expect([job.state, clock.time]).toEqual(['done', 0]);
});

it('a failure is reported with its reason', async () => {
  const reports: JobState[] = [];
  const job = new Job('copy', undefined, ({ state }) => reports.push(state));
  await expect(job.run(() => Promise.reject(new AfterimageError('io', 'The host failed')))).rejects.toThrow(
    'host failed',
  );
  expect(reports).toEqual(['failed']);
  expect(job.report.error).toMatchObject({ kind: 'io' });
});
