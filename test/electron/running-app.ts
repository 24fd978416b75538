// The app in the stand-in, for tests.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { startApp } from '../../main/app/start.ts';
import type { App } from '../../main/ipc/app.ts';
import { buildPages } from '../../main/serve/build-pages.ts';
import { launchBrowser } from '../renderer/harness/browser.ts';
import { StandIn } from './stand-in/stand-in.ts';
import type { StandInWindow } from './stand-in/window.ts';

const root = path.resolve(import.meta.dirname, '../..');

export interface RunningApp extends AsyncDisposable {
  readonly standIn: StandIn;
  readonly app: App;
  readonly window: StandInWindow;
  readonly folder: string;
  readonly library: string;
  readonly log: string[];
  /** Asks as the page's own scripts do. */
  call(name: string, arguments_?: unknown): Promise<{ ok: boolean; result?: never; error?: { kind: string } }>;
}

/** One browser for a test file. */
export async function chromiumForTests(): Promise<Browser> {
  await buildPages();
  return await launchBrowser();
}

export async function runApp(browser: Browser, arguments_: readonly string[] = []): Promise<RunningApp> {
  const folder = await mkdtemp(path.join(tmpdir(), 'afterimage-electron-'));
  const library = path.join(folder, 'library');
  const standIn = new StandIn(browser, folder);
  const log: string[] = [];
  const app = await startApp({
    electron: standIn.module(),
    arguments_,
    machineEntry: path.join(root, 'engine/host/machine-process.ts'),
    diskProcess: {
      entry: path.join(root, 'main/app/utility-entry.ts'),
      module: path.join(root, 'engine/host/disk-process.ts'),
    },
    root,
    library,
    log: text => log.push(text),
  });
  const [window] = standIn.windows;
  if (app === undefined || window === undefined) throw new Error('The app has no window');
  return {
    standIn,
    app,
    window,
    folder,
    library,
    log,
    call: async (name, given = {}) =>
      await window.page.evaluate(
        ([called, values]) => {
          const { afterimage } = globalThis as unknown as { afterimage: { call(...all: unknown[]): Promise<never> } };
          return afterimage.call(called, values);
        },
        [name, given],
      ),
    [Symbol.asyncDispose]: async () => {
      await standIn.close();
      await app.close();
      for (const child of standIn.children) {
        try {
          process.kill(child, 'SIGKILL');
        } catch {
          // It has ended by itself.
        }
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
