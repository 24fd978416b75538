// The browser host as a command: the app for computers without a display, and for those who like a browser better.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { GIB } from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { runDisk } from '../cli/disk-client.ts';
import { whenLauncherEnds } from '../cli/launcher.ts';
import type { App } from '../ipc/app.ts';
import { startFirstMachine } from '../ipc/first-machine.ts';
import { appDataFolder, openApp } from '../ipc/open-app.ts';
import { PageFiles } from '../ipc/page-files.ts';
import { libraryFolder } from '../machines/location.ts';
import { browserPlatform } from './browser-platform.ts';
import { HostClaim } from './host-claim.ts';
import { KeptHost } from './kept-host.ts';
import { useOther } from './other-host.ts';
import { BrowserServer } from './server.ts';

export interface ServeOptions {
  /** That of the last run, the usual one, or any that is free, unless given. */
  readonly port?: number;
  /** Do not open a browser. */
  readonly open?: boolean;
  readonly library?: string;
  /** Names under which a reverse proxy shows us. */
  readonly allowHost?: readonly string[];
  /** Make and start a machine if there is none. */
  readonly firstMachine?: boolean;
  /** Let in nobody whom an earlier run let in. */
  readonly newToken?: boolean;
  /** Bytes of one upload. */
  readonly largestUpload?: number;
}

/** Larger disks are put beside the machine by other means. */
const LARGEST_UPLOAD = 64 * GIB;
const UPLOADS_AT_ONCE = 4;
const ROOT = path.resolve(import.meta.dirname, '../..');

/** Serves until it is told to end by a signal. Returns the exit status. */
export async function serveCommand(options: ServeOptions = {}): Promise<number> {
  const print = (text: string) => process.stdout.write(`${text}\n`);
  const complain = (text: string) => process.stderr.write(`afterimage: ${text}\n`);
  const { pages, bridge } = await builtPages(print);
  const library = libraryFolder(options.library);
  const dataFolder = appDataFolder(library);
  const claim = await HostClaim.take(dataFolder);
  if (!(claim instanceof HostClaim)) return await useOther(claim, { dataFolder, options, print, open: openBrowser });
  const kept = await KeptHost.open(dataFolder, options.newToken === true);
  const ending = Promise.withResolvers<void>();
  let address = '';
  const platform = browserPlatform({ dataFolder, showAddress: () => print(address), quit: ending.resolve, print });
  const app = await openApp({
    platform,
    library,
    runDisk: command => runDisk(command, () => {}),
    progress: print,
    log: complain,
  });
  const server = await listen(
    options,
    {
      app,
      pages,
      bridge,
      uploadFolder: path.join(platform.temporaryFolder, 'uploads'),
      uploads: { largest: options.largestUpload ?? LARGEST_UPLOAD, atOnce: UPLOADS_AT_ONCE },
      otherHosts: options.allowHost ?? [],
      key: kept.key,
    },
    kept,
  );
  address = server.address;
  await claim.announce(address);
  print(`Afterimage is at ${address}`);
  print('Whoever has this address works with your machines. Ctrl-C ends it.');
  if (options.open !== false) openBrowser(address);
  const signals = new Signals(ending.resolve);
  // Nobody could end it any more.
  whenLauncherEnds(ending.resolve);
  startMachines(app, options.firstMachine === true, print).catch(thrown =>
    complain(AfterimageError.from(thrown).message),
  );
  await ending.promise;
  await putAway(app, signals, print);
  await server.close();
  await app.close();
  await claim.release();
  signals.close();
  return 0;
}

/** Those that the last run has put away, and one to begin with if wanted. */
async function startMachines(app: App, firstMachine: boolean, print: (text: string) => void): Promise<void> {
  const resumed = await app.wake();
  for (const name of resumed) print(`${name} goes on where it was.`);
  if (!firstMachine) return;
  const machine = await startFirstMachine(app);
  if (machine !== '') print(`${app.machine(machine).name} is running.`);
}

/** Machines are suspended or stopped as the settings say; with a second signal they are left running. */
async function putAway(app: App, signals: Signals, print: (text: string) => void): Promise<void> {
  for (const { name, foreign } of app.running()) {
    if (foreign) print(`${name} was not started here and runs on; npx afterimage list shows it.`);
  }
  const running = app.running().filter(machine => !machine.foreign);
  if (running.length === 0) return;
  const names = running.map(({ name }) => name).join(', ');
  print(`Putting away ${names}; Ctrl-C again leaves what is not done yet running.`);
  if (await Promise.race([app.mayQuit(), signals.second.then(() => false)])) return;
  const left = app.running().filter(machine => !machine.foreign);
  for (const { name } of left) print(`${name} runs on; see it with: npx afterimage list`);
}

/** Where it was the last time, so that pages find it again; that port may be another program's now. */
async function listen(
  options: ServeOptions,
  parts: Parameters<typeof BrowserServer.listen>[0],
  kept: KeptHost,
): Promise<BrowserServer> {
  const ports = options.port === undefined ? kept.ports : [options.port];
  for (const [index, port] of ports.entries()) {
    try {
      const server = await BrowserServer.listen(parts, port);
      if (options.port === undefined) await kept.usePort(server.port);
      return server;
    } catch (thrown) {
      if (index + 1 < ports.length && AfterimageError.from(thrown).kind === 'locked') continue;
      await parts.app.close();
      throw thrown;
    }
  }
  throw new AfterimageError('internal', 'There is no port to listen on');
}

async function builtPages(print: (text: string) => void): Promise<{ pages: PageFiles; bridge: Uint8Array }> {
  const read = async () => ({
    pages: await PageFiles.read(path.join(ROOT, 'renderer/dist')),
    bridge: await readFile(path.join(ROOT, 'preload/dist/browser.js')),
  });
  try {
    return await read();
  } catch {
    print('Building the pages, which happens once.');
    const { buildPages } = await import('./build-pages.ts');
    await buildPages();
    return await read();
  }
}

/** A terminal signals npm too, which passes its copy on: that is no second signal. */
const COPY_MILLISECONDS = 500;

/** The first ends the host, the second does not wait for machines. */
class Signals {
  readonly #names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  readonly #second = Promise.withResolvers<void>();
  readonly #first: () => void;
  #since: number | undefined;
  readonly #hear = () => {
    const now = performance.now();
    this.#since ??= now;
    this.#first();
    if (now - this.#since > COPY_MILLISECONDS) this.#second.resolve();
  };

  constructor(first: () => void) {
    this.#first = first;
    for (const name of this.#names) process.on(name, this.#hear);
  }

  get second(): Promise<void> {
    return this.#second.promise;
  }

  close(): void {
    for (const name of this.#names) process.off(name, this.#hear);
  }
}

/** Whether anybody could see a window here. */
export function hasDisplay(environment: NodeJS.ProcessEnv = process.env, platform = process.platform): boolean {
  if (platform === 'darwin' || platform === 'win32') return true;
  return Boolean(environment.DISPLAY || environment.WAYLAND_DISPLAY);
}

function openBrowser(address: string): void {
  if (!hasDisplay()) return;
  const [program, ...before] = OPENERS[process.platform] ?? ['xdg-open'];
  const child = spawn(program!, [...before, address], { stdio: 'ignore', detached: true });
  // The address is on the terminal all the same.
  child.on('error', () => {});
  child.unref();
}

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};
