// The app in Electron, from its start to its end.
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHECKPOINT_EXTENSION } from '../../preload/contract/files.ts';
import type { App } from '../ipc/app.ts';
import { startFirstMachine } from '../ipc/first-machine.ts';
import { JsonFile } from '../ipc/json-file.ts';
import { applicationMenu, type MenuAction } from '../ipc/menus.ts';
import { appDataFolder, openApp } from '../ipc/open-app.ts';
import { PageFiles } from '../ipc/page-files.ts';
import { libraryFolder } from '../machines/location.ts';
import { guardContents, guardSession } from '../windows/guards.ts';
import { SCHEME } from '../windows/origin.ts';
import { pageResponse } from '../windows/protocol.ts';
import { Windows } from '../windows/windows.ts';
import type { ElectronModule } from './electron.ts';
import { electronFacts, electronPlatform } from './electron-platform.ts';
import { menuTemplate } from './menu-template.ts';
import { PageChannels } from './page-channels.ts';
import { type DiskProcessModules, utilityDisks } from './utility-disk.ts';
import { utilityEngines } from './utility-engine.ts';

export interface StartOptions {
  readonly electron: ElectronModule;
  /** Arguments after the program's own. */
  readonly arguments_: readonly string[];
  /** Main module of a machine's process. */
  readonly machineEntry: string;
  readonly diskProcess: DiskProcessModules;
  /** The project's folder, or what the package has of it. */
  readonly root: string;
  /** Where a package has the default guest; otherwise it is built. */
  readonly guestFolder?: string;
  /** Instead of the usual library. */
  readonly library?: string;
  readonly log: (text: string) => void;
}

/** Fulfilled when the first window is there; undefined when another instance has taken over. */
export async function startApp(options: StartOptions): Promise<App | undefined> {
  const { electron, arguments_, root, log } = options;
  const { app, Menu, powerMonitor, protocol, session } = electron;
  const library = libraryFolder(options.library);
  const dataFolder = appDataFolder(library);
  // One instance for each library: Electron's lock is in this folder, which it does not make.
  const userData = path.join(dataFolder, 'electron');
  mkdirSync(userData, { recursive: true, mode: 0o700 });
  app.setPath('userData', userData);
  if (!app.requestSingleInstanceLock()) {
    log('The app is open already; its window comes to the front');
    app.quit();
    return undefined;
  }
  app.enableSandbox();
  if (process.platform === 'win32') app.setAppUserModelId('org.afterimage.app');
  protocol.registerSchemesAsPrivileged([
    { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true } },
  ]);
  app.on('web-contents-created', (_event, contents) => guardContents(contents));
  const opening = Promise.withResolvers<App>();
  const openFiles = (files: readonly string[]) => {
    for (const file of files) {
      void opening.promise.then(core => core.openFile(file)).catch(thrown => log(String(thrown)));
    }
  };
  app.on('open-file', (event, file) => {
    event.preventDefault();
    openFiles([file]);
  });
  app.on('second-instance', (_event, given, folder) => {
    openFiles(filesIn(given.slice(1), folder));
    void opening.promise.then(core => core.platform.showWindow());
  });
  await app.whenReady();

  const pages = await PageFiles.read(path.join(root, 'renderer/dist'));
  guardSession(session.defaultSession);
  protocol.handle(SCHEME, ({ method, url }) => pageResponse(pages, method, url));
  const facts = electronFacts(process.platform);
  const icons = path.join(root, 'assets/icons/built');
  const perform = (action: MenuAction) => void opening.promise.then(core => core.perform(action));
  const platform = electronPlatform({ electron, dataFolder, icons, facts, windows: () => windows, perform });
  const core = await openApp({
    platform,
    library,
    startEngine: utilityEngines(electron, options.machineEntry),
    runDisk: utilityDisks(electron, options.diskProcess),
    ...(options.guestFolder === undefined ? {} : { guestFolder: options.guestFolder }),
    progress: step => log(step),
    log,
  });
  const channels = new PageChannels(electron, core);
  const windows = new Windows({
    create: wanted => new electron.BrowserWindow(wanted),
    screens: () => electron.screen.getAllDisplays().map(({ workArea }) => workArea),
    state: new JsonFile(path.join(dataFolder, 'window.json')),
    preload: path.join(root, 'preload/dist/electron.cjs'),
    icon: path.join(icons, 'icon.png'),
    facts,
    isPackaged: app.isPackaged,
    isDark: () => electron.nativeTheme.shouldUseDarkColors,
    opened: window => channels.add(window),
  });
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(applicationMenu(facts.system), perform)));
  powerMonitor.on('suspend', () => void core.sleep());
  powerMonitor.on('resume', () => void core.wake());
  followQuit(electron, core);
  opening.resolve(core);
  openFiles(filesIn(arguments_, process.cwd()));
  app.on('activate', () => perform({ do: 'show' }));
  await windows.show();
  startMachines(core, arguments_.includes('--first-machine')).catch(thrown =>
    log(core.report(thrown, 'start').message),
  );
  return core;
}

/** Those that the last run has put away, and one to begin with if wanted. */
async function startMachines(core: App, firstMachine: boolean): Promise<void> {
  await core.wake();
  if (firstMachine) await startFirstMachine(core);
}

/** Machines first, while windows can still ask; then the rest. */
function followQuit({ app, powerMonitor }: ElectronModule, core: App): void {
  let state: 'open' | 'settling' | 'closed' = 'open';
  const settle = async () => {
    if (state !== 'open') return;
    state = 'settling';
    if (!(await core.mayQuit())) {
      state = 'open';
      // The last window may have been closed for this; without one nobody could come back.
      await core.platform.showWindow();
      return;
    }
    await core.close();
    state = 'closed';
    app.quit();
  };
  app.on('before-quit', event => {
    if (state === 'closed') return;
    event.preventDefault();
    void settle();
  });
  // The system waits for a while when it is asked to.
  powerMonitor.on('shutdown', ((event?: { preventDefault(): void }) => {
    event?.preventDefault();
    void settle();
  }) as () => void);
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin' && !core.settings.settings.keepInTray) app.quit();
  });
}

/** Files among the arguments of a start; options and what is no checkpoint are not for us. */
function filesIn(arguments_: readonly string[], folder: string): readonly string[] {
  return arguments_
    .filter(argument => !argument.startsWith('-') && argument.toLowerCase().endsWith(`.${CHECKPOINT_EXTENSION}`))
    .flatMap(argument => fileOf(argument, folder))
    .filter(file => existsSync(file));
}

/** Other programs may give anything; an address of another computer is no file. */
function fileOf(argument: string, folder: string): readonly string[] {
  try {
    return [path.resolve(folder, argument.startsWith('file:') ? fileURLToPath(argument) : argument)];
  } catch {
    return [];
  }
}
