// Disks and boot files in the settings of a machine.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { calls, lastCall, useShell } from './fixture.ts';
import { CONSOLE, DEBIAN } from './page/scripted-library.ts';

const open = useShell();

async function settings(page: Page) {
  await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Settings' }).click();
  const dialog = page.getByRole('dialog', { name: 'Settings of “Debian”' });
  await dialog.getByText('8 GiB, qcow2').waitFor();
  return dialog;
}

async function ofMachineThatIsOff() {
  const page = await open(CONSOLE);
  await page.evaluate(id => {
    scripted.setStatus(id, { state: 'off' });
  }, DEBIAN);
  return { page, dialog: await settings(page) };
}

test('disks and what boots are only shown while the machine runs', async () => {
  const dialog = await settings(await open(CONSOLE));
  for (const name of ['New disk', 'Existing disk…', 'Remove disk 1']) {
    expect(await dialog.getByRole('button', { name }).isDisabled()).toBe(true);
  }
  expect(await dialog.getByLabel('Writes to disk 1').isDisabled()).toBe(true);
  expect(await dialog.getByLabel('Kernel command line').count()).toBe(0);
});

test('a disk is added, and one is removed after it was said what goes', async () => {
  const { page, dialog } = await ofMachineThatIsOff();
  await dialog.getByRole('button', { name: 'New disk' }).click();
  await dialog.getByRole('textbox', { name: 'Size' }).fill('2');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect
    .poll(() => lastCall(page))
    .toEqual({
      name: 'add-disk',
      arguments: { machine: DEBIAN, disk: { kind: 'new', size: 2 * 1024 ** 3, format: 'qcow2' } },
    });
  await dialog.getByRole('button', { name: 'Remove disk 1' }).click();
  await dialog.getByText('2 checkpoints have this disk and keep what they need of it.').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).first().click();
  expect((await calls(page)).length).toBe(1);
  await dialog.getByRole('button', { name: 'Remove disk 1' }).click();
  await dialog.getByRole('button', { name: 'Remove and keep' }).click();
  await expect.poll(() => lastCall(page)).toEqual({ name: 'remove-disk', arguments: { disk: 0, files: 'keep' } });
  await dialog.getByLabel('Writes to disk 1').selectOption('temporary');
  await expect
    .poll(() => lastCall(page))
    .toMatchObject({ name: 'configure', arguments: { change: { disks: [{ mode: 'temporary' }] } } });
});

test('the kernel command line is changed, and own files need one that boots', async () => {
  const { page, dialog } = await ofMachineThatIsOff();
  const save = dialog.getByRole('button', { name: 'Save' });
  await dialog.getByText('Own files').click();
  await dialog.getByText('Choose a kernel, firmware').waitFor();
  expect(await save.isDisabled()).toBe(true);
  await dialog.getByText('Debian 13').click();
  await dialog.getByLabel('Kernel command line').fill('quiet');
  // What comes next fails, so that the first of the two is the last that is seen.
  await page.evaluate(() => scripted.fail('configure', { kind: 'io', message: 'No', context: {} }));
  await save.click();
  await expect
    .poll(() => lastCall(page))
    .toEqual({
      name: 'change-boot',
      arguments: { machine: DEBIAN, boot: { kind: 'guest', append: 'quiet' } },
    });
});
