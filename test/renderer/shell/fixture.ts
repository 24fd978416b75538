// The page as it is shipped, with its policy, in a browser, with a scripted host.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { launchBrowser, openPage, type PageOptions } from '../harness/browser.ts';
import type { ScriptedHost } from './page/scripted-host.ts';
import { DEBIAN, NOW } from './page/scripted-library.ts';
import { type ShellServer, serveShell } from './serve-shell.ts';

/** What scripts in the page see; code that a test sends there runs with this name. */
declare global {
  var scripted: ScriptedHost;
}

/** A busy machine is slow; only a hang meets this. */
const PATIENCE_MILLISECONDS = 60_000;

export interface ShellOptions extends PageOptions {
  /** Errors of the page are what the test is about. */
  readonly expectProblems?: boolean;
}

/** One server and one browser for all tests of a file; pages are closed after each, and must have had no problem. */
export function useShell(): (path?: string, options?: ShellOptions) => Promise<Page> {
  let server: ShellServer;
  let browser: Browser;
  let opened: { readonly page: Page; readonly problems: string[] }[] = [];

  beforeAll(async () => {
    [server, browser] = await Promise.all([serveShell(), launchBrowser()]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  afterEach(async () => {
    const problems = opened.flatMap(one => one.problems);
    for (const { page } of opened) await page.context().close();
    opened = [];
    expect(problems).toEqual([]);
  });

  return async (path = '', options = {}) => {
    const one = await openPage(browser, server.address + path, { now: NOW, ...options });
    opened.push(options.expectProblems === true ? { ...one, problems: [] } : one);
    one.page.setDefaultTimeout(PATIENCE_MILLISECONDS);
    await one.page.locator('h1, h2').first().waitFor();
    return one.page;
  };
}

/** Names of what was asked for and may change something, the oldest first. */
export const calls = (page: Page) => page.evaluate(() => scripted.calls.map(call => call.name));

export const lastCall = (page: Page) => page.evaluate(() => scripted.calls.at(-1));

/** Everything that was typed at Debian's console. */
export const typed = (page: Page) => page.evaluate(id => scripted.consoles.get(id)!.typed, DEBIAN);
