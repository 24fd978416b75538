// The browser's bridge in a real browser, against the real server with machines that only pretend.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { App } from '../../main/ipc/app.ts';
import { FakeMachines } from '../../main/ipc/fake-machines.ts';
import { FakePlatform } from '../../main/ipc/fake-platform.ts';
import { PageFiles } from '../../main/ipc/page-files.ts';
import { BRIDGE_FILE, buildPages } from '../../main/serve/build-pages.ts';
import { BrowserServer } from '../../main/serve/server.ts';
import { launchBrowser } from '../renderer/harness/browser.ts';

let browser: Browser;
let folder: string;
let machines: FakeMachines;
let app: App;
let server: BrowserServer;
let page: Page;

beforeAll(async () => {
  await buildPages();
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
});

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'afterimage-bridge-'));
  await mkdir(path.join(folder, 'pages'));
  await writeFile(path.join(folder, 'pages/index.html'), '<!doctype html><title>A</title><body></body>');
  machines = new FakeMachines();
  const platform = new FakePlatform().platform(folder, { host: 'browser' });
  app = await App.open({ platform, machines, version: '1', now: () => 0, log: () => {} });
  server = await listen(0);
  const context = await browser.newContext({ acceptDownloads: true });
  page = await context.newPage();
});

afterEach(async () => {
  await page.context().close();
  await server.close();
  await app.close();
  await rm(folder, { recursive: true, force: true });
});

const KEY = new Uint8Array(32).fill(1);

async function listen(port: number, key: Uint8Array = KEY): Promise<BrowserServer> {
  const pages = await PageFiles.read(path.join(folder, 'pages'));
  const bridge = await readFile(BRIDGE_FILE);
  const uploadFolder = path.join(folder, 'temporary/uploads');
  return await BrowserServer.listen(
    { app, pages, bridge, uploadFolder, uploads: { largest: 1e9, atOnce: 4 }, otherHosts: [], key },
    port,
  );
}

const call = (name: string, arguments_: unknown = {}) =>
  page.evaluate(([called, given]) => afterimage.call(called as string, given), [name, arguments_] as const);

test('the token leaves the address at once, and a reload works without it', async () => {
  await page.goto(server.address);
  expect(await call('settings')).toMatchObject({ ok: true });
  expect(page.url()).toMatch(/\/#\/$/);
  await page.reload();
  expect(await call('settings')).toMatchObject({ ok: true });
  expect(await page.evaluate(() => (globalThis as unknown as { document: { cookie: string } }).document.cookie)).toBe(
    '',
  );
});

test('without the token every question is answered with what to do', async () => {
  await page.goto(new URL('/', server.address).href);
  expect(await call('library')).toMatchObject({
    ok: false,
    error: { kind: 'denied', message: expect.stringContaining('address') },
  });
});

test('bytes in answers and events arrive as bytes', async () => {
  await page.goto(server.address);
  const machine = machines.add('Debian', 'running');
  const pages = await page.evaluate(async id => {
    const answer = await afterimage.call('machine-call', { machine: id, name: 'memory', arguments: {} });
    const { pages } = (answer as { result: { pages: Uint8Array } }).result;
    return [pages instanceof Uint8Array, ...pages];
  }, machine);
  expect(pages).toEqual([true, 0, 1, 2]);
});

test('a console takes a large paste whole and in order, with waiting', async () => {
  await page.goto(server.address);
  const machine = machines.add('Debian', 'running');
  const result = await page.evaluate(async id => {
    const port = await afterimage.console(id);
    const wanted = new Uint8Array(1_000_000).map((_, index) => (index * 7) % 251);
    const got = new Uint8Array(wanted.length);
    let at = 0;
    const done = new Promise<void>(resolve => {
      port.onOutput(bytes => {
        got.set(bytes, at);
        at += bytes.length;
        port.taken(bytes.length);
        if (at === wanted.length) resolve();
      });
    });
    const states: string[] = [];
    port.onState(state => states.push(state));
    await port.write(wanted);
    await done;
    port.close();
    return { same: wanted.every((byte, index) => byte === got[index]), states };
  }, machine);
  expect(result).toEqual({ same: true, states: ['running'] });
});

test('a lost connection is told, comes back, and consoles go on', async () => {
  await page.goto(server.address);
  const machine = machines.add('Debian', 'running');
  await page.evaluate(async id => {
    const scope = globalThis as unknown as { seen: string[]; port: PortLike };
    scope.seen = [];
    afterimage.onEvent(event => {
      const { event: name, state } = event as { event: string; state?: string };
      if (name === 'connection') scope.seen.push(state ?? '');
    });
    scope.port = await afterimage.console(id);
    scope.port.onOutput(bytes => {
      scope.seen.push(new TextDecoder().decode(bytes));
      scope.port.taken(bytes.length);
    });
  }, machine);
  const seen = () => page.evaluate(() => (globalThis as unknown as { seen: string[] }).seen);
  await page.context().setOffline(true);
  server.dropPages();
  await expect.poll(seen).toEqual(['lost']);
  await page.context().setOffline(false);
  await expect.poll(seen, { timeout: 20_000 }).toEqual(['lost', 'back']);
  machines.print(machine, 'still there');
  await expect.poll(seen).toEqual(['lost', 'back', 'still there']);
});

/** What a page is told of its connection, from now on. */
async function heard(): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const scope = globalThis as unknown as { seen: string[] };
    scope.seen = [];
    afterimage.onEvent(event => {
      const { event: name, state } = event as { event: string; state?: string };
      if (name === 'connection') scope.seen.push(state ?? '');
    });
  });
  return () => page.evaluate(() => (globalThis as unknown as { seen: string[] }).seen);
}

