// Pictures of every view, dialog and menu, in both themes, wide and narrow, for usual and fine displays:
//   node test/renderer/shell/screenshots.ts [NAME...]
// To be looked at; they are kept in test/.artefacts/screenshots, which git ignores, with an index.html of all of them.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import { launchBrowser } from '../harness/browser.ts';
import { NOW } from './page/scripted-library.ts';
import { PLACES, type Place } from './places.ts';
import { serveShell } from './serve-shell.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../.artefacts/screenshots');
const THEMES = ['light', 'dark'] as const;
const WIDTHS = [1280, 390];
const SCALES = [1, 2];
const AT_A_TIME = 3;
/** Motion is reduced and the clock stands still: only answers of the scripted host are waited for. */
const SETTLED_MILLISECONDS = 250;
const PATIENCE_MILLISECONDS = 8000;

interface Look {
  readonly theme: (typeof THEMES)[number];
  readonly width: number;
  readonly scale: number;
}

const nameOf = (place: string, { theme, width, scale }: Look) => `${place}-${theme}-${width}@${scale}x.png`;

async function take(browser: Browser, address: string, look: Look, wanted: readonly string[]): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: look.width, height: 800 },
    deviceScaleFactor: look.scale,
    colorScheme: look.theme,
    reducedMotion: 'reduce',
  });
  await context.clock.setFixedTime(NOW);
  const places = PLACES.filter(place => wanted.length === 0 || wanted.includes(place.name));
  // Most of the time is waiting: some pages at a time.
  const takeNext = async (): Promise<void> => {
    for (let place = places.shift(); place !== undefined; place = places.shift()) {
      await takePlace(context, address, look, place);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, takeNext));
  await context.close();
}

async function takePlace(context: BrowserContext, address: string, look: Look, place: Place): Promise<void> {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MILLISECONDS);
  const complain = (text: string) => console.log(`${nameOf(place.name, look)}: ${text.split('\n', 1)[0]}`);
  page.on('console', message => message.type() === 'error' && complain(message.text()));
  page.on('pageerror', error => complain(String(error)));
  await page.goto(address + place.path);
  await page.locator('h1, h2').first().waitFor();
  await page.waitForTimeout(SETTLED_MILLISECONDS);
  await place.prepare?.(page).catch(error => complain(String(error)));
  await page.waitForTimeout(SETTLED_MILLISECONDS);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wider > 0) complain(`the page is ${wider} px wider than the window`);
  await page.screenshot({ path: path.join(FOLDER, nameOf(place.name, look)) });
  await page.close();
}

async function writeIndex(): Promise<void> {
  const files = (await readdir(FOLDER)).filter(file => file.endsWith('.png')).sort();
  const figures = files.map(
    file => `<figure><a href="${file}"><img src="${file}" loading="lazy"></a><figcaption>${file}</figcaption></figure>`,
  );
  const style = 'body{font:12px sans-serif;display:flex;flex-wrap:wrap;gap:16px}figure{margin:0}img{height:320px}';
  const page = `<!doctype html><title>Pictures</title><style>${style}</style>\n${figures.join('\n')}\n`;
  await writeFile(path.join(FOLDER, 'index.html'), page);
}

const server = await serveShell();
const browser = await launchBrowser();
await mkdir(FOLDER, { recursive: true });
try {
  for (const theme of THEMES) {
    for (const width of WIDTHS) {
      for (const scale of SCALES) await take(browser, server.address, { theme, width, scale }, process.argv.slice(2));
    }
  }
  await writeIndex();
} finally {
  await browser.close();
  await server.close();
}
