// A window as a page of Debian's Chromium. Addresses of the app's scheme are those of a host that does not exist, whose
// requests the scheme's handler answers; all other requests meet what the session says of them, and then nothing.
import { readFileSync } from 'node:fs';
import type { BrowserContext, Page, Route } from 'playwright-core';
import { EventEmitter, preventable } from './emitter.ts';
import { pageScript } from './page-script.ts';
import type { StandIn } from './stand-in.ts';

const SCHEME = 'app://afterimage';
const WEB = 'https://afterimage.test';

const toWeb = (address: string) => (address.startsWith(SCHEME) ? WEB + address.slice(SCHEME.length) : address);
export const toApp = (address: string) => (address.startsWith(WEB) ? SCHEME + address.slice(WEB.length) : address);

export class StandInPort extends EventEmitter {
  readonly #send: (data: unknown) => void;
  readonly #close: () => void;

  constructor(send: (data: unknown) => void, close: () => void) {
    super();
    this.#send = send;
    this.#close = close;
  }

  postMessage(data: unknown): void {
    this.#send(data);
  }

  start(): void {}

  close(): void {
    this.#close();
    this.emit('close');
  }
}

export class StandInContents extends EventEmitter {
  readonly id: number;
  readonly #standIn: StandIn;
  readonly mainFrame: { readonly url: string; readonly parent: null };
  readonly dragged: { readonly file: string }[] = [];
  openHandler: ((details: { url: string }) => { action: string }) | undefined;
  page: Page | undefined;
  url = '';
  destroyed = false;
  /** Sent before there is a page; Electron drops it too. */
  readonly ports = new Map<number, StandInPort>();

  constructor(id: number, standIn: StandIn) {
    super();
    this.id = id;
    this.#standIn = standIn;
    const current = () => this.url;
    this.mainFrame = {
      parent: null,
      get url() {
        return current();
      },
    };
  }

  getURL(): string {
    return this.url;
  }

  isDestroyed(): boolean {
    return this.destroyed;
  }

  setWindowOpenHandler(handler: (details: { url: string }) => { action: string }): void {
    this.openHandler = handler;
  }

  send(channel: string, ...given: unknown[]): void {
    void this.dispatch('hear', channel, given);
  }

  startDrag(item: { readonly file: string }): void {
    this.dragged.push(item);
  }

  reload(): void {
    void this.page?.reload();
  }

  async dispatch(verb: 'hear' | 'port' | 'closePort', ...given: unknown[]): Promise<void> {
    await this.page
      ?.evaluate(
        ([name, values]) => {
          const hidden = (globalThis as never)[Symbol.for('stand-in')] as Record<string, (...all: unknown[]) => void>;
          hidden?.[name as string]?.(...(values as unknown[]));
        },
        [verb, given],
      )
      // A page that navigates or closes has nobody who would hear it.
      .catch(() => {});
  }

  trusted(): { sender: StandInContents; senderFrame: { readonly url: string; readonly parent: null } } {
    return { sender: this, senderFrame: this.mainFrame };
  }

  get standIn(): StandIn {
    return this.#standIn;
  }
}

export interface WindowOptions {
  readonly x?: number;
  readonly y?: number;
  readonly width?: number;
  readonly height?: number;
  readonly webPreferences?: Record<string, unknown> & { preload?: string; additionalArguments?: readonly string[] };
}

export class StandInWindow extends EventEmitter {
  readonly options: WindowOptions;
  readonly webContents: StandInContents;
  visible = false;
  maximized = false;
  #context: BrowserContext | undefined;

  constructor(standIn: StandIn, options: WindowOptions) {
    super();
    this.options = options;
    this.webContents = new StandInContents(standIn.nextContents(), standIn);
    standIn.windows.push(this);
    standIn.app.emit('web-contents-created', {}, this.webContents);
  }

  get page(): Page {
    const { page } = this.webContents;
    if (page === undefined) throw new Error('The window has loaded no page');
    return page;
  }

