// Every view, dialog and menu of the app, and how one gets there: for the accessibility checker and for pictures.
import type { Page } from 'playwright-core';
import type { ScriptedHost } from './page/scripted-host.ts';
import { CONSOLE, DEBIAN, identityOf, NOW } from './page/scripted-library.ts';

declare global {
  var scripted: ScriptedHost;
}

export interface Place {
  readonly name: string;
  readonly path: string;
  readonly prepare?: (page: Page) => Promise<unknown>;
}

const tab = (name: string) => `#/machine/${DEBIAN}/${name}`;

async function openMachineMenu(page: Page): Promise<void> {
  await page.locator('main header').getByRole('button', { name: 'More actions' }).click();
}

async function openCreate(page: Page): Promise<void> {
  await page.keyboard.press('Control+Shift+N');
  await page.getByRole('dialog').waitFor();
}

/** A row that was named by a person, and has others before it. */
const checkpoint = (page: Page) => page.getByRole('treeitem').nth(3);

async function openCheckpointMenu(page: Page, item: string): Promise<void> {
  await checkpoint(page).click({ button: 'right' });
  await page.getByRole('menuitem', { name: item }).first().click();
}

/** The frozen layer, where the window is so narrow that none is selected by itself. */
async function selectLayer(page: Page): Promise<void> {
  await page.getByRole('option').nth(1).click();
}

async function openJob(page: Page, name: string): Promise<void> {
  await page.getByRole('option').first().click({ button: 'right' });
  await page.getByRole('menuitem', { name }).click();
  await page.getByRole('dialog').waitFor();
}

/** A file from outside, of which the host says what it holds. */
async function openFile(page: Page, kind: 'checkpoint' | 'disk' | 'kernel' | 'unknown'): Promise<void> {
  await page.evaluate(
    ({ what, now, screen }) => {
      const previews = {
        checkpoint: {
          kind: 'checkpoint',
          preview: {
            name: 'ready for the demo',
            note: 'All tests passed before this one.',
            takenAt: now - 60_000,
            memory: 512 * 1024 ** 2,
            machineName: 'Demo',
            disks: [{ device: 'vda', size: 8 * 1024 ** 3 }],
            bytes: 212e6,
            writer: 'Afterimage 0.1.0',
            screen,
          },
        },
        disk: { kind: 'disk', format: 'qcow2', virtualSize: 8 * 1024 ** 3, allocatedSize: 1.9e9, bytes: 1.9e9 },
        kernel: { kind: 'kernel', bytes: 22e6 },
        unknown: { kind: 'unknown', bytes: 4711 },
      } as const;
      scripted.preview = previews[what] as never;
      const names = {
        checkpoint: 'demo.afterimage-checkpoint',
        disk: 'root.qcow2',
        kernel: 'vmlinuz',
        unknown: 'notes',
      };
      scripted.emit({
        event: 'file-opened',
        file: { token: `file-${'a'.repeat(32)}`, name: names[what], bytes: 212e6, kind: what },
      } as never);
    },
    {
      what: kind,
      now: NOW,
      screen: { columns: 80, rows: 24, lines: ['Debian GNU/Linux 13 demo ttyS0', '', 'root@demo:~# uptime'] },
    },
  );
  await page.getByRole('dialog').waitFor();
}

