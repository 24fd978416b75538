// Builds what runs in windows: the renderer, the browser host's bridge and Electron's preload script, each of the latter
// as one file. Part of the installation.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { build } from 'vite';

const root = path.resolve(import.meta.dirname, '../..');

/** Everything that the built files are made from. */
const SOURCES = ['renderer', 'preload', 'engine/api', 'engine/base'];

const LOCK_MILLISECONDS = 120_000;

export const PAGES_FOLDER = path.join(root, 'renderer/dist');
export const BRIDGE_FILE = path.join(root, 'preload/dist/browser.js');
export const PRELOAD_FILE = path.join(root, 'preload/dist/electron.cjs');

/** Builds what is older than its sources. Any number of processes may ask for it at the same time. */
export async function buildPages(force = false): Promise<void> {
  using _lock = await takeLock();
  const newest = force ? Number.POSITIVE_INFINITY : Math.max(...SOURCES.map(newestIn));
  const isFresh = (file: string) => existsSync(file) && statSync(file).mtimeMs > newest;
  if (!isFresh(BRIDGE_FILE)) await bundle('preload/bridge/browser.ts', BRIDGE_FILE, 'iife');
  if (!isFresh(PRELOAD_FILE)) await bundle('preload/bridge/electron.ts', PRELOAD_FILE, 'cjs');
  if (!isFresh(path.join(PAGES_FOLDER, 'index.html'))) {
    const fresh = `${PAGES_FOLDER}.new`;
    await build({
      configFile: path.join(root, 'renderer/vite.config.ts'),
      logLevel: 'error',
      build: { outDir: fresh, emptyOutDir: true },
    });
    // Those who read the former pages have read all of them; those who read now get all of the new ones.
    rmSync(PAGES_FOLDER, { recursive: true, force: true });
    renameSync(fresh, PAGES_FOLDER);
  }
}

async function bundle(entry: string, output: string, format: 'iife' | 'cjs'): Promise<void> {
  await build({
    configFile: false,
    root: path.join(root, 'preload'),
    logLevel: 'warn',
    build: {
      outDir: path.dirname(output),
      emptyOutDir: false,
      target: 'chrome125',
      modulePreload: { polyfill: false },
      lib: { entry: path.join(root, entry), formats: [format], name: 'bridge', fileName: () => path.basename(output) },
      // A sandboxed preload script can require this one module.
      rolldownOptions: { external: ['electron'] },
    },
  });
}

/** A folder that only one can make. One that is left behind is older than any build. */
async function takeLock(): Promise<Disposable> {
  const folder = path.join(root, 'preload/dist.lock');
  for (;;) {
    try {
      mkdirSync(folder);
      return { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
    } catch (thrown) {
      if (!existsSync(path.dirname(folder))) throw thrown;
      const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > LOCK_MILLISECONDS) rmSync(folder, { recursive: true, force: true });
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
}

function newestIn(folder: string): number {
  const absolute = path.join(root, folder);
  if (!existsSync(absolute)) return 0;
  const times = readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.name.endsWith('.test.ts') && !/[\\/]dist([\\/]|$)/.test(entry.parentPath))
    .map(entry => statSync(path.join(entry.parentPath, entry.name)).mtimeMs);
  return Math.max(0, ...times);
}

if (process.argv[1] === import.meta.filename) await buildPages(process.argv.includes('--force'));
