// `npm start`: the window where there can be one, and the browser host everywhere else.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { hasDisplay, type ServeOptions, serveCommand } from './serve.ts';

export interface AppOptions extends ServeOptions {
  readonly browser: true | undefined;
  readonly terminal: true | undefined;
}

const ROOT = path.resolve(import.meta.dirname, '../..');
const ELECTRON = path.join(ROOT, 'node_modules/electron');
/** About 120 MB. */
const FETCH_MILLISECONDS = 600_000;
/** What ends sooner, and not well, has not shown anything. */
const STARTING_MILLISECONDS = 5000;

export async function appCommand({ browser, terminal, ...options }: AppOptions): Promise<number> {
  if (terminal) return await inTerminal();
  const reason = browser ? undefined : await inWindow(options);
  if (typeof reason === 'number') return reason;
  if (reason !== undefined) process.stdout.write(`${reason}, so the app is shown in a web browser.\n`);
  if (!hasDisplay()) process.stdout.write('For a console on this terminal instead: npm start -- --terminal\n');
  return await serveCommand(options);
}

/** Electron's program, if it is installed. */
export function electronProgram(): string | undefined {
  const folder = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  const named = path.join(ELECTRON, 'path.txt');
  const name = existsSync(named) ? readFileSync(named, 'utf8') : undefined;
  if (folder === undefined && name === undefined) return undefined;
  const program = path.join(folder ?? path.join(ELECTRON, 'dist'), name ?? 'electron');
  return existsSync(program) ? program : undefined;
}

/** The exit status, or why there is no window. */
async function inWindow(options: ServeOptions): Promise<number | string> {
  if (!hasDisplay()) return 'There is no display';
  // Chromium's sandbox does not work for root, and we do not go without it.
  if (process.platform === 'linux' && process.getuid?.() === 0) return 'Electron does not run as root';
  const program = electronProgram() ?? (await fetchElectron());
  if (program === undefined) return "Electron's program is not installed and cannot be fetched";
  const { buildPages } = await import('./build-pages.ts');
  await buildPages();
  // The same form as in a package: Electron need not know types.
  const { compile } = await import('../package/compile.ts');
  const compiled = path.join(ROOT, 'build/program');
  compile(ROOT, compiled);
  const library = options.library === undefined ? {} : { AFTERIMAGE_LIBRARY: path.resolve(options.library) };
  const environment = { ...process.env, ...library };
  const began = performance.now();
  const status = await ended(spawn(program, [compiled, '--first-machine'], { stdio: 'inherit', env: environment }));
  // As where the system does not let it have a sandbox.
  if (status === 0 || performance.now() - began > STARTING_MILLISECONDS) return status;
  return `Electron's program does not start here (status ${status})`;
}

/** As Electron's package does it when it is used first. Without a network that is over at once. */
async function fetchElectron(): Promise<string | undefined> {
  process.stdout.write(
    "Fetching Electron's program, which happens once; Ctrl-C and npm start -- --browser do without.\n",
  );
  const install = spawn(process.execPath, [path.join(ELECTRON, 'install.js')], {
    stdio: 'ignore',
    timeout: FETCH_MILLISECONDS,
  });
  return (await ended(install)) === 0 ? electronProgram() : undefined;
}

async function inTerminal(): Promise<number> {
  const { run } = await import('../cli/run.ts');
  const { MEMORY_LIMITS } = await import('../../engine/api/settings.ts');
  const entry = new URL('../../engine/host/process.ts', import.meta.url);
  return await run({ memory: MEMORY_LIMITS.usual, signatureGranularity: 4 }, entry);
}

function ended(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', code => resolve(code ?? 1));
  });
}
