// What is done with machines: forms, questions, checkpoints, failures.

import { expect, test } from 'vitest';
import type { ScreenText } from '../../../engine/api/checkpoints.ts';
import { AfterimageError } from '../../../engine/base/errors.ts';
import { calls, lastCall, typed, useShell } from './fixture.ts';
import { CONSOLE, DEBIAN } from './page/scripted-library.ts';

const open = useShell();

test('create has defaults that need nothing but Enter', async () => {
  const page = await open('?library=empty');
  await page.getByRole('button', { name: 'New machine' }).last().click();
  await page.getByRole('textbox', { name: 'Name' }).press('Enter');
  await page.getByRole('heading', { name: 'Debian', level: 1 }).waitFor();
  expect(await lastCall(page)).toEqual({
    name: 'create-machine',
    arguments: {
      name: 'Debian',
      memory: 512 * 1024 ** 2,
      boot: { kind: 'guest' },
      disks: [{ kind: 'new', size: 8 * 1024 ** 3, format: 'qcow2' }],
      start: true,
    },
  });
});

test('create says what is missing, at its place, and keeps what was typed', async () => {
  const page = await open();
  await page.keyboard.press('Control+Shift+N');
  await page.getByRole('textbox', { name: 'Name' }).fill('');
  await page.getByText('Own files').click();
  await page.getByRole('textbox', { name: 'Size' }).fill('a lot');
  await page.getByRole('button', { name: 'Create and start' }).click();
  await page.getByText('A machine needs a name.').waitFor();
  await page.getByText('Choose a kernel, firmware').waitFor();
  await page.getByText('Between 1 MiB and 8 TiB.').waitFor();
  expect(await calls(page)).toEqual([]);
});

test('a name that is taken is said at its field before anything is made', async () => {
  const page = await open();
  await page.keyboard.press('Control+Shift+N');
  await page.getByText('At most 100 characters.').waitFor();
  await page.getByRole('textbox', { name: 'Name' }).fill('scratch');
  await page.getByText('There is a machine of this name already.').waitFor();
  await page.getByRole('button', { name: 'Create and start' }).click();
  expect(await calls(page)).toEqual([]);
  await page.getByRole('textbox', { name: 'Name' }).fill('scratch 2');
  await page.getByText('There is a machine of this name already.').waitFor({ state: 'detached' });
});

test('the checkpoint key works in a console, and the pause is shown in microseconds', async () => {
  const page = await open(CONSOLE);
  await page.locator('.xterm').click();
  await page.keyboard.press('Control+Shift+S');
  await page.getByText('Pause 412 µs', { exact: true }).waitFor();
  await page.getByText('Checkpoint “Checkpoint 1” taken').waitFor();
  const call = await lastCall(page);
  expect(call?.name).toBe('checkpoint');
  const { screen } = call!.arguments as { screen: ScreenText };
  expect(screen.lines.join('\n')).toContain('uname -a');
  expect(screen.lines.at(-1)).toBe('root@afterimage:~# ');
  expect(await typed(page)).toBe('');
});

