// The browser host as a process of its own over a given library, and what a person does with its pages.
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { buildPages } from '../../main/serve/build-pages.ts';

const COMMAND = path.resolve(import.meta.dirname, '../../main/cli/afterimage.mjs');
/** A guest starts in seconds; only a hang meets this, on a machine as busy as can be. */
const PATIENCE_MILLISECONDS = 30_000;

export interface BrowserHost {
  /** With its token. */
  readonly address: string;
  /** Our command line over the same library, by other processes. Fulfilled with what it prints. */
  command(...arguments_: string[]): Promise<string>;
  /** Machines are suspended. */
  end(): Promise<void>;
}

export async function startBrowserHost(library: string): Promise<BrowserHost> {
  // The host serves what was built last, whatever has changed since then.
  await buildPages();
  const host = spawn(process.execPath, [COMMAND, 'serve', '--library', library, '--port', '0', '--no-open'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    return {
      address: await addressOf(host),
      command: (...arguments_) => run([...arguments_, '--library', library]),
      end: () => end(host),
    };
  } catch (error) {
    await end(host);
    throw error;
  }
}

export interface PageLook {
  readonly theme?: 'light' | 'dark';
  readonly scale?: number;
}

/** A page of the app. What it throws or reports as an error goes to `problems`. */
export async function openPage(
  browser: Browser,
  address: string,
  problems: string[],
  { theme = 'light', scale = 1 }: PageLook = {},
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: theme,
    deviceScaleFactor: scale,
  });
  // Terminals then draw with elements, whose text can be read; what they do without a graphics card is tested as well.
  await context.addInitScript(() => {
    const original = HTMLCanvasElement.prototype.getContext as (kind: string, ...rest: unknown[]) => unknown;
    HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string, ...rest: unknown[]) {
      return kind.startsWith('webgl') ? null : original.call(this, kind, ...rest);
    } as typeof HTMLCanvasElement.prototype.getContext;
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MILLISECONDS);
  page.on('pageerror', error => problems.push(String(error)));
  page.on('console', message => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.goto(address);
  await page.locator('h1, h2').first().waitFor();
  return page;
}

/** What the console shows. */
export const consoleText = (page: Page) => page.locator('.xterm-rows').innerText();

/** Until the console's last line is the shell's prompt. */
export async function atPrompt(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const rows = document.querySelector<HTMLElement>('.xterm-rows');
    const text = (rows?.innerText ?? '').replaceAll('\u00a0', ' ').trimEnd();
    return text.endsWith('root@afterimage:~#');
  });
}

/** Types a command at the console and waits for its end. Fulfilled with what it printed. */
export async function shell(page: Page, command: string): Promise<string> {
  // The screen of a restore is there before the machine takes what is typed.
  await page.locator('main header').getByText('Running', { exact: true }).waitFor();
  await atPrompt(page);
  await page.locator('.xterm').click();
  const mark = `end-${++commands}`;
  await page.keyboard.type(`clear; ${command}; echo ${mark.slice(0, 3)}'${mark.slice(3)}'\n`);
  await page.waitForFunction(
    wanted => document.querySelector<HTMLElement>('.xterm-rows')?.innerText.includes(wanted),
    mark,
  );
  await atPrompt(page);
  const text = (await consoleText(page)).replaceAll('\u00a0', ' ');
  return text.slice(0, text.indexOf(mark)).trim();
}

let commands = 0;

async function addressOf(host: ChildProcess): Promise<string> {
  let output = '';
  return await new Promise((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString('utf8');
      const found = /http:\/\/\S+/.exec(output);
      if (found !== null) resolve(found[0]);
    };
    host.stdout!.on('data', read);
    host.stderr!.on('data', read);
    host.on('exit', status => reject(new Error(`The browser host ended with ${status}: ${output}`)));
  });
}

/** Asked twice it leaves machines; those end with the command line's own means. */
async function end(host: ChildProcess): Promise<void> {
  if (host.exitCode !== null) return;
  const over = new Promise(resolve => host.once('exit', resolve));
  host.kill('SIGTERM');
  const late = setTimeout(() => host.kill('SIGKILL'), 60_000);
  await over;
  clearTimeout(late);
}

function run(arguments_: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [COMMAND, ...arguments_], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', chunk => {
    output += String(chunk);
  });
  child.stderr.on('data', chunk => {
    output += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.on('exit', status => (status === 0 ? resolve(output) : reject(new Error(output))));
  });
}
