// The disk view in a browser, with a scripted machine behind it.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { violations } from '../harness/axe.ts';
import { callsOf, useHarness } from '../harness/fixture.ts';

const harness = useHarness();

async function openDisks(query = '', options = {}): Promise<Page> {
  const page = await harness.open(`view=disks&${query}`, options);
  await page.getByRole('option').first().waitFor();
  return page;
}

const layer = (page: Page, name: string) =>
  page.getByRole('option').filter({ has: page.locator('.file').getByText(name, { exact: true }) });

test('every layer of every disk is listed above its backing, with who needs it', async () => {
  const page = await openDisks();
  const names = await page.getByRole('listbox', { name: 'Layers of vda' }).locator('.file').allTextContents();
  expect(names).toEqual(['root-9.qcow2', 'root-7.qcow2', 'root-5.qcow2', 'root-3.qcow2', 'root.qcow2']);
  const texts = await page.getByRole('option').allTextContents();
  expect(texts[0]).toMatch(/Active.*on root-3.qcow2.*61 MiB.*This machine/s);
  expect(texts[1]).toMatch(/Not needed.*Nobody/s);
  expect(texts[3]).toMatch(/before upgrade.*3 more/s);
  await page.getByText('188 MiB in layers that nobody needs').waitFor();
});

test('arrow keys select layers, and the details follow', async () => {
  const page = await openDisks();
  await page.getByRole('listbox', { name: 'Layers of vda' }).focus();
  await page.keyboard.press('End');
  await page.getByRole('heading', { name: 'root.qcow2' }).waitFor();
  await page.keyboard.press('ArrowUp');
  await page.getByRole('heading', { name: 'root-3.qcow2' }).waitFor();
  expect(await layer(page, 'root-3.qcow2').getAttribute('aria-selected')).toBe('true');
  await page.getByRole('button', { name: 'nginx configured' }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('menu', { name: 'Actions for root-3.qcow2' }).waitFor();
});

test('what cannot be done says why', async () => {
  const page = await openDisks();
  expect(await page.getByRole('button', { name: 'Commit', exact: true }).isDisabled()).toBe(true);
  await page.getByText('Not possible: checkpoint before upgrade needs the layer below.').waitFor();
  await page.getByRole('button', { name: 'Actions for root-9.qcow2' }).click();
  const commit = page.getByRole('menuitem', { name: 'Commit' });
  expect(await commit.getAttribute('aria-disabled')).toBe('true');
  await commit.getByText('Not possible: checkpoint before upgrade needs the layer below.').waitFor();
});

test('what the host cannot do for disks is told, and nothing about what it can', async () => {
  const page = await openDisks();
  await page.getByText('cannot share storage between copies').waitFor();
  expect(await page.getByText('cannot take back room').count()).toBe(0);
});

test('a job is previewed before it is started, runs with its progress, and can be cancelled', async () => {
  const page = await openDisks();
  await layer(page, 'root-5.qcow2').locator('.file').click();
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('is written into the layer below').waitFor();
  await dialog.getByText('380 MiB').waitFor();
  expect(await callsOf(page, 'disk-job')).toEqual([]);
  await dialog.getByLabel('Speed limit').selectOption('10 MiB per second');
  await dialog.getByRole('button', { name: 'Commit' }).click();
  const jobs = page.getByRole('group', { name: 'Jobs on vda' });
  await jobs.getByText('96 MiB of 400 MiB · 61 MiB/s').waitFor();
  expect(await jobs.getByRole('progressbar').getAttribute('aria-valuenow')).toBe('24');
  expect(await callsOf(page, 'disk-job')).toEqual([
    { disk: 0, kind: 'commit', layer: 'disks/root-5.qcow2', bytesPerSecond: 10 * 2 ** 20 },
  ]);
  await jobs.getByRole('button', { name: 'Cancel' }).click();
  await jobs.waitFor({ state: 'detached' });
  expect(await callsOf(page, 'cancel-job')).toEqual([{ job: 1 }]);
});

test('a layer that nobody needs can be deleted, and no other', async () => {
  const page = await openDisks();
  expect(await page.getByRole('button', { name: 'Delete', exact: true }).count()).toBe(0);
  await layer(page, 'root-7.qcow2').locator('.file').click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete root-7.qcow2' });
  await dialog.getByText('No checkpoint and no disk of the machine has its content').waitFor();
  await dialog.getByText('188 MiB').waitFor();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  expect(await callsOf(page, 'disk-job')).toEqual([{ disk: 0, kind: 'delete', layer: 'disks/root-7.qcow2' }]);
});

test('a size is checked before a disk is resized, and shrinking is a warning', async () => {
  const page = await openDisks();
  await page.getByRole('button', { name: 'Resize', exact: true }).click();
  const dialog = page.getByRole('dialog');
  const confirm = dialog.getByRole('button', { name: 'Resize' });
  expect(await confirm.isDisabled()).toBe(true);
  await dialog.getByLabel('New size').fill('20 bananas');
  await dialog.getByText('Not a size that a disk can have').waitFor();
  await dialog.getByLabel('New size').fill('4G');
  await dialog.getByText('what lies beyond the new end is lost').waitFor();
  await dialog.getByLabel('New size').fill('20 GiB');
  await confirm.click();
  expect(await callsOf(page, 'disk-job')).toMatchObject([{ kind: 'resize', size: 20 * 2 ** 30 }]);
});

test('a refused job keeps its reason in the dialog, and cannot be started', async () => {
  const page = await openDisks();
  await page.evaluate(() =>
    stage.machine.failures.set('disk-job-preview', { kind: 'io', message: 'The disk is gone', context: {} }),
  );
  await page.getByRole('button', { name: 'Stream', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('The disk is gone').waitFor();
  expect(await dialog.getByRole('button', { name: 'Stream' }).isDisabled()).toBe(true);
});

test('the details go on with the layer that takes the place of the active one', async () => {
  const page = await openDisks();
  await page.getByRole('heading', { name: 'root-9.qcow2' }).waitFor();
  await page.evaluate(() => stage.machine.switchLayer('disks/root-3.qcow2'));
  await page.getByRole('heading', { name: 'root-3.qcow2' }).waitFor();
});

test('layers that change are drawn anew', async () => {
  const page = await openDisks();
  await page.evaluate(() => stage.machine.dropLayer('disks/root-7.qcow2'));
  await layer(page, 'root-7.qcow2').waitFor({ state: 'detached' });
  expect(await page.getByRole('listbox', { name: 'Layers of vda' }).getByRole('option').count()).toBe(4);
});

test('the place under the pointer is told', async () => {
  const page = await openDisks();
  await page.locator('.pane').getByRole('img').hover();
  await page.getByText(/^(Data|Compressed|Zeroes|From below): .* to .*$/).waitFor();
});

test.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
])('axe finds nothing in the %s disks at %i pixels, and nothing is wider than the window', async (theme, width) => {
  const page = await openDisks(`theme=${theme}`, { width, height: 844 });
  await page.evaluate(() => stage.machine.call('disk-job', { disk: 0, kind: 'commit' }));
  await page.getByRole('progressbar').waitFor();
  expect(await violations(page)).toEqual([]);
  await layer(page, 'root-7.qcow2').locator('.file').click();
  await page.getByRole('heading', { name: 'root-7.qcow2' }).waitFor();
  expect(await violations(page)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  await page.getByRole('button', { name: 'Check', exact: true }).click();
  await page.getByRole('dialog').getByText('To be copied').waitFor();
  expect(await violations(page)).toEqual([]);
});