async function restartHost(key: Uint8Array): Promise<void> {
  const { port } = new URL(server.address);
  await server.close();
  server = await listen(Number(port), key);
}

test('a host that was started anew lets in the pages of the one before, and again after that', async () => {
  const first = server.address;
  await page.goto(first);
  expect(await call('settings')).toMatchObject({ ok: true });
  const seen = await heard();
  await restartHost(KEY);
  await expect.poll(seen, { timeout: 20_000 }).toEqual(['lost', 'back']);
  expect(await call('settings')).toMatchObject({ ok: true });
  await restartHost(KEY);
  // The address of the first run is of no use to anybody else, but to this browser it is as good as any.
  await page.goto('about:blank');
  await page.goto(first);
  expect(await call('settings')).toMatchObject({ ok: true });
  expect(page.url()).toMatch(/\/#\/$/);
});

test('a host that was told to forget pages says so to them', async () => {
  await page.goto(server.address);
  expect(await call('settings')).toMatchObject({ ok: true });
  const seen = await heard();
  await restartHost(new Uint8Array(32).fill(7));
  await expect.poll(seen, { timeout: 20_000 }).toEqual(['lost', 'refused']);
  expect(await call('library')).toMatchObject({ ok: false, error: { kind: 'denied' } });
});

test('files are chosen, sent with progress, and known by token', async () => {
  await page.goto(server.address);
  const disk = path.join(folder, 'disk.qcow2');
  await writeFile(disk, Buffer.alloc(300_000, 'x'));
  page.on('filechooser', chooser => void chooser.setFiles(disk));
  const answer = await page.evaluate(async () => {
    const progress: number[] = [];
    const chosen = await afterimage.chooseFile('disk', done => progress.push(done));
    return { chosen, last: progress.at(-1) };
  });
  expect(answer).toMatchObject({
    chosen: { ok: true, result: { name: 'disk.qcow2', bytes: 300_000, kind: 'qcow2' } },
    last: 300_000,
  });
});

test('an export is a download under the checkpoint’s name', async () => {
  await page.goto(server.address);
  const machine = machines.add('Debian', 'running');
  const { id } = await machines.call(machine, 'checkpoint', { name: 'before' });
  const [download] = await Promise.all([page.waitForEvent('download'), call('export-checkpoint', { machine, id })]);
  expect(download.suggestedFilename()).toBe('Debian - before.afterimage-checkpoint');
  expect(await readFile(await download.path(), 'utf8')).toBe('a checkpoint');
});

test('an address is opened without a way back, and only https', async () => {
  await page.goto(server.address);
  await page.context().route('https://a.example/**', route => route.fulfill({ body: 'x' }));
  page.on('dialog', dialog => void dialog.accept());
  const [popup] = await Promise.all([
    page.context().waitForEvent('page'),
    call('open-external', { url: 'https://a.example/x' }),
  ]);
  expect(await popup.evaluate(() => (globalThis as unknown as { opener: unknown }).opener)).toBeNull();
  expect(await call('open-external', { url: 'http://a.example/' })).toMatchObject({ result: { opened: false } });
});

/** Of the page's world, where these functions run. */
declare const afterimage: BridgeLike;

interface PortLike {
  onOutput(listener: (bytes: Uint8Array) => void): void;
  onState(listener: (state: string) => void): void;
  taken(count: number): void;
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

interface BridgeLike {
  call(name: string, arguments_: unknown): Promise<unknown>;
  onEvent(listener: (event: unknown) => void): void;
  console(machine: string): Promise<PortLike>;
  chooseFile(purpose: string, progress: (done: number) => void): Promise<unknown>;
}
