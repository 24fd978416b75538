// The app as a person uses it, in a real browser, with the real host, engine and guest.
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { atPrompt, consoleText, openBrowserApp, shell } from './browser-app.ts';
import { keepPicture } from './pictures.ts';

interface Listing {
  readonly machines: readonly { readonly status: { readonly pid: number } }[];
}

test('create, work, checkpoint, destroy, go back; export, delete, import, go on', async () => {
  const { page, library, problems } = await openBrowserApp();

  // A machine with what is proposed.
  await page.getByText('Create your first machine').waitFor();
  await page.getByRole('button', { name: 'New machine' }).last().click();
  await page.getByRole('button', { name: 'Create and start' }).click();
  await page.getByRole('heading', { name: 'Debian', level: 1 }).waitFor();
  await atPrompt(page);
  expect(existsSync(path.join(library, 'debian/machine.json'))).toBe(true);

  await shell(page, 'mkdir /data/letters && echo precious > /data/letters/file && sync');
  await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Checkpoint with name' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill('before the accident');
  await page.keyboard.press('Enter');
  await page.getByText('Checkpoint “before the accident” taken').waitFor();
  await page
    .getByText(/Pause [\d,]+ (µs|ms)/)
    .first()
    .waitFor();
  await keepPicture(page, 'console');

  // The accident, disks and system.
  await shell(page, 'rm -rf /data/letters; sync; rm -rf /usr /bin /sbin');
  expect(await shell(page, 'cat /data/letters/file')).toContain('No such file');

  await page.getByRole('tab', { name: /Checkpoints/ }).click();
  await page.getByRole('treeitem', { name: /^before the accident/ }).click();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Restore', exact: true }).click();
  await page.getByText(/before the accident restored/).waitFor();
  await page.getByRole('treeitem', { name: /Before going back/ }).waitFor();
  await keepPicture(page, 'checkpoints');
  await page.getByRole('tab', { name: 'Console' }).click();
  expect(await shell(page, 'cat /data/letters/file')).toContain('precious');

  // What was destroyed is a branch of its own.
  await page.getByRole('tab', { name: /Checkpoints/ }).click();
  await page.getByRole('treeitem', { name: /^before the accident/ }).click({ button: 'right' });
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('menuitem', { name: 'Export' }).click(),
  ]);
  const file = path.join(temporaryFolder(), download.suggestedFilename());
  await download.saveAs(file);

  // All that is left is the file.
  await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Create your first machine').waitFor();
  expect(existsSync(path.join(library, 'debian'))).toBe(false);

  const [chooser] = await Promise.all([
    page.waitForEvent('filechooser'),
    page.getByRole('button', { name: 'Import a checkpoint or disk…' }).click(),
  ]);
  await chooser.setFiles(file);
  const dialog = page.getByRole('dialog', { name: 'Import checkpoint' });
  await dialog.getByText('before the accident', { exact: true }).waitFor();
  await dialog.getByRole('textbox', { name: 'Name of the machine' }).fill('Second life');
  await dialog.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('heading', { name: 'Second life', level: 1 }).waitFor();
  expect(await shell(page, 'cat /data/letters/file')).toContain('precious');
  expect(await consoleText(page)).toContain('root@afterimage');
  expect(problems).toEqual([]);
});

test('what other programs do to the library appears by itself, and a killed machine says so', async () => {
  const { page, library, problems, command } = await openBrowserApp();
  await page.getByText('Create your first machine').waitFor();

  await command('create', 'From outside');
  await page.getByRole('article', { name: 'From outside' }).waitFor();
  await page.getByRole('article', { name: 'From outside' }).getByRole('button', { name: 'Start' }).click();
  await page.getByRole('article', { name: 'From outside' }).getByRole('link').click();
  await atPrompt(page);
  await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
  await page.getByText(/taken$/).waitFor();

  // Its process dies in the middle of another checkpoint, of which there is much to save.
  await shell(page, 'head -c 60000000 /dev/urandom > /tmp/much');
  const { machines } = JSON.parse(await command('list', '--json')) as Listing;
  const { pid } = machines[0]!.status;
  await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
  await page.getByRole('button', { name: /^Saving/ }).waitFor();
  process.kill(pid, 'SIGKILL');
  await page.getByText('From outside has ended').waitFor();
  await page.getByText('The last run ended with an error').waitFor();
  await page.locator('header').getByText('Failed', { exact: true }).waitFor();
  // The one that was complete is listed and sound, the other is not there; the next run goes on from the first.
  await page.getByRole('tab', { name: /Checkpoints/ }).click();
  await page.getByRole('treeitem').nth(1).waitFor();
  expect(await page.getByRole('treeitem').count()).toBe(2);
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByText(/^1 checkpoint with .* pages are sound/).waitFor();
  await page.getByRole('treeitem').nth(1).click();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Restore', exact: true }).click();
  await page.getByRole('tab', { name: 'Console' }).click();
  expect(await shell(page, 'echo alive; ls /tmp/much')).toMatch(/alive[\s\S]*No such file/);
  // What was told of the killed run is over.
  expect(await page.getByText('From outside has ended').count()).toBe(0);

  await command('stop', 'From outside', '--force');
  await page.getByText('The machine is off').waitFor();
  await rename(path.join(library, 'from-outside'), path.join(library, '../moved'));
  await page.getByText('not in the library any more').waitFor();
  expect(problems).toEqual([]);
});
