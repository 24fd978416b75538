// Electron for tests, on a computer without its program: windows are pages of Chromium, utility processes are child
// processes, and everything that only shows something remembers it. The app's main and preload code runs unchanged.
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import type { ElectronModule } from '../../../main/app/electron.ts';
import { EventEmitter, preventable } from './emitter.ts';
import { StandInWindow, type WindowOptions } from './window.ts';

type Handler = (event: object, ...given: unknown[]) => unknown;

export interface RecordedItem {
  readonly label?: string;
  readonly role?: string;
  readonly accelerator?: string;
  readonly enabled?: boolean;
  readonly click?: () => void;
  readonly submenu?: readonly RecordedItem[];
}

class StandInIpc extends EventEmitter {
  readonly handlers = new Map<string, Handler>();

  handle(channel: string, handler: Handler): void {
    this.handlers.set(channel, handler);
  }

  async answer(channel: string, event: object, given: readonly unknown[]): Promise<unknown> {
    const handler = this.handlers.get(channel);
    if (handler === undefined) throw new Error(`No handler for '${channel}'`);
    // Both sides see copies, of what can be cloned only.
    return structuredClone(await handler(event, ...structuredClone(given)));
  }
}

class StandInSession extends EventEmitter {
  request: ((contents: object | null, permission: string, answer: (granted: boolean) => void) => void) | undefined;
  check: ((contents: object | null, permission: string, origin: string) => boolean) | undefined;
  device: (() => boolean) | undefined;
  #filter: ((details: { url: string }, answer: (result: { cancel?: boolean }) => void) => void) | undefined;

  readonly webRequest = {
    onBeforeRequest: (filter: (details: { url: string }, answer: (result: { cancel?: boolean }) => void) => void) => {
      this.#filter = filter;
    },
  };

  setPermissionRequestHandler(handler: StandInSession['request']): void {
    this.request = handler;
  }

  setPermissionCheckHandler(handler: StandInSession['check']): void {
    this.check = handler;
  }

  setDevicePermissionHandler(handler: StandInSession['device']): void {
    this.device = handler;
  }

  isCancelled(url: string): boolean {
    let cancelled = false;
    this.#filter?.({ url }, ({ cancel }) => {
      cancelled = cancel === true;
    });
    return cancelled;
  }
}

class StandInApp extends EventEmitter {
  isPackaged = true;
  sandboxed = false;
  readonly paths = new Map<string, string>();
  ended = false;
  /** Another instance is there already. */
  isSecond = false;
  readonly #folder: string;

  constructor(folder: string) {
    super();
    this.#folder = folder;
  }

  requestSingleInstanceLock(): boolean {
    return !this.isSecond;
  }

  async whenReady(): Promise<void> {}

  enableSandbox(): void {
    this.sandboxed = true;
  }

  setAppUserModelId(): void {}

  setPath(name: string, folder: string): void {
    // As Electron, which wants it to be there.
    if (!existsSync(folder)) throw new Error(`There is no ${folder}`);
    this.paths.set(name, folder);
  }

  getPath(): string {
    return this.#folder;
  }

  quit(): void {
    if (this.ended) return;
    const event = preventable();
    this.emit('before-quit', event);
    if (event.defaultPrevented) return;
    this.ended = true;
    this.emit('quit');
  }

  exit(): void {
    this.ended = true;
  }
}

export class StandIn {
  readonly browser: Browser;
  readonly app: StandInApp;
  readonly ipcMain = new StandInIpc();
  readonly session = new StandInSession();
  readonly powerMonitor = new EventEmitter();
  readonly windows: StandInWindow[] = [];
  readonly trays: { menu: readonly RecordedItem[]; emitter: EventEmitter; icon: string }[] = [];
  readonly notifications: { title: string; body: string; click(): void }[] = [];
  readonly shortcuts = new Map<string, () => void>();
  readonly opened: string[] = [];
  readonly revealed: string[] = [];
  readonly trashed: string[] = [];
  readonly questions: { message: string; detail: string; buttons: string[] }[] = [];
  readonly popups: { url: string; action: string }[] = [];
  /** Every address that any page asked for. */
  readonly requests: string[] = [];
  readonly children: number[] = [];
  readonly privileges: unknown[] = [];
  menu: readonly RecordedItem[] = [];
  colorScheme: 'light' | 'dark' = 'light';
  /** What the next dialogs are answered with. */
  answer = 0;
  openPath: string | undefined;
  savePath: string | undefined;
  canTrash = true;
  #scheme: ((request: { method: string; url: string }) => Response | Promise<Response>) | undefined;
  #contents = 0;

  constructor(browser: Browser, folder: string) {
    this.browser = browser;
    this.app = new StandInApp(folder);
  }

  nextContents(): number {
    this.#contents += 1;
    return this.#contents;
  }

