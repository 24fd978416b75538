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

export async function appCommand({ browser, terminal, ...options }: AppOptions): Promise<number> {
  if (terminal) return await inTerminal();
  const program = electronProgram();
  const reason = browser
    ? undefined
    : program === undefined
      ? "Electron's program is not installed"
      : hasDisplay()
        ? undefined
        : 'There is no display';
  if (program === undefined || browser || reason !== undefined) {
    if (reason !== undefined) process.stdout.write(`${reason}, so the app is shown in a web browser.\n`);
    if (!hasDisplay()) process.stdout.write('For a console on this terminal instead: npm start -- --terminal\n');
    return await serveCommand(options);
  }
  return await inWindow(program, options);
}

/** The program that the package downloads on demand; never downloaded from here. */
export function electronProgram(): string | undefined {
  const override = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  const folder = path.join(ROOT, 'node_modules/electron');
  const named = path.join(folder, 'path.txt');
  if (!existsSync(named)) return undefined;
  const program = path.join(override ?? path.join(folder, 'dist'), readFileSync(named, 'utf8'));
  return existsSync(program) ? program : undefined;
}

async function inWindow(program: string, options: ServeOptions): Promise<number> {
  const { buildPages } = await import('./build-pages.ts');
  await buildPages();
  // The same form as in a package: Electron need not know types.
  const { compile } = await import('../package/compile.ts');
  const compiled = path.join(ROOT, 'build/program');
  compile(ROOT, compiled);
  const library = options.library === undefined ? {} : { AFTERIMAGE_LIBRARY: path.resolve(options.library) };
  const environment = { ...process.env, ...library };
  return await ended(spawn(program, [compiled, '--first-machine'], { stdio: 'inherit', env: environment }));
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
