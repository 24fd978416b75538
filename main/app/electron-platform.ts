// Electron as the app's platform.
import path from 'node:path';
import type { BrowserWindow, Notification as ShownNotification, Tray } from 'electron';
import { CHECKPOINT_EXTENSION, type FilePurpose } from '../../preload/contract/files.ts';
import type { MenuAction } from '../ipc/menus.ts';
import type { Page, Platform } from '../ipc/platform.ts';
import { systemOf } from '../ipc/system.ts';
import type { Windows } from '../windows/windows.ts';
import type { ElectronModule } from './electron.ts';
import { menuTemplate } from './menu-template.ts';

export interface ElectronPlatformParts {
  readonly electron: ElectronModule;
  readonly dataFolder: string;
  readonly icons: string;
  readonly facts: Platform['facts'];
  readonly windows: () => Windows;
  readonly perform: (action: MenuAction) => void;
}

/** Older ones are gone from the screen. */
const MOST_NOTIFICATIONS = 20;

const FILTERS: Readonly<Record<FilePurpose, readonly { name: string; extensions: string[] }[]>> = {
  checkpoint: [{ name: 'Checkpoints', extensions: [CHECKPOINT_EXTENSION, 'checkpoint'] }],
  disk: [{ name: 'Disks', extensions: ['qcow2', 'raw', 'img'] }],
  kernel: [],
  initrd: [],
  firmware: [],
  elf: [],
  'raw-store': [],
  any: [],
};

export function electronPlatform({
  electron,
  dataFolder,
  icons,
  facts,
  windows,
  perform,
}: ElectronPlatformParts): Platform {
  const { app, BrowserWindow, dialog, globalShortcut, Menu, nativeImage, nativeTheme, Notification, shell } = electron;
  let tray: Tray | undefined;
  /** One that is collected as garbage cannot be clicked any more. */
  const shown: ShownNotification[] = [];
  let shortcut = '';
  const windowOf = (page: Page | undefined): BrowserWindow | undefined =>
    BrowserWindow.getAllWindows().find(window => window.webContents.id === page?.id);
  const { chrome = '', node, electron: own = '' } = process.versions as Record<string, string>;
  return {
    facts,
    versions: { electron: own, chromium: chrome, node: node ?? '' },
    dataFolder,
    temporaryFolder: path.join(dataFolder, 'temporary', String(process.pid)),
    chooseFile: async (purpose, page) => {
      const filters = [...FILTERS[purpose], { name: 'All Files', extensions: ['*'] }];
      const options = { properties: ['openFile' as const], filters };
      const window = windowOf(page);
      const chosen = await (window === undefined
        ? dialog.showOpenDialog(options)
        : dialog.showOpenDialog(window, options));
      return chosen.canceled ? undefined : chosen.filePaths[0];
    },
    chooseSave: async (name, page) => {
      const options = { defaultPath: path.join(app.getPath('downloads'), name), filters: [...FILTERS.checkpoint] };
      const window = windowOf(page);
      const chosen = await (window === undefined
        ? dialog.showSaveDialog(options)
        : dialog.showSaveDialog(window, options));
      return chosen.canceled || chosen.filePath === '' ? undefined : chosen.filePath;
    },
    ask: async ({ title, detail, answers }, page) => {
      const options = {
        type: 'question' as const,
        message: title,
        detail,
        buttons: [...answers],
        defaultId: 0,
        cancelId: answers.length - 1,
        noLink: true,
      };
      const window = windowOf(page);
      const { response } = await (window === undefined
        ? dialog.showMessageBox(options)
        : dialog.showMessageBox(window, options));
      return response;
    },
    notify: ({ title, text, activate }) => {
      const notification = new Notification({ title, body: text });
      if (activate !== undefined) notification.on('click', activate);
      shown.push(notification);
      if (shown.length > MOST_NOTIFICATIONS) shown.shift();
      notification.show();
    },
    trash: async item => {
      try {
        await shell.trashItem(item);
        return true;
      } catch {
        // A file system without one; the app then deletes what the user wanted deleted.
        return false;
      }
    },
    reveal: item => shell.showItemInFolder(item),
    openExternal: url => shell.openExternal(url),
    openConsole: (machine, title) => windows().openConsole(machine, title),
    showWindow: () => windows().show(),
    startDrag: (page, file) => {
      const icon = nativeImage.createFromPath(path.join(icons, 'checkpoint.png'));
      windowOf(page)?.webContents.startDrag({ file, icon });
    },
    setTray: entries => {
      if (tray === undefined) {
        tray = new electron.Tray(path.join(icons, trayIcon(process.platform)));
        tray.setToolTip('Afterimage');
        tray.on('click', () => perform({ do: 'show' }));
      }
      tray.setContextMenu(Menu.buildFromTemplate(menuTemplate(entries, perform)));
    },
    setShortcut: (accelerator, action) => {
      if (shortcut !== '') globalShortcut.unregister(shortcut);
      shortcut = '';
      if (accelerator === '') return true;
      try {
        if (!globalShortcut.register(accelerator, action)) return false;
      } catch {
        // Not an accelerator.
        return false;
      }
      shortcut = accelerator;
      return true;
    },
    setTheme: theme => {
      nativeTheme.themeSource = theme;
    },
    quit: () => app.quit(),
  };
}

/** Template images are coloured by macOS; elsewhere the coloured one is seen on light and dark. */
function trayIcon(platform: NodeJS.Platform): string {
  if (platform === 'darwin') return 'trayTemplate.png';
  return platform === 'win32' ? 'tray.ico' : 'tray.png';
}

export function electronFacts(platform: NodeJS.Platform): Platform['facts'] {
  return {
    host: 'electron',
    system: systemOf(platform),
    canReveal: true,
    dragOut: 'native',
    notifications: true,
    globalShortcut: true,
    tray: true,
  };
}
