// Memory, disks and branches of a real machine, as a person sees and changes them in the app.
import { expect, test } from 'vitest';
import { atPrompt, openBrowserApp, shell } from './browser-app.ts';

test('memory is virtualized, disks are layered and committed, branches are compared and merged', async () => {
  const { page, problems } = await openBrowserApp();
  await page.getByRole('button', { name: 'New machine' }).last().click();
  await page.getByRole('button', { name: 'Create and start' }).click();
  await atPrompt(page);
  const tab = (name: string | RegExp) => page.getByRole('tab', { name }).click();

  // The guest does not notice what happens to its memory.
  await tab('Memory');
  await page.getByText('Not in use').waitFor();
  await page.getByRole('button', { name: 'Virtualize', exact: true }).click();
  await page.getByText('In use for all pages').waitFor();
  await page.getByRole('button', { name: 'Scatter' }).click();
  await page.getByRole('button', { name: /^Remapped\s*1\d\d,\d\d\d$/ }).waitFor();
  await tab('Console');
  expect(await shell(page, 'echo $((6 * 7))')).toContain('42');
  await tab('Memory');
  await page.getByRole('button', { name: 'Devirtualize', exact: true }).click();
  await page.getByText('Not in use').waitFor();

  // A layer on top takes what is written, and is committed while the machine runs.
  await tab('Disks');
  const layers = page.getByRole('listbox', { name: 'Layers of vda' }).getByRole('option');
  await layers.first().waitFor();
  await page.getByRole('button', { name: 'New overlay' }).click();
  await page.getByRole('button', { name: 'Add the overlay' }).click();
  await layers.nth(1).waitFor();
  await tab('Console');
  await shell(page, 'head -c 3000000 /dev/urandom > /data/random && sync && md5sum /data/random > /data/sum');
  await tab('Disks');
  await layers.first().click();
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('To be copied').waitFor();
  await dialog.getByRole('button', { name: 'Commit' }).click();
  await layers.nth(1).waitFor({ state: 'detached' });
  await tab('Activity');
  await page
    .getByText(/^Commit: /)
    .first()
    .waitFor();
  await tab('Console');
  expect(await shell(page, 'md5sum -c /data/sum')).toContain('OK');

  // Two branches from one checkpoint, one of which is deleted again.
  await tab(/Checkpoints/);
  // Not the row of one that is still being taken, which has its name too.
  const node = (name: string) =>
    page.locator('.line:not(.taking)').filter({ has: page.locator('.name').getByText(name, { exact: true }) });
  const take = async (name: string) => {
    await page.getByRole('textbox', { name: 'Name' }).fill(name);
    await page.keyboard.press('Enter');
    await node(name).waitFor();
  };
  // A row is there a moment before its checkpoint has ended.
  const taken = (name: string) => page.getByText(`Checkpoint “${name}” taken`).waitFor();
  await page.getByRole('button', { name: 'Take the first checkpoint' }).click();
  await take('root');
  await taken('root');
  await node('Now').getByRole('button').click();
  await take('left');
  await taken('left');
  await node('root').click();
  await page.getByRole('button', { name: 'Branch' }).click();
  await take('right');
  await node('left').click();
  await node('right').click({ modifiers: ['Control'] });
  await page.getByText(/of 131,072 pages differ/).waitFor();
  await page.getByRole('button', { name: 'Close the comparison' }).click();
  await node('left').click();
  await page.keyboard.press('Delete');
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await node('left').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByText(/checkpoints with .* pages are sound/).waitFor();
  await tab('Console');
  expect(await shell(page, 'md5sum -c /data/sum')).toContain('OK');
  expect(problems).toEqual([]);
});
