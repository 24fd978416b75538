// Draws the icons' sizes from their SVG sources, with Chromium; the results are kept with the sources, for packages are
// made on computers without it. Run it after changing an SVG: `node assets/icons/build.ts`.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { icnsFile, icoFile, type SizedImage } from './containers.ts';

const here = import.meta.dirname;
const built = path.join(here, 'built');
const SIZES = [16, 32, 48, 64, 128, 256, 512, 1024];

async function draw(browser: Browser, name: string, pixels: number): Promise<Uint8Array> {
  const svg = await readFile(path.join(here, `${name}.svg`), 'utf8');
  const page = await browser.newPage({ viewport: { width: pixels, height: pixels } });
  await page.setContent(`<style>* { margin: 0 } svg { display: block; width: 100vw; height: 100vh }</style>${svg}`);
  const png = await page.screenshot({ omitBackground: true });
  await page.close();
  return png;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
try {
  await mkdir(built, { recursive: true });
  const save = (name: string, bytes: Uint8Array) => writeFile(path.join(built, name), bytes);
  const images: SizedImage[] = [];
  for (const pixels of SIZES) {
    const png = await draw(browser, 'icon', pixels);
    images.push({ pixels, png });
    await save(`${pixels}x${pixels}.png`, png);
  }
  await save('icon.png', images.at(-2)!.png);
  await save('icon.ico', icoFile(images.filter(({ pixels }) => pixels <= 256)));
  await save('icon.icns', icnsFile(images.filter(({ pixels }) => pixels !== 48)));
  await save('tray.png', await draw(browser, 'tray', 24));
  await save('tray@2x.png', await draw(browser, 'tray', 48));
  const trays = [16, 24, 32].map(async pixels => ({ pixels, png: await draw(browser, 'tray', pixels) }));
  await save('tray.ico', icoFile(await Promise.all(trays)));
  await save('trayTemplate.png', await draw(browser, 'tray-template', 16));
  await save('trayTemplate@2x.png', await draw(browser, 'tray-template', 32));
  await save('checkpoint.png', await draw(browser, 'checkpoint', 64));
  const files = [16, 32, 64, 128, 256].map(async pixels => ({
    pixels,
    png: await draw(browser, 'checkpoint', pixels),
  }));
  const checkpoints = await Promise.all(files);
  await save('checkpoint.ico', icoFile(checkpoints));
  await save('checkpoint.icns', icnsFile(checkpoints));
} finally {
  await browser.close();
}
