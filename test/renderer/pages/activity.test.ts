// The activity view in a browser, with a scripted machine behind it.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { violations } from '../harness/axe.ts';
import { callsOf, useHarness } from '../harness/fixture.ts';
import { NOW } from '../scripted/trees.ts';

const harness = useHarness();

/** Two jobs under way, three things that happened. */
async function openActivity(query = '', options = {}): Promise<Page> {
  const page = await harness.open(`view=activity&${query}`, options);
  await page.getByText('Nothing has happened yet').waitFor();
  await page.evaluate(now => {
    stage.record({ kind: 'started' }, 'started', now - 7_200_000);
    stage.record(
      { kind: 'crashed', error: { kind: 'internal', message: 'It ended with signal 9', context: {} } },
      'crashed',
      now - 3_600_000,
    );
    stage.record({ kind: 'created' }, 'created', now - 9_000_000);
    stage.machine.call('disk-job', { disk: 0, kind: 'commit' });
    stage.machine.call('disk-job', { disk: 0, kind: 'stream' });
  }, NOW);
  await page.getByRole('progressbar').nth(1).waitFor();
  return page;
}

const titles = (page: Page) => page.locator('li .title').allTextContents();

test('what runs comes first, then what happened, the newest first', async () => {
  const page = await openActivity();
  expect(await titles(page)).toEqual([
    'Commit: vda',
    'Stream: vda',
    'The machine’s process ended unexpectedly',
    'Started',
    'Created',
  ]);
  await page.getByText('96 MiB of 400 MiB · 61 MiB/s · 5.0 s left').first().waitFor();
});

test('a job is cancelled, and then told with how it ended', async () => {
  const page = await openActivity();
  await page.getByRole('button', { name: 'Cancel Commit: vda' }).click();
  await page.getByText(/^Cancelled/).waitFor();
  expect(await callsOf(page, 'cancel-job')).toEqual([{ job: 1 }]);
  expect(await page.getByRole('progressbar').count()).toBe(1);
});

test('a job is given a speed limit, and freed of it', async () => {
  const page = await openActivity();
  const limit = page.getByRole('button', { name: 'Speed limit of Stream: vda' });
  await limit.click();
  await page.getByRole('menuitem', { name: '20 MiB/s' }).click();
  await limit.click();
  await page.getByRole('menuitem', { name: 'No limit' }).click();
  await expect.poll(() => callsOf(page, 'limit-job')).toEqual([{ job: 2, bytesPerSecond: 20 * 2 ** 20 }, { job: 2 }]);
});

test('filters show what runs and problems; clearing asks the host', async () => {
  const page = await openActivity();
  await page.getByRole('button', { name: 'Problems' }).click();
  expect(await titles(page)).toEqual(['The machine’s process ended unexpectedly']);
  await page.getByRole('button', { name: 'Running', exact: true }).click();
  expect(await titles(page)).toEqual(['Commit: vda', 'Stream: vda']);
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByText('Nothing has happened yet').waitFor();
});

test.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
])('axe finds nothing in the %s activity at %i pixels, and nothing is wider than the window', async (theme, width) => {
  const page = await openActivity(`theme=${theme}`, { width, height: 844 });
  expect(await violations(page)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
});
