// The pictures of docs/screenshots, of a real machine with a real tree and real layers:
//   node test/app/documentation-pictures.ts
// Works at a new machine for about a minute as a person would, in the browser host, and takes pictures of what it sees.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { launchBrowser } from '../renderer/harness/browser.ts';
import { atPrompt, openPage, shell, startBrowserHost } from './browser-host.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../docs/screenshots');
/** They are part of the repository. */
const MOST_BYTES = 200 * 1024;

const tab = (page: Page, name: string | RegExp) => page.getByRole('tab', { name }).click();
const node = (page: Page, name: string) =>
  page.locator('.line:not(.taking)').filter({ has: page.locator('.name').getByText(name, { exact: true }) });

async function take(page: Page, name: string, note = ''): Promise<void> {
  await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Checkpoint with name' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByRole('textbox', { name: 'Note' }).fill(note);
  await page.getByRole('button', { name: 'Take checkpoint' }).click();
  await page.getByText(`Checkpoint “${name}” taken`).waitFor();
}

/** Back to a checkpoint, from where a branch of its own begins; what is left stays in the tree. */
async function branch(page: Page, from: string, name: string): Promise<void> {
  await tab(page, /Checkpoints/);
  await node(page, from).click();
  await page.getByRole('button', { name: 'Branch…' }).click();
  await page.getByRole('textbox', { name: 'Name of the branch' }).fill(name);
  await page.keyboard.press('Enter');
  await node(page, name).waitFor();
  await tab(page, 'Console');
}

async function work(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'New machine' }).last().click();
  await page.getByRole('button', { name: 'Create and start' }).click();
  await atPrompt(page);
  await take(page, 'Fresh Debian');
  await shell(page, 'mkdir -p /data/www && seq 1 200000 > /data/www/index && sync');
  await take(page, 'Site installed', 'Answers on port 80. The certificate is for one year.');
  await shell(page, 'head -c 9000000 /dev/urandom > /data/orders.db && sync && md5sum /data/orders.db');
  await take(page, 'Before the migration', 'The last state with the old tables.');
  await shell(page, 'head -c 4000000 /dev/urandom > /data/orders.db && sync; dmesg | tail -n 3');
  await take(page, 'Migration, first try');
  await branch(page, 'Before the migration', 'Second try');
  await shell(page, 'head -c 12000000 /dev/urandom > /data/orders.new && sync; ls -l /data');
  await take(page, 'Migration done', 'All orders are there.');
  await shell(page, 'mv /data/orders.new /data/orders.db && sync; df -h /data');
  await take(page, 'Cleaned up');
}

async function keep(page: Page, name: string): Promise<void> {
  const file = path.join(FOLDER, `${name}.png`);
  await page.mouse.move(0, 0);
  await page.waitForTimeout(400);
  await page.screenshot({ path: file, animations: 'disabled' });
  const { size } = await stat(file);
  console.log(`${path.relative(process.cwd(), file)}: ${Math.round(size / 1024)} KiB`);
  if (size > MOST_BYTES) throw new Error(`The picture has more than ${MOST_BYTES / 1024} KiB`);
}

const folder = await mkdtemp(path.join(tmpdir(), 'afterimage-pictures-'));
const host = await startBrowserHost(path.join(folder, 'machines'));
const browser = await launchBrowser();
try {
  const problems: string[] = [];
  const page = await openPage(browser, host.address, problems);
  await work(page);

  await page.emulateMedia({ colorScheme: 'dark' });
  await page.locator('.xterm').click();
  await page.keyboard.type('clear; dmesg | head -n 8; uname -a; df -h /data; ls -l /data\n');
  await atPrompt(page);
  await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
  await page
    .getByText(/^Checkpoint “.*” taken$/)
    .last()
    .waitFor();
  for (const old of await page.getByRole('button', { name: 'Close message' }).all()) {
    if ((await page.getByRole('button', { name: 'Close message' }).count()) > 1) await old.click();
  }
  await keep(page, 'console');

  await page.emulateMedia({ colorScheme: 'light' });
  for (const message of await page.getByRole('button', { name: 'Close message' }).all()) await message.click();
  await tab(page, /Checkpoints/);
  await node(page, 'Before the migration').click();
  await page.getByRole('textbox', { name: 'Note' }).waitFor();
  await keep(page, 'checkpoints');

  await tab(page, 'Disks');
  await page.getByRole('option').first().waitFor();
  await keep(page, 'disks');
  if (problems.length > 0) throw new Error(`The page had problems: ${problems.join('; ')}`);
} finally {
  await browser.close();
  await host.command('stop', 'Debian', '--force').catch(() => {});
  await host.end();
  await rm(folder, { recursive: true, force: true });
}
