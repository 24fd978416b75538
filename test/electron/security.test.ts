// Electron's security guide, point by point, against the app's own main and preload code: settings are read as Electron
// gets them, and each escape is tried from inside a page.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CONTENT_SECURITY_POLICY } from '../../main/ipc/page-policy.ts';
import { CHANNELS } from '../../preload/contract/channels.ts';
import { chromiumForTests, type RunningApp, runApp } from './running-app.ts';

let browser: Browser;
let running: RunningApp;

beforeAll(async () => {
  browser = await chromiumForTests();
  running = await runApp(browser);
});

afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await browser?.close();
});

beforeEach(() => {
  running.standIn.requests.length = 0;
  running.standIn.popups.length = 0;
});

const inPage = <Result>(script: () => Result | Promise<Result>) => running.window.page.evaluate(script);
/** Asked for by a page, and whether it got there. */
const asked = (part: string) => running.standIn.requests.filter(address => address.includes(part));

describe('what a window is made with', () => {
  test('no Node, isolated, sandboxed, with the web’s own rules', () => {
    expect(running.standIn.app.sandboxed).toBe(true);
    expect(running.window.options.webPreferences).toMatchObject({
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      experimentalFeatures: false,
      webviewTag: false,
      navigateOnDragDrop: false,
      devTools: false,
    });
    expect(running.window.options.webPreferences).not.toHaveProperty('enableBlinkFeatures');
  });

  test('the page is under our own scheme, which is standard and secure and can do nothing more', () => {
    expect(running.window.webContents.getURL()).toMatch(/^app:\/\/afterimage\//);
    expect(running.standIn.privileges).toEqual([
      { scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true } },
    ]);
  });

  test('the preload script needs nothing but Electron', () => {
    const preload = readFileSync(running.window.options.webPreferences?.preload ?? '', 'utf8');
    const required = [...preload.matchAll(/require\(([^)]*)\)/g)].map(match => match[1]);
    expect(required.every(name => /^["'`]electron["'`]$/.test(name ?? ''))).toBe(true);
    expect(required.length).toBeGreaterThan(0);
  });
});

test('a page sees verbs, and nothing of Node or Electron', async () => {
  const seen = await inPage(() => {
    const scope = globalThis as unknown as Record<string, unknown>;
    const names = ['require', 'process', 'module', 'Buffer', 'global', 'ipcRenderer', 'electron', '__dirname'];
    const { afterimage } = scope as { afterimage: Record<string, unknown> };
    try {
      (afterimage as { call: unknown }).call = () => 'mine';
    } catch {
      // Strict code throws.
    }
    return {
      there: names.filter(name => scope[name] !== undefined),
      verbs: Object.keys(afterimage).sort(),
      frozen: Object.isFrozen(afterimage),
      source: String(afterimage.call).includes('mine'),
    };
  });
  expect(seen).toEqual({
    there: [],
    verbs: ['call', 'chooseFile', 'console', 'downloadUrl', 'droppedFile', 'onEvent', 'platform'],
    frozen: true,
    source: false,
  });
});

describe('content', () => {
  test('scripts other than the page’s own do not run', async () => {
    const ran = await inPage(async () => {
      const scope = globalThis as unknown as Record<string, unknown> & { document: never };
      const { document } = scope as unknown as { document: DocumentLike };
      // What the test's own driver runs at once is not under the page's policy.
      await new Promise(resolve => setTimeout(resolve));
      const attempt = (make: () => void) => {
        try {
          make();
        } catch {
          // Refused.
        }
      };
      attempt(() => {
        scope.byEval = (scope.eval as (text: string) => unknown)('1');
      });
      attempt(() => {
        scope.byFunction = new Function('return 1')();
      });
      attempt(() => {
        const inline = document.createElement('script');
        inline.textContent = 'globalThis.byInline = 1';
        document.body.append(inline);
      });
      for (const source of ['https://evil.example/a.js', 'data:text/javascript,globalThis.byData=1']) {
        attempt(() => {
          const script = document.createElement('script');
          script.src = source;
          document.body.append(script);
        });
      }
      attempt(() => {
        const image = document.createElement('div');
        image.innerHTML = '<img src="x" onerror="globalThis.byHandler = 1">';
        document.body.append(image);
      });
      attempt(() => {
        const link = document.createElement('a');
        link.href = 'javascript:globalThis.byLink = 1';
        document.body.append(link);
        link.click();
      });
      await new Promise(resolve => setTimeout(resolve, 200));
      return Object.keys(scope).filter(name => name.startsWith('by'));
    });
    expect(ran).toEqual([]);
    expect(asked('evil.example')).toEqual([]);
  });

  test('styles other than the page’s own are not applied, and nothing made of text is shown or run', async () => {
    const got = await inPage(async () => {
      const scope = globalThis as unknown as StyledScope;
      const { document } = scope;
      await new Promise(resolve => setTimeout(resolve));
      const element = document.createElement('p');
      element.className = 'smuggled';
      element.setAttribute('style', 'letter-spacing: 7px');
      // A real one: terminals get a stand-in of `createElement`.
      const style = scope.Document.prototype.createElement.call(document, 'style');
      style.textContent = '.smuggled { word-spacing: 7px }';
      document.body.append(element, style);
      const { letterSpacing, wordSpacing } = scope.getComputedStyle(element);
      const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
      const loads = async (source: string) => {
        const image = new scope.Image();
        const over = new Promise(resolve => {
          image.onload = () => resolve('shown');
          image.onerror = () => resolve('refused');
        });
        image.src = source;
        return await over;
      };
      const bytes = Uint8Array.from(atob(pixel), letter => letter.charCodeAt(0));
      const blob = scope.URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
      const images = [await loads(`data:image/png;base64,${pixel}`), await loads(blob)];
      return { letterSpacing, wordSpacing, images };
    });
    expect(got).toEqual({ letterSpacing: 'normal', wordSpacing: '0px', images: ['refused', 'refused'] });
  });

  test('nothing is fetched from anywhere', async () => {
    const got = await inPage(async () => {
      const addresses = ['https://evil.example/', 'http://127.0.0.1:1/', 'file:///etc/passwd', 'app://other/x'];
      const results = await Promise.allSettled(addresses.map(address => fetch(address)));
      return results.map(({ status }) => status);
    });
    expect(got).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    expect(asked('evil.example')).toEqual([]);
  });

  test('the session stops what the policy would have let through', () => {
    for (const address of [
      'https://evil.example/',
      'http://127.0.0.1/',
      'file:///etc/passwd',
      'ws://127.0.0.1:7428/socket',
      'app://afterimage.evil.example/',
      'app://afterimage@evil.example/',
      'app://user@afterimage/',
      'data:text/html,x',
    ]) {
      expect(running.standIn.session.isCancelled(address), address).toBe(true);
    }
    for (const address of ['app://afterimage/', 'app://afterimage/assets/x.js']) {
      expect(running.standIn.session.isCancelled(address), address).toBe(false);
    }
  });

  test('our scheme has the built pages and no other file of the host', async () => {
    const answer = async (address: string, method = 'GET') =>
      (await running.standIn.answerScheme(method, address)).status;
    expect(await answer('app://afterimage/')).toBe(200);
    for (const address of [
      'app://afterimage/../package.json',
      'app://afterimage/%2e%2e/package.json',
      'app://afterimage/..%2f..%2fpackage.json',
      'app://afterimage//etc/passwd',
      'app://other/',
    ]) {
      expect(await answer(address), address).toBe(404);
    }
    expect(await answer('app://afterimage/', 'POST')).toBe(404);
    const { headers } = await running.standIn.answerScheme('GET', 'app://afterimage/');
    expect(headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY);
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
  });

  test('a name is text, whatever is in it', async () => {
    const name = '<img src=name onerror="globalThis.byName=1"><b>bold</b>';
    const made = await running.call('create-machine', {
      name,
      memory: 256 * 1024 * 1024,
      boot: { kind: 'guest' },
      disks: [],
    });
    expect(made).toMatchObject({ ok: true });
    const { page } = running.window;
    await page.getByText(name, { exact: true }).first().waitFor();
    expect(await page.locator('img[src="name"]').count()).toBe(0);
    expect(await inPage(() => (globalThis as { byName?: number }).byName)).toBeUndefined();
  });
});

describe('leaving', () => {
  test('no navigation leads away', async () => {
    const before = running.window.page.url();
    await inPage(() => {
      const { document, location } = globalThis as unknown as { document: DocumentLike; location: { href: string } };
      const link = document.createElement('a');
      link.href = 'https://evil.example/link';
      document.body.append(link);
      link.click();
      location.href = 'https://evil.example/location';
    });
    await expect.poll(() => asked('evil.example').length).toBeGreaterThan(0);
    expect(running.window.page.url()).toBe(before);
    expect(await inPage(() => typeof (globalThis as { afterimage?: object }).afterimage)).toBe('object');
  });

  test('a form cannot be sent', async () => {
    running.standIn.requests.length = 0;
    await inPage(() => {
      const { document } = globalThis as unknown as { document: DocumentLike };
      const form = document.createElement('form');
      Object.assign(form, { action: 'https://evil.example/form', method: 'post' });
      document.body.append(form);
      form.submit?.();
    });
    expect(await inPage(() => typeof (globalThis as { afterimage?: object }).afterimage)).toBe('object');
    expect(asked('evil.example/form')).toEqual([]);
  });

  test('no window opens, and no webview is attached', async () => {
    await inPage(() => {
      const { open } = globalThis as unknown as { open(address: string, target: string): void };
      open('https://evil.example/', '_blank');
    });
    await expect.poll(() => running.standIn.popups.length).toBe(1);
    expect(running.standIn.popups[0]?.action).toBe('deny');
    expect(running.window.webContents.openHandler?.({ url: 'app://afterimage/' })).toEqual({ action: 'deny' });
    const event = { prevented: false, preventDefault: () => Object.assign(event, { prevented: true }) };
    running.window.webContents.emit('will-attach-webview', event, {}, {});
    expect(event.prevented).toBe(true);
  });

  test('an address is opened outside only when it is https and the user says so', async () => {
    running.standIn.answer = 1;
    expect(await running.call('open-external', { url: 'https://a.example/' })).toMatchObject({
      result: { opened: false },
    });
    for (const url of ['http://a.example/', 'file:///etc/passwd', 'javascript:1', 'ms-settings:', 'smb://a/b']) {
      expect(await running.call('open-external', { url }), url).toMatchObject({ ok: false });
    }
    expect(running.standIn.opened).toEqual([]);
    running.standIn.answer = 0;
    expect(await running.call('open-external', { url: 'https://a.example/' })).toMatchObject({
      result: { opened: true },
    });
    expect(running.standIn.opened).toEqual(['https://a.example/']);
  });
});

test('every permission is denied but putting text into the clipboard', () => {
  const { session } = running.standIn;
  const contents = running.window.webContents;
  const permissions = [
    'media',
    'geolocation',
    'notifications',
    'midi',
    'midiSysex',
    'pointerLock',
    'fullscreen',
    'openExternal',
    'window-management',
    'clipboard-read',
    'display-capture',
    'mediaKeySystem',
    'idle-detection',
    'storage-access',
    'speaker-selection',
    'keyboardLock',
    'fileSystem',
    'hid',
    'serial',
    'usb',
    'unknown',
  ];
  for (const permission of permissions) {
    let granted = true;
    session.request?.(contents, permission, answer => {
      granted = answer;
    });
    expect(granted, permission).toBe(false);
    expect(session.check?.(contents, permission, 'app://afterimage'), permission).toBe(false);
  }
  expect(session.check?.(contents, 'clipboard-sanitized-write', 'app://afterimage')).toBe(true);
  expect(session.check?.(contents, 'clipboard-sanitized-write', 'https://evil.example')).toBe(false);
  expect(session.device?.()).toBe(false);
  const event = { prevented: false, preventDefault: () => Object.assign(event, { prevented: true }) };
  session.emit('will-download', event, {});
  expect(event.prevented).toBe(true);
  // Of devices in reach none is taken.
  let device: string | undefined;
  const asking = { prevented: false, preventDefault: () => Object.assign(asking, { prevented: true }) };
  contents.emit('select-bluetooth-device', asking, [{ deviceId: 'x' }], (chosen: string) => {
    device = chosen;
  });
  expect([asking.prevented, device]).toEqual([true, '']);
});

describe('who may ask', () => {
  const own = () => running.window.webContents.trusted();
  const denied = { ok: false, error: { kind: 'denied' } };

  test('frames, other pages and other windows are not answered', async () => {
    const { ipcMain } = running.standIn;
    const { sender } = own();
    for (const [what, event] of [
      ['a frame in our page', { sender, senderFrame: { url: 'app://afterimage/', parent: sender.mainFrame } }],
      ['no frame any more', { sender, senderFrame: null }],
      ['another page in our window', frameAt('https://evil.example/')],
      ['a page of a similar name', frameAt('app://afterimage.evil.example/')],
      ['a file', frameAt('file:///etc/passwd')],
      [
        'a window that is not ours',
        { ...frameAt('app://afterimage/'), sender: { ...frameAt('app://afterimage/').sender, id: 999 } },
      ],
    ] as const) {
      for (const channel of [CHANNELS.call, CHANNELS.chooseFile, CHANNELS.droppedFile]) {
        expect(await ipcMain.answer(channel, event, ['library', {}]), `${what}: ${channel}`).toMatchObject(denied);
      }
      let closed = false;
      const port = {
        close: () => {
          closed = true;
        },
        on: () => {},
        start: () => {},
        postMessage: () => {},
      };
      ipcMain.emit(CHANNELS.console, { ...event, ports: [port] }, '0'.repeat(32));
      expect(closed, what).toBe(true);
    }
    expect(await ipcMain.answer(CHANNELS.call, own(), ['library', {}])).toMatchObject({ ok: true });
  });

  /** As if our window had gone there. */
  function frameAt(url: string) {
    const mainFrame = { url, parent: null };
    const sender = { id: running.window.webContents.id, mainFrame };
    return { sender, senderFrame: mainFrame };
  }

  test('what is asked is checked, however it was sent', async () => {
    for (const [name, arguments_] of [
      ['eval', {}],
      ['__proto__', {}],
      ['library', { extra: 1 }],
      ['library', null],
      ['delete-machine', { machine: '../../etc' }],
      ['preview-file', { file: '/etc/passwd' }],
      ['machine-call', { machine: '0'.repeat(32), name: 'export', arguments: { id: '0'.repeat(32), file: '/etc/x' } }],
    ] as const) {
      expect(await running.call(name, arguments_), name).toMatchObject({ ok: false, error: { kind: 'usage' } });
    }
  });

  test('files are known to a page by token only', async () => {
    const file = path.join(running.folder, 'secret-folder-disk.qcow2');
    await writeFile(file, 'QFI');
    running.standIn.openPath = file;
    const chosen = await inPage(() => {
      const { afterimage } = globalThis as unknown as { afterimage: { chooseFile(purpose: string): Promise<unknown> } };
      return afterimage.chooseFile('disk');
    });
    expect(chosen).toMatchObject({ ok: true, result: { name: 'secret-folder-disk.qcow2', kind: 'qcow2' } });
    expect(JSON.stringify(chosen)).not.toContain(running.folder);
    // A file that a script made has no path.
    const made = await inPage(() => {
      const { afterimage } = globalThis as unknown as { afterimage: { droppedFile(file: File): Promise<unknown> } };
      return afterimage.droppedFile(new File(['x'], '/etc/passwd'));
    });
    expect(made).toMatchObject({ ok: false, error: { kind: 'unsupported' } });
  });
});

interface DocumentLike {
  readonly body: { append(node: object): void };
  createElement(name: string): {
    textContent: string;
    innerHTML: string;
    src: string;
    href: string;
    click(): void;
    submit?(): void;
  };
}

interface StyledElement {
  className: string;
  textContent: string;
  setAttribute(name: string, value: string): void;
}

interface StyledScope {
  readonly document: { createElement(tag: string): StyledElement; body: { append(...elements: object[]): void } };
  readonly Document: { prototype: { createElement(tag: string): StyledElement } };
  readonly Image: new () => { onload(): void; onerror(): void; src: string };
  readonly URL: { createObjectURL(blob: Blob): string };
  getComputedStyle(element: object): { readonly letterSpacing: string; readonly wordSpacing: string };
}