  async loadURL(address: string): Promise<void> {
    const contents = this.webContents;
    const { standIn } = contents;
    const { width = 1280, height = 800 } = this.options;
    this.#context ??= await standIn.browser.newContext({
      viewport: { width, height },
      colorScheme: standIn.colorScheme,
    });
    const page = await this.#context.newPage();
    contents.page = page;
    await this.#connect(page);
    contents.url = address;
    await page.goto(toWeb(address), { waitUntil: 'load' });
    this.emit('ready-to-show');
    contents.emit('did-finish-load');
  }

  isMinimized(): boolean {
    return false;
  }

  restore(): void {}

  show(): void {
    this.visible = true;
  }

  focus(): void {
    this.emit('focus');
  }

  maximize(): void {
    this.maximized = true;
  }

  isMaximized(): boolean {
    return this.maximized;
  }

  getNormalBounds() {
    const { x = 0, y = 0, width = 1280, height = 800 } = this.options;
    return { x, y, width, height };
  }

  async close(): Promise<void> {
    const event = preventable();
    this.emit('close', event);
    if (event.defaultPrevented) return;
    this.webContents.destroyed = true;
    await this.#context?.close();
    const { standIn } = this.webContents;
    standIn.windows.splice(standIn.windows.indexOf(this), 1);
    this.emit('closed');
    if (standIn.windows.length === 0) standIn.app.emit('window-all-closed');
  }

  async #connect(page: Page): Promise<void> {
    const contents = this.webContents;
    const { standIn } = contents;
    await page.exposeFunction('standInInvoke', async (channel: string, given: readonly unknown[]) => {
      return await standIn.ipcMain.answer(channel, contents.trusted(), given);
    });
    await page.exposeFunction('standInPost', (kind: string, ...given: unknown[]) => this.#posted(kind, given));
    const { preload, additionalArguments = [] } = this.options.webPreferences ?? {};
    if (preload !== undefined) {
      await page.addInitScript(pageScript({ preload: readFileSync(preload, 'utf8'), arguments_: additionalArguments }));
    }
    await page.route('**/*', route => this.#route(route));
    page.on('framenavigated', frame => {
      if (frame !== page.mainFrame()) return;
      contents.url = toApp(frame.url());
    });
    page.on('popup', popup => {
      const answer = contents.openHandler?.({ url: toApp(popup.url()) }) ?? { action: 'allow' };
      standIn.popups.push({ url: popup.url(), action: answer.action });
      if (answer.action === 'deny') void popup.close();
    });
    page.on('crash', () => contents.emit('render-process-gone', {}, { reason: 'crashed' }));
  }

  #posted(kind: string, given: readonly unknown[]): void {
    const contents = this.webContents;
    if (kind === 'port') {
      contents.ports.get(given[0] as number)?.emit('message', { data: given[1] });
      return;
    }
    const [channel, message, numbers] = given as [string, unknown, readonly number[]];
    const ports = numbers.map(number => {
      const port = new StandInPort(
        data => void contents.dispatch('port', number, data),
        () => void contents.dispatch('closePort', number),
      );
      contents.ports.set(number, port);
      return port;
    });
    contents.standIn.ipcMain.emit(channel, { ...contents.trusted(), ports }, message);
  }

  async #route(route: Route): Promise<void> {
    const request = route.request();
    const address = toApp(request.url());
    const contents = this.webContents;
    const { standIn } = contents;
    standIn.requests.push(address);
    if (request.isNavigationRequest() && contents.url !== '' && address.split('#')[0] !== contents.url.split('#')[0]) {
      const event = preventable({ url: address });
      contents.emit('will-navigate', event, address);
      if (event.defaultPrevented) return await route.abort('aborted');
    }
    if (standIn.session.isCancelled(address)) return await route.abort('blockedbyclient');
    const response = address.startsWith(`${SCHEME}/`)
      ? await standIn.answerScheme(request.method(), address)
      : undefined;
    if (response === undefined) return await route.abort('namenotresolved');
    await route.fulfill({
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: Buffer.from(await response.arrayBuffer()),
    });
  }
}
