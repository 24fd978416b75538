// What the accessibility checker finds on every page and in every dialog of the shell, in both themes: nothing.
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { violations } from '../harness/axe.ts';
import { useShell } from './fixture.ts';
import { CONSOLE, identityOf } from './page/scripted-library.ts';

const open = useShell();

interface Place {
  readonly name: string;
  readonly path: string;
  readonly prepare?: (page: Page) => Promise<unknown>;
}

const PLACES: readonly Place[] = [
  { name: 'library', path: '#/' },
  { name: 'an empty library', path: '?library=empty' },
  { name: 'a machine that cannot be read', path: `?library=broken#/machine/${identityOf(90)}/console` },
  {
    name: 'console with search',
    path: CONSOLE,
    prepare: async page => {
      await page.locator('.xterm').click();
      await page.keyboard.press('Control+Shift+F');
    },
  },
  { name: 'a console in its own window', path: `#/console/${identityOf(2)}` },
  { name: 'a console that is off', path: `#/machine/${identityOf(5)}/console` },
  { name: 'consoles', path: '#/consoles' },
  { name: 'settings', path: '#/settings' },
  { name: 'about', path: '#/about' },
  { name: 'palette', path: '#/', prepare: page => page.keyboard.press('Control+K') },
  { name: 'shortcuts', path: '#/', prepare: page => page.keyboard.press('?') },
  {
    name: 'new machine',
    path: '#/',
    prepare: async page => {
      await page.keyboard.press('Control+Shift+N');
      await page.getByText('Own files').click();
    },
  },
  {
    name: 'settings of a machine',
    path: CONSOLE,
    prepare: async page => {
      await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Settings' }).click();
      await page.getByRole('dialog').waitFor();
    },
  },
  {
    name: 'a checkpoint with a name',
    path: CONSOLE,
    prepare: async page => {
      await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Checkpoint with name' }).click();
    },
  },
  {
    name: 'a menu, with a message beside it',
    path: CONSOLE,
    prepare: async page => {
      await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
      await page.getByText('“Checkpoint 1” taken').waitFor();
      await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
    },
  },
];

for (const scheme of ['light', 'dark'] as const) {
  for (const { name, path, prepare } of PLACES) {
    test(`${name}, ${scheme}`, async () => {
      const page = await open(path);
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      // From the start: colours on their way from one theme to the other are neither.
      await page.reload();
      await page.locator('h1, h2').first().waitFor();
      await prepare?.(page);
      expect(await violations(page)).toEqual([]);
    });
  }
}