  async answerScheme(method: string, url: string): Promise<Response> {
    return (await this.#scheme?.({ method, url })) ?? new Response(null, { status: 404 });
  }

  /** A menu's item by the labels that lead to it. */
  item(menu: readonly RecordedItem[], ...labels: readonly string[]): RecordedItem {
    const [label, ...rest] = labels;
    const found = menu.find(item => item.label === label);
    if (found === undefined) throw new Error(`No '${label}' among ${menu.map(item => item.label).join(', ')}`);
    return rest.length === 0 ? found : this.item(found.submenu ?? [], ...rest);
  }

  get trayMenu(): readonly RecordedItem[] {
    return this.trays[0]?.menu ?? [];
  }

  async close(): Promise<void> {
    for (const window of [...this.windows]) await window.close();
  }

  /** What the app gets as its `electron`. */
  module(): ElectronModule {
    const standIn = this;
    const { app, ipcMain, powerMonitor, session } = this;
    const module = {
      app,
      ipcMain,
      powerMonitor,
      session: { defaultSession: session },
      BrowserWindow: Object.assign(
        function Window(options: WindowOptions) {
          return new StandInWindow(standIn, options);
        },
        { getAllWindows: () => standIn.windows },
      ),
      Menu: {
        buildFromTemplate: (template: readonly RecordedItem[]) => template,
        setApplicationMenu: (menu: readonly RecordedItem[]) => {
          standIn.menu = menu;
        },
      },
      Tray: function Tray(icon: string) {
        const tray = { menu: [] as readonly RecordedItem[], emitter: new EventEmitter(), icon };
        standIn.trays.push(tray);
        return {
          setToolTip: () => {},
          on: (name: string, listener: () => void) => tray.emitter.on(name, listener),
          setContextMenu: (menu: readonly RecordedItem[]) => {
            tray.menu = menu;
          },
        };
      },
      Notification: function Notification({ title, body }: { title: string; body: string }) {
        const emitter = new EventEmitter();
        return {
          on: (name: string, listener: () => void) => emitter.on(name, listener),
          show: () => standIn.notifications.push({ title, body, click: () => emitter.emit('click') }),
        };
      },
      dialog: {
        showOpenDialog: async () => ({
          canceled: standIn.openPath === undefined,
          filePaths: standIn.openPath === undefined ? [] : [standIn.openPath],
        }),
        showSaveDialog: async () => ({ canceled: standIn.savePath === undefined, filePath: standIn.savePath ?? '' }),
        showMessageBox: async (...given: unknown[]) => {
          standIn.questions.push(given.at(-1) as { message: string; detail: string; buttons: string[] });
          return { response: standIn.answer };
        },
      },
      globalShortcut: {
        register: (accelerator: string, action: () => void) => {
          standIn.shortcuts.set(accelerator, action);
          return true;
        },
        unregister: (accelerator: string) => standIn.shortcuts.delete(accelerator),
      },
      nativeImage: { createFromPath: (file: string) => ({ file }) },
      nativeTheme: { themeSource: 'system', shouldUseDarkColors: false },
      screen: { getAllDisplays: () => [{ workArea: { x: 0, y: 0, width: 1920, height: 1080 } }] },
      shell: {
        openExternal: async (url: string) => void standIn.opened.push(url),
        showItemInFolder: (item: string) => void standIn.revealed.push(item),
        trashItem: async (item: string) => {
          if (!standIn.canTrash) throw new Error('no trash');
          await rename(item, `${item}.in-the-trash`);
          standIn.trashed.push(item);
        },
      },
      protocol: {
        registerSchemesAsPrivileged: (schemes: readonly unknown[]) => void standIn.privileges.push(...schemes),
        handle: (_scheme: string, handler: (request: { method: string; url: string }) => Response) => {
          standIn.#scheme = handler;
        },
      },
      utilityProcess: { fork: (entry: string, given: readonly string[]) => standIn.#fork(entry, given) },
    };
    return module as unknown as ElectronModule;
  }

  /** A child process whose channel looks like Electron's to it. */
  #fork(entry: string, given: readonly string[]) {
    const parentPort = pathToFileURL(path.join(import.meta.dirname, 'parent-port.ts')).href;
    const child = fork(entry, given, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: ['--import', parentPort],
    });
    if (child.pid !== undefined) this.children.push(child.pid);
    const emitter = new EventEmitter();
    child.on('message', message => emitter.emit('message', message));
    // As `waitpid` has it: the status in the upper byte, the signal in the lower.
    child.on('close', (code, signal) => emitter.emit('exit', signal === 'SIGKILL' ? 9 : (code ?? 15)));
    return Object.assign(emitter, {
      pid: child.pid,
      stderr: child.stderr,
      postMessage: (message: object) => void (child.connected && child.send({ standIn: message }, () => {})),
      kill: () => child.kill('SIGTERM'),
    });
  }
}
