// Pictures of every page of the shell, in both themes, wide and narrow: `node test/renderer/shell/screenshots.ts`.
// To be looked at; they are kept in test/.artefacts, which git ignores. `--docs` makes those of docs/screenshots instead.
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { launchBrowser } from '../harness/browser.ts';
import { NOW } from './page/scripted-library.ts';
import { serveShell } from './serve-shell.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../.artefacts/screenshots');
const machine = (number: number) => number.toString(16).padStart(32, '0');

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly prepare?: (page: Page) => Promise<unknown>;
}

const SHOTS: readonly Shot[] = [
  { name: 'library', path: '#/' },
  { name: 'library-empty', path: '?library=empty#/' },
  { name: 'console', path: `#/machine/${machine(2)}/console` },
  {
    name: 'console-checkpoint',
    path: `#/machine/${machine(2)}/console`,
    prepare: async page => {
      await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
      await page.getByText('“Checkpoint 1” taken').waitFor();
    },
  },
  { name: 'console-off', path: `#/machine/${machine(5)}/console` },
  {
    name: 'console-search',
    path: `#/machine/${machine(2)}/console`,
    prepare: async page => {
      await page.keyboard.press('Control+Shift+F');
      await page.keyboard.type('afterimage');
    },
  },
  { name: 'create', path: '#/', prepare: page => openCreate(page) },
  {
    name: 'create-files',
    path: '#/',
    prepare: async page => {
      await openCreate(page);
      await page.getByText('Own files').click();
    },
  },
  { name: 'palette', path: `#/machine/${machine(2)}/console`, prepare: page => page.keyboard.press('Control+Shift+P') },
  {
    name: 'machine-menu',
    path: `#/machine/${machine(2)}/console`,
    prepare: page => page.locator('main header').getByRole('button', { name: 'More actions' }).click(),
  },
  {
    name: 'delete',
    path: '#/',
    prepare: async page => {
      await page.getByRole('article', { name: 'Debian' }).click({ button: 'right' });
      await page.getByRole('menuitem', { name: 'Delete' }).click();
    },
  },
  { name: 'checkpoints', path: `#/machine/${machine(2)}/checkpoints` },
  { name: 'disks', path: `#/machine/${machine(2)}/disks` },
  { name: 'memory', path: `#/machine/${machine(2)}/memory` },
  {
    name: 'configure',
    path: `#/machine/${machine(2)}/console`,
    prepare: async page => {
      await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Settings' }).click();
    },
  },
  {
    name: 'navigation',
    path: '#/',
    prepare: page =>
      page
        .getByRole('button', { name: 'Open navigation' })
        .click({ timeout: 1000 })
        .catch(() => {}),
  },
  { name: 'consoles', path: '#/consoles' },
  { name: 'settings', path: '#/settings' },
  { name: 'about', path: '#/about' },
  { name: 'shortcuts', path: '#/', prepare: page => page.keyboard.press('?') },
  { name: 'broken', path: `?library=broken#/machine/${machine(90)}/console` },
];

async function openCreate(page: Page): Promise<void> {
  await page.keyboard.press('Control+Shift+N');
  await page.getByRole('button', { name: 'New disk' }).click();
}

/** What the README shows, by the name that it has there. */
const DOCS: Readonly<Record<string, string>> = {
  console: 'console-checkpoint-dark-1280',
  checkpoints: 'checkpoints-light-1280',
  disks: 'disks-light-1280',
};

const forDocs = process.argv.includes('--docs');
const wanted = forDocs ? ['console-checkpoint', 'checkpoints', 'disks'] : process.argv.slice(2);
const server = await serveShell();
const browser = await launchBrowser();
await mkdir(FOLDER, { recursive: true });
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 390]) {
      const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
      for (const shot of SHOTS) {
        if (wanted.length > 0 && !wanted.includes(shot.name)) continue;
        const page = await context.newPage();
        page.on('console', message => {
          if (message.type() === 'error') console.log(shot.name, message.text());
        });
        page.on('pageerror', error => console.log(shot.name, String(error)));
        await page.clock.setFixedTime(NOW);
        await page.goto(server.address + shot.path);
        await page.locator('h1').first().waitFor();
        await page.waitForTimeout(150);
        await shot.prepare?.(page);
        await page.waitForTimeout(350);
        await page.screenshot({ path: path.join(FOLDER, `${shot.name}-${colorScheme}-${width}.png`) });
        await page.close();
      }
      await context.close();
    }
  }
  if (forDocs) {
    const folder = path.resolve(import.meta.dirname, '../../../docs/screenshots');
    await mkdir(folder, { recursive: true });
    for (const [name, picture] of Object.entries(DOCS)) {
      await copyFile(path.join(FOLDER, `${picture}.png`), path.join(folder, `${name}.png`));
    }
  }
} finally {
  await browser.close();
  await server.close();
}
