// The app's windows: a main one, and one for each console that was taken out of it.
import type { BrowserWindow, BrowserWindowConstructorOptions } from 'electron';
import type { PlatformFacts } from '../../preload/contract/afterimage.ts';
import type { JsonFile } from '../ipc/json-file.ts';
import { webPreferences } from './guards.ts';
import { ORIGIN } from './origin.ts';
import { type Rectangle, restoredState, SMALLEST } from './window-state.ts';

export interface WindowsParts {
  readonly create: (options: BrowserWindowConstructorOptions) => BrowserWindow;
  /** Work areas of all screens. */
  readonly screens: () => readonly Rectangle[];
  readonly state: JsonFile;
  readonly preload: string;
  readonly icon: string;
  readonly facts: PlatformFacts;
  readonly isPackaged: boolean;
  readonly isDark: () => boolean;
  /** A page is about to load; from now on it is one of ours. */
  readonly opened: (window: BrowserWindow) => void;
}

const CONSOLE_SIZE = { width: 900, height: 620 };
/** As the pages' styles have it; shown until the page has painted. */
const BACKGROUND = { dark: '#16171b', light: '#ffffff' };
/** A page that dies again at once would die for ever. */
const MOST_RELOADS = 3;

export class Windows {
  readonly #parts: WindowsParts;
  #main: { readonly window: BrowserWindow; readonly loaded: Promise<void> } | undefined;

  constructor(parts: WindowsParts) {
    this.#parts = parts;
  }

  /** The main window in front; fulfilled when its page is there. */
  async show(): Promise<void> {
    this.#main ??= await this.#open();
    const { window, loaded } = this.#main;
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
    await loaded;
  }

  openConsole(machine: string, title: string): void {
    const window = this.#create({ ...CONSOLE_SIZE, title });
    window.once('ready-to-show', () => window.show());
    void load(window, `${ORIGIN}/#/console/${machine}`);
  }

  async #open(): Promise<{ window: BrowserWindow; loaded: Promise<void> }> {
    const { position, width, height, maximized } = restoredState(await this.#parts.state.read(), this.#parts.screens());
    const window = this.#create({ ...position, width, height, title: 'Afterimage' });
    if (maximized) window.maximize();
    window.on('close', () => {
      const bounds = window.getNormalBounds();
      void this.#parts.state.write({ ...bounds, maximized: window.isMaximized() }).catch(() => {});
    });
    window.on('closed', () => {
      this.#main = undefined;
    });
    const loaded = load(window, `${ORIGIN}/`);
    return { window, loaded };
  }

  #create(options: BrowserWindowConstructorOptions): BrowserWindow {
    const { create, preload, icon, facts, isPackaged, isDark, opened } = this.#parts;
    const window = create({
      ...options,
      minWidth: SMALLEST.width,
      minHeight: SMALLEST.height,
      show: false,
      icon,
      backgroundColor: isDark() ? BACKGROUND.dark : BACKGROUND.light,
      webPreferences: webPreferences(preload, facts, isPackaged),
    });
    let reloads = 0;
    window.webContents.on('render-process-gone', (_event, { reason }) => {
      reloads += 1;
      if (reason === 'clean-exit' || reloads > MOST_RELOADS) return;
      // Not from within the event, in which the former page is still being cleared away.
      setImmediate(() => {
        if (!window.isDestroyed()) window.webContents.reload();
      });
    });
    // A guest's or file's name must not become a window's title by way of the page.
    window.on('page-title-updated', event => event.preventDefault());
    opened(window);
    return window;
  }
}

/** Fulfilled when the page is there, or will never be: a window can be closed while it loads. */
async function load(window: BrowserWindow, address: string): Promise<void> {
  await window.loadURL(address).catch(() => {});
}
