// The main ways through the app without a mouse: create, start, take, rename, restore, delete; with the real engine.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { atPrompt, consoleText, openBrowserApp } from './browser-app.ts';

/** Presses Tab until the focus is on something of this role and name, as somebody does who reads the page to the end. */
async function tabTo(page: Page, role: 'button' | 'tab' | 'tree' | 'textbox', name: string | RegExp): Promise<void> {
  const wanted = await page.getByRole(role, { name, exact: true }).last().elementHandle();
  for (let key = 0; key < 60; key += 1) {
    if (await wanted!.evaluate(element => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`The focus never reaches ${role} ${name}`);
}

let typed = 0;

/** At the console, which has the focus. Fulfilled with what it printed, when the prompt is back. */
async function typeCommand(page: Page, command: string): Promise<string> {
  const mark = `end-${++typed}`;
  await page.keyboard.type(`clear; ${command}; echo en'd-${typed}'\n`);
  await page.waitForFunction(
    wanted => document.querySelector<HTMLElement>('.xterm-rows')?.innerText.includes(wanted),
    mark,
  );
  await atPrompt(page);
  return await consoleText(page);
}

async function runCommand(page: Page, name: string): Promise<void> {
  await page.keyboard.press('Control+Shift+P');
  await page.getByRole('dialog', { name: 'Command palette' }).waitFor();
  await page.keyboard.type(name);
  await page.keyboard.press('Enter');
}

test('create, start, take, rename, restore and delete by keys alone', async () => {
  const { page, problems } = await openBrowserApp();
  // A mouse would be noticed.
  await page.evaluate(() => {
    for (const kind of ['pointerdown', 'mousedown', 'wheel']) {
      addEventListener(kind, () => console.error(`A mouse was used: ${kind}`), true);
    }
  });
  await page.getByText('Create your first machine').waitFor();
  await tabTo(page, 'button', 'New machine');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'New machine' }).waitFor();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('By keys');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'By keys', level: 1 }).waitFor();
  await atPrompt(page);

  // The console has the focus, whatever had it before.
  expect(await page.evaluate(() => document.activeElement?.closest('.xterm') !== null)).toBe(true);
  await typeCommand(page, 'echo kept > /root/file');
  await page.keyboard.press('Control+Shift+S');
  await page.getByText(/^Checkpoint “.*” taken$/).waitFor();
  await typeCommand(page, 'echo lost > /root/file');

  await page.keyboard.press('Control+Shift+2');
  await page.getByRole('treeitem').nth(1).waitFor();
  await tabTo(page, 'tree', /./);
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('F2');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('with the file');
  await page.keyboard.press('Enter');
  await page.getByRole('treeitem', { name: /^with the file/ }).waitFor();

  await tabTo(page, 'tree', /./);
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: /with the file/ }).waitFor();
  await tabTo(page, 'button', 'Restore');
  await page.keyboard.press('Enter');
  await page.getByText(/with the file restored/).waitFor();
  await page.getByRole('treeitem', { name: /Before going back/ }).waitFor();

  await page.keyboard.press('Control+Shift+1');
  await page.locator('main header').getByText('Running', { exact: true }).waitFor();
  await page.locator('.xterm').waitFor();
  await atPrompt(page);
  expect(await typeCommand(page, 'cat /root/file')).toContain('kept');

  // A checkpoint is deleted, then the machine.
  await page.keyboard.press('Control+Shift+2');
  await page.getByRole('treeitem', { name: /Before going back/ }).waitFor();
  await tabTo(page, 'tree', /./);
  await page.keyboard.press('Home');
  while (!(await selected(page)).includes('Before going back')) await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Delete');
  await page.getByRole('alertdialog').waitFor();
  await tabTo(page, 'button', 'Delete');
  await page.keyboard.press('Enter');
  await page.getByRole('treeitem', { name: /Before going back/ }).waitFor({ state: 'detached' });

  await runCommand(page, 'Delete');
  await page.getByRole('alertdialog').waitFor();
  // What destroys is not what Enter does at first.
  expect(await page.evaluate(() => document.activeElement?.textContent?.trim())).toBe('Cancel');
  await tabTo(page, 'button', /^(Delete|Move to trash)$/);
  await page.keyboard.press('Enter');
  await page.getByText('Create your first machine').waitFor();
  expect(problems).toEqual([]);
});

async function selected(page: Page): Promise<string> {
  return (await page.getByRole('treeitem', { selected: true }).first().textContent()) ?? '';
}
