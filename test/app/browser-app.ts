// The real app for tests: the browser host as its own process, over a library of the test's own, and pages of it.
import path from 'node:path';
import type { Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { launchBrowser } from '../renderer/harness/browser.ts';
import { type BrowserHost, openPage, startBrowserHost } from './browser-host.ts';
import { keepPicture } from './pictures.ts';

export { atPrompt, consoleText, shell } from './browser-host.ts';

export interface BrowserApp extends Pick<BrowserHost, 'address' | 'command'> {
  readonly page: Page;
  /** The machines' folder. */
  readonly library: string;
  /** What pages threw or reported as errors. */
  readonly problems: string[];
}

/** Everything ends with the test. */
export async function openBrowserApp(): Promise<BrowserApp> {
  const library = path.join(temporaryFolder(), 'machines');
  const host = await startBrowserHost(library);
  onTestFinished(() => host.end());
  const browser = await launchBrowser();
  const problems: string[] = [];
  let page: Page | undefined;
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail' && page !== undefined) await keepPicture(page, 'failed');
    await browser.close();
  });
  page = await openPage(browser, host.address, problems);
  return { page, library, problems, address: host.address, command: host.command };
}
