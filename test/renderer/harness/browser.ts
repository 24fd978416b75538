// The browser of view tests: Debian's Chromium, or another that CHROMIUM names, without any network of its own.
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export const CHROMIUM = PLACES.find(place => place !== undefined && existsSync(place));

export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({
    ...(CHROMIUM !== undefined && { executablePath: CHROMIUM }),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scale?: number;
  readonly theme?: 'light' | 'dark';
  /** What the page takes for the present time, milliseconds since 1970. */
  readonly now?: number;
}

/** A page of its own context. What its scripts throw or report as errors is in `problems`. */
export async function openPage(
  browser: Browser,
  address: string,
  { width = 1280, height = 800, scale = 1, theme = 'light', now }: PageOptions = {},
): Promise<{ readonly page: Page; readonly problems: string[] }> {
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: scale,
    colorScheme: theme,
    // What moves is in place at once.
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const problems: string[] = [];
  page.on('pageerror', error => problems.push(String(error)));
  page.on('console', message => {
    if (message.type() === 'error') problems.push(message.text());
  });
  if (now !== undefined) await page.clock.setFixedTime(now);
  await page.goto(address);
  return { page, problems };
}