export const PLACES: readonly Place[] = [
  { name: 'library', path: '#/' },
  { name: 'library-empty', path: '?library=empty#/' },
  { name: 'machine-broken', path: `?library=broken#/machine/${identityOf(90)}/console` },
  { name: 'machine-gone', path: `#/machine/${identityOf(404)}/console` },
  {
    name: 'library-menu',
    path: '#/',
    prepare: page => page.getByRole('article', { name: 'Debian' }).click({ button: 'right' }),
  },
  { name: 'library-focus', path: '#/', prepare: page => tabTo(page, 'article a') },
  {
    name: 'navigation',
    path: '#/',
    prepare: async page => {
      const open = page.getByRole('button', { name: 'Open navigation' });
      if (await open.isVisible()) await open.click();
    },
  },
  { name: 'create', path: '#/', prepare: openCreate },
  {
    name: 'create-files',
    path: '#/',
    prepare: async page => {
      await openCreate(page);
      await page.getByRole('button', { name: 'New disk' }).click();
      await page.getByText('Own files').click();
    },
  },
  { name: 'palette', path: CONSOLE, prepare: page => page.keyboard.press('Control+Shift+P') },
  { name: 'shortcuts', path: '#/', prepare: page => page.keyboard.press('?') },
  { name: 'import-checkpoint', path: '#/', prepare: page => openFile(page, 'checkpoint') },
  { name: 'import-disk', path: '#/', prepare: page => openFile(page, 'disk') },
  { name: 'import-kernel', path: '#/', prepare: page => openFile(page, 'kernel') },
  { name: 'import-unknown', path: '#/', prepare: page => openFile(page, 'unknown') },
  { name: 'console', path: CONSOLE },
  {
    name: 'console-checkpoint',
    path: CONSOLE,
    prepare: async page => {
      await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
      await page.getByText('“Checkpoint 1” taken').waitFor();
    },
  },
  {
    name: 'console-saving',
    path: CONSOLE,
    prepare: page =>
      page.evaluate(id => {
        const taking = { phase: 'saving', name: 'x', origin: 'manual', donePages: 37, totalPages: 100 } as const;
        scripted.setStatus(id, { taking: { ...taking, pauseMicroseconds: 388 } });
      }, DEBIAN),
  },
  {
    name: 'console-search',
    path: CONSOLE,
    prepare: async page => {
      await page.locator('.xterm').click();
      await page.keyboard.press('Control+Shift+F');
      await page.keyboard.type('afterimage');
    },
  },
  { name: 'console-off', path: `#/machine/${identityOf(4)}/console` },
  { name: 'console-suspended', path: `#/machine/${identityOf(5)}/console` },
  {
    name: 'console-failed',
    path: CONSOLE,
    prepare: page =>
      page.evaluate(id => {
        const error = { kind: 'internal', message: 'The machine’s process ended with signal 9', context: {} } as const;
        scripted.consoles.get(id)?.setState('idle');
        scripted.setStatus(id, { state: 'failed', error });
        scripted.emit({
          event: 'notice',
          notice: { level: 'error', title: 'Debian has ended', text: error.message, machine: id, error },
        });
      }, DEBIAN),
  },
  { name: 'console-detached', path: `#/console/${DEBIAN}` },
  { name: 'consoles', path: '#/consoles' },
  { name: 'machine-menu', path: CONSOLE, prepare: openMachineMenu },
  {
    name: 'menu-beside-message',
    path: CONSOLE,
    prepare: async page => {
      await page.getByRole('button', { name: 'Checkpoint', exact: true }).click();
      await page.getByText('“Checkpoint 1” taken').waitFor();
      await openMachineMenu(page);
    },
  },
  {
    name: 'checkpoint-named',
    path: CONSOLE,
    prepare: async page => {
      await openMachineMenu(page);
      await page.getByRole('menuitem', { name: 'Checkpoint with name' }).click();
    },
  },
  {
    name: 'rename',
    path: CONSOLE,
    prepare: async page => {
      await openMachineMenu(page);
      await page.getByRole('menuitem', { name: 'Rename' }).click();
    },
  },
  {
    name: 'force-off',
    path: CONSOLE,
    prepare: async page => {
      await openMachineMenu(page);
      await page.getByRole('menuitem', { name: 'Force off' }).click();
    },
  },
  {
    name: 'configure',
    path: CONSOLE,
    prepare: async page => {
      await openMachineMenu(page);
      await page.getByRole('menuitem', { name: 'Settings' }).click();
      await page.getByRole('dialog').waitFor();
    },
  },
  {
    name: 'delete',
    path: '#/',
    prepare: async page => {
      await page.getByRole('article', { name: 'Debian' }).click({ button: 'right' });
      await page.getByRole('menuitem', { name: 'Delete' }).click();
    },
  },
  { name: 'checkpoints', path: tab('checkpoints') },
  { name: 'checkpoints-selected', path: tab('checkpoints'), prepare: page => checkpoint(page).click() },
  {
    name: 'checkpoints-present',
    path: tab('checkpoints'),
    prepare: page => page.getByRole('treeitem').first().click(),
  },
  {
    name: 'checkpoints-focus',
    path: tab('checkpoints'),
    prepare: async page => {
      await page.getByRole('tree').focus();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
    },
  },
  { name: 'checkpoints-menu', path: tab('checkpoints'), prepare: page => checkpoint(page).click({ button: 'right' }) },
  { name: 'checkpoints-hover', path: tab('checkpoints'), prepare: page => checkpoint(page).hover() },
  {
    name: 'checkpoints-compared',
    path: tab('checkpoints'),
    prepare: async page => {
      await openCheckpointMenu(page, 'Compare with the one before');
      await page.getByText(/pages differ/).waitFor();
    },
  },
  {
    name: 'checkpoints-not-found',
    path: tab('checkpoints'),
    prepare: page => page.getByRole('searchbox', { name: 'Search names and notes' }).fill('no such thing'),
  },
  { name: 'checkpoints-none', path: `${tab('checkpoints')}`.replace('#', '?checkpoints=0#') },
  { name: 'restore', path: tab('checkpoints'), prepare: page => openCheckpointMenu(page, 'Restore…') },
  { name: 'delete-checkpoint', path: tab('checkpoints'), prepare: page => openCheckpointMenu(page, 'Delete…') },
  {
    name: 'delete-checkpoints',
    path: tab('checkpoints'),
    prepare: async page => {
      await checkpoint(page).click({ button: 'right' });
      await page.getByRole('menuitem', { name: /Delete with/ }).click();
    },
  },
  { name: 'disks', path: tab('disks'), prepare: page => page.getByRole('option').first().waitFor() },
  { name: 'disks-selected', path: tab('disks'), prepare: selectLayer },
  {
    name: 'disks-menu',
    path: tab('disks'),
    prepare: page => page.getByRole('option').nth(1).click({ button: 'right' }),
  },
  { name: 'disks-overlay', path: tab('disks'), prepare: page => openJob(page, 'New overlay') },
  { name: 'disks-stream', path: tab('disks'), prepare: page => openJob(page, 'Stream') },
  { name: 'disks-resize', path: tab('disks'), prepare: page => openJob(page, 'Resize') },
  {
    name: 'disks-job',
    path: tab('disks'),
    prepare: async page => {
      await openJob(page, 'Stream');
      await page.getByRole('dialog').getByRole('button', { name: 'Stream' }).click();
      await page.getByRole('progressbar').first().waitFor();
    },
  },
  { name: 'disks-none', path: `?disks=0${tab('disks')}`, prepare: page => page.getByText('no disks').waitFor() },
  { name: 'memory', path: tab('memory') },
  {
    name: 'memory-pointed',
    path: tab('memory'),
    prepare: async page => {
      await page.getByRole('button', { name: /^Held/ }).click();
      await page
        .locator('canvas')
        .first()
        .hover({ position: { x: 120, y: 90 } });
    },
  },
  {
    name: 'memory-options',
    path: tab('memory'),
    prepare: async page => {
      await page.getByText('Options', { exact: true }).click();
      await page.getByRole('combobox', { name: 'Apply to' }).selectOption('range');
    },
  },
  { name: 'memory-off', path: `#/machine/${identityOf(4)}/memory` },
  { name: 'machine-activity', path: tab('activity') },
  { name: 'activity', path: '#/activity' },
  { name: 'activity-empty', path: '?library=empty#/activity' },
  { name: 'settings', path: '#/settings' },
  { name: 'about', path: '#/about' },
];

/** As somebody without a mouse goes there, so that its ring is drawn. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let key = 0; key < 40; key += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(wanted => document.activeElement?.matches(wanted) === true, selector)) return;
  }
  throw new Error(`The focus never reaches ${selector}`);
}
