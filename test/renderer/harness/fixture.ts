// One server and one browser for all tests of a file, and pages that are closed after each.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { ScriptedBridge } from '../scripted/bridge.ts';
import { NOW } from '../scripted/trees.ts';
import { launchBrowser, openPage, type PageOptions } from './browser.ts';
import { type HarnessServer, serveHarness } from './server.ts';

/** What scripts in the page see; code that a test sends there runs with these names. */
declare global {
  var stage: ScriptedBridge;
}

export interface Fixture {
  /** `query` as the harness takes it: `view=tree&checkpoints=30`. */
  open(query: string, options?: PageOptions): Promise<Page>;
}

export function useHarness(): Fixture {
  let server: HarnessServer;
  let browser: Browser;
  let opened: { readonly page: Page; readonly problems: string[] }[] = [];

  beforeAll(async () => {
    [server, browser] = await Promise.all([serveHarness(), launchBrowser()]);
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

  return {
    open: async (query, options = {}) => {
      const one = await openPage(browser, `${server.address}?${query}`, { now: NOW, ...options });
      opened.push(one);
      return one.page;
    },
  };
}

/** The calls of the scripted machine that change something, by name, the oldest first. */
export async function callsOf(page: Page, name: string): Promise<unknown[]> {
  return await page.evaluate(
    wanted => stage.machine.calls.filter(call => call.name === wanted).map(call => call.arguments),
    name,
  );
}

export async function appCallsOf(page: Page, name: string): Promise<unknown[]> {
  return await page.evaluate(
    wanted => stage.calls.filter(call => call.name === wanted).map(call => call.arguments),
    name,
  );
}