test('a checkpoint that is being saved shows its pause at once and its progress', async () => {
  const page = await open(CONSOLE);
  await page.evaluate(id => {
    scripted.setStatus(id, {
      taking: {
        phase: 'saving',
        name: 'x',
        origin: 'manual',
        donePages: 25,
        totalPages: 100,
        pauseMicroseconds: 388,
      },
    });
  }, DEBIAN);
  await page.getByText('Pause 388 µs', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Saving 25 %' }).waitFor();
  const bar = page.locator('main').getByRole('progressbar', { name: 'Saving' });
  expect(await bar.getAttribute('aria-valuenow')).toBe('25');
});

test('a failure says what happened, what to do, and stays until it is closed', async () => {
  const page = await open(CONSOLE);
  const failure = new AfterimageError('no-space', 'The checkpoint could not be written').toPlain();
  await page.evaluate(error => scripted.fail('checkpoint', error), failure);
  await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
  const alert = page.getByRole('alert');
  await alert.waitFor();
  expect(await alert.innerText()).toContain('No checkpoint was taken');
  expect(await alert.innerText()).toContain('Free some space on the disk');
  await alert.getByRole('button', { name: 'Close message' }).click();
  await alert.waitFor({ state: 'detached' });
});

test('forcing off asks first, and Escape is no', async () => {
  const page = await open(CONSOLE);
  const more = page.locator('main header').getByRole('button', { name: 'More actions' });
  await more.click();
  await page.getByRole('menuitem', { name: 'Force off' }).click();
  await page.getByRole('alertdialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('alertdialog').waitFor({ state: 'detached' });
  expect(await calls(page)).toEqual([]);
  await more.click();
  await page.getByRole('menuitem', { name: 'Force off' }).click();
  await page.getByRole('button', { name: 'Force off' }).click();
  await page.getByText('The machine is off').waitFor();
  expect(await lastCall(page)).toEqual({ name: 'stop', arguments: { force: true } });
});

test('renaming can be undone', async () => {
  const page = await open(CONSOLE);
  await page.getByRole('heading', { name: 'Debian' }).dblclick();
  await page.getByRole('textbox', { name: 'Name' }).fill('Renamed');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Renamed' }).waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('heading', { name: 'Debian' }).waitFor();
});

test('deleting tells what will go', async () => {
  const page = await open();
  await page.getByRole('article', { name: 'Debian' }).click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  const dialog = page.getByRole('alertdialog');
  await dialog.waitFor();
  expect(await dialog.innerText()).toMatch(/trash[\s\S]*The machine is on[\s\S]*Checkpoints\s*24[\s\S]*412 MiB/);
  await dialog.getByRole('button', { name: 'Move to trash' }).click();
  await expect.poll(() => page.getByRole('article').count()).toBe(4);
});

test('settings of a machine: memory only while it is off, automatic checkpoints always', async () => {
  const page = await open(CONSOLE);
  await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Settings' }).click();
  const dialog = page.getByRole('dialog', { name: 'Settings of “Debian”' });
  await dialog.waitFor();
  expect(await dialog.getByLabel('Memory').isDisabled()).toBe(true);
  await dialog.getByLabel('While it runs').selectOption('15');
  await dialog.getByLabel('Newest').fill('many');
  expect(await dialog.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
  await dialog.getByLabel('Newest').fill('5');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  expect(await lastCall(page)).toEqual({
    name: 'configure',
    arguments: {
      change: {
        automatic: {
          everyMinutes: 15,
          beforeStop: false,
          beforeRestore: true,
          retention: { last: 5, hourly: 24, daily: 14 },
        },
      },
    },
  });
});

test('a page that the host does not know any more says where to go, and nothing else', async () => {
  const page = await open(CONSOLE);
  await page.evaluate(() => scripted.emit({ event: 'connection', state: 'lost' }));
  await page.getByRole('alert').getByText('out of reach').waitFor();
  await page.evaluate(() => scripted.emit({ event: 'connection', state: 'refused' }));
  await page.getByRole('heading', { name: 'The host does not let this page in' }).waitFor();
  await page.getByText('Open the address that it printed').waitFor();
  expect(await page.getByRole('navigation').count()).toBe(0);
});

test('how a job on a disk ended is told, with the way to the list of all jobs', async () => {
  const page = await open(CONSOLE);
  await page.evaluate(id => {
    const job = { job: 7, kind: 'check', subject: 'root.qcow2', disk: 0, done: 0, total: 0, startedAt: 0 } as const;
    const tell = (change: { state: 'running' | 'done'; outcome?: string }) =>
      scripted.emit({
        event: 'machine-event',
        machine: id,
        happened: { event: 'job', job: { ...job, ...change } },
      });
    tell({ state: 'running' });
    tell({ state: 'done', outcome: 'nothing is damaged' });
  }, DEBIAN);
  const message = page.getByRole('status').filter({ hasText: 'Check: root.qcow2' });
  await message.getByText('nothing is damaged').waitFor();
  await message.getByRole('button', { name: 'Activity' }).click();
  expect(page.url()).toContain('/activity');
});

test('what is suspended says so at once, before the library does', async () => {
  const page = await open(CONSOLE);
  await page.evaluate(`{
    window.states = [];
    const badge = document.querySelector('main header .badge');
    new MutationObserver(() => states.push(badge.textContent.trim())).observe(badge, {
      characterData: true, childList: true, subtree: true,
    });
  }`);
  await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Suspend' }).click();
  await page.locator('main header').getByText('Suspended', { exact: true }).waitFor();
  expect(await page.evaluate('states')).not.toContain('Off');
  await page.locator('main header').getByRole('button', { name: 'Resume' }).click();
  await page.locator('main header').getByText('Running', { exact: true }).waitFor();
});

test('what was told of the last run goes with the next one', async () => {
  const page = await open(CONSOLE);
  await page.evaluate(id => {
    const error = { kind: 'internal', message: 'It ended with signal 9', context: {} } as const;
    scripted.setStatus(id, { state: 'failed', error });
    scripted.emit({
      event: 'notice',
      notice: { level: 'error', title: 'Debian has ended', text: error.message, machine: id, error },
    });
  }, DEBIAN);
  await page.getByText('It ended with signal 9. This is a mistake in Afterimage.').waitFor();
  await page.locator('main header').getByRole('button', { name: 'Start' }).click();
  await page.getByText('Debian has ended').waitFor({ state: 'detached' });
});
