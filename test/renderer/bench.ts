// What the app's page costs: its size, the time to its first useful paint, and how fast a console takes output.
//   node test/renderer/bench.ts        RUNS=n sets how often, --json FILE writes the figures
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { launchBrowser } from './harness/browser.ts';
import type { ScriptedHost } from './shell/page/scripted-host.ts';
import { CONSOLE, DEBIAN } from './shell/page/scripted-library.ts';
import { serveShell } from './shell/serve-shell.ts';

declare global {
  var scripted: ScriptedHost;
}

const RUNS = Number(process.env.RUNS ?? 5);
const FLOOD_BYTES = 40_000_000;
/** As long as a flood takes, about. */
const IDLE_MILLISECONDS = 2500;
const LONG_FRAME = 50;

interface Figures {
  /** Bytes, as they are and compressed: what the first page needs, and all of it. */
  readonly size: Readonly<Record<string, { readonly bytes: number; readonly gzip: number }>>;
  readonly paintMilliseconds: number;
  readonly consoleMegabytesPerSecond: number;
  /** Of the median run; `idle`: of the same page when nothing happens, which is what the computer has to offer. */
  readonly longestFrameMilliseconds: number;
  readonly longestIdleFrameMilliseconds: number;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

function sizes(folder: string): Figures['size'] {
  const files = readdirSync(folder).map(name => ({ name, content: readFileSync(path.join(folder, name)) }));
  const sum = (chosen: typeof files) => ({
    bytes: chosen.reduce((total, { content }) => total + content.length, 0),
    gzip: chosen.reduce((total, { content }) => total + gzipSync(content).length, 0),
  });
  return {
    first: sum(files.filter(({ name }) => /^(index|disclose)/.test(name))),
    terminal: sum(files.filter(({ name }) => /^Console/.test(name))),
    all: sum(files),
  };
}

/** From the navigation to a card of the library being painted, in a browser that has seen nothing before. */
async function paint(browser: Browser, address: string): Promise<number> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address);
  await page.getByRole('article').first().waitFor();
  const milliseconds = await page.evaluate(
    () =>
      new Promise<number>(resolve =>
        requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now()))),
      ),
  );
  await context.close();
  return milliseconds;
}

interface Flood {
  readonly rate: number;
  /** Milliseconds between frames: of the flood, and of the same page just before, when nothing happens. */
  readonly frames: readonly number[];
  readonly idle: readonly number[];
}

async function flood(browser: Browser, address: string): Promise<Flood> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address + CONSOLE);
  await page.locator('.xterm').waitFor();
  const { seconds, frames, idle } = await page.evaluate(
    async ([machine, bytes, rest]) => {
      let frames: number[] = [];
      let last = performance.now();
      let watching = true;
      const watch = () => {
        const now = performance.now();
        frames.push(now - last);
        last = now;
        if (watching) requestAnimationFrame(watch);
      };
      requestAnimationFrame(watch);
      await new Promise(resolve => setTimeout(resolve, rest));
      const idle = frames;
      frames = [];
      const start = performance.now();
      await scripted.consoles.get(machine)!.flood(bytes);
      watching = false;
      return { seconds: (performance.now() - start) / 1000, frames, idle };
    },
    [DEBIAN, FLOOD_BYTES, IDLE_MILLISECONDS] as const,
  );
  await context.close();
  return { rate: FLOOD_BYTES / 1e6 / seconds, frames, idle };
}

/** How long frames take: usually, nearly always, and at worst. */
function told(frames: readonly number[]): string {
  const sorted = [...frames].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(0);
  const long = frames.filter(frame => frame > LONG_FRAME).length;
  return `median ${at(0.5)}, 95 % ${at(0.95)}, longest ${at(1)} ms, ${long} of ${frames.length} over ${LONG_FRAME} ms`;
}

const server = await serveShell();
const browser = await launchBrowser();
try {
  await paint(browser, server.address);
  const paints: number[] = [];
  const floods: Flood[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    paints.push(await paint(browser, server.address));
    floods.push(await flood(browser, server.address));
  }
  const figures: Figures = {
    size: sizes(server.assets),
    paintMilliseconds: Math.round(median(paints)),
    consoleMegabytesPerSecond: Number(median(floods.map(one => one.rate)).toFixed(1)),
    longestFrameMilliseconds: Math.round(median(floods.map(one => Math.max(...one.frames)))),
    longestIdleFrameMilliseconds: Math.round(median(floods.map(one => Math.max(...one.idle)))),
  };
  for (const [name, { bytes, gzip }] of Object.entries(figures.size)) {
    console.log(
      `${name.padEnd(10)} ${(bytes / 1024).toFixed(0).padStart(6)} KiB, ${(gzip / 1024).toFixed(0)} KiB compressed`,
    );
  }
  console.log(`first useful paint ${figures.paintMilliseconds} ms (budget 1000)`);
  console.log(
    `console ${figures.consoleMegabytesPerSecond} MB/s (budget 5), longest frame ${figures.longestFrameMilliseconds} ms (budget 50), when nothing happens ${figures.longestIdleFrameMilliseconds} ms`,
  );
  console.log(`frames of floods: ${told(floods.flatMap(one => one.frames))}`);
  console.log(`frames when nothing happens: ${told(floods.flatMap(one => one.idle))}`);
  const at = process.argv.indexOf('--json');
  if (at !== -1) writeFileSync(process.argv[at + 1]!, `${JSON.stringify(figures, null, 2)}\n`);
} finally {
  await browser.close();
  await server.close();
}
