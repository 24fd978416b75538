// The app in Electron itself, where its program is installed. It is never downloaded for this.
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { _electron } from 'playwright-core';
import { expect, test } from 'vitest';
import { compile } from '../../main/package/compile.ts';
import { electronProgram } from '../../main/serve/app-command.ts';
import { buildPages } from '../../main/serve/build-pages.ts';
import { hasDisplay } from '../../main/serve/serve.ts';

const root = path.resolve(import.meta.dirname, '../..');
const program = hasDisplay() ? electronProgram() : undefined;

if (program === undefined) {
  test('Electron’s program or a display is not here: only the stand-in was tried, and npm start says so', () => {
    const command = path.join(root, 'main/cli/afterimage.mjs');
    // A library that cannot be ends it after the line.
    const run = spawnSync(process.execPath, [command, 'app', '--no-open', '--library', '/dev/null/x'], {
      encoding: 'utf8',
      timeout: 60_000,
      // With a display it would be fetched.
      env: { ...process.env, DISPLAY: '', WAYLAND_DISPLAY: '' },
    });
    expect(run.stdout).toMatch(/^There is no display, so the app/);
  });
} else {
  test('the app opens its window in Electron, isolated and sandboxed, and answers', async () => {
    await buildPages();
    const folder = await mkdtemp(path.join(tmpdir(), 'afterimage-real-'));
    const compiled = path.join(folder, 'program');
    compile(root, compiled);
    const electron = await _electron.launch({
      executablePath: program,
      args: [compiled],
      env: { ...process.env, AFTERIMAGE_LIBRARY: path.join(folder, 'library') } as Record<string, string>,
    });
    try {
      const page = await electron.firstWindow();
      expect(page.url()).toMatch(/^app:\/\/afterimage\//);
      const seen = await page.evaluate(async () => {
        const scope = globalThis as unknown as Record<string, unknown> & {
          afterimage: { call(name: string, arguments_: object): Promise<unknown> };
        };
        const there = ['require', 'process', 'module', 'Buffer'].filter(name => scope[name] !== undefined);
        return { there, answer: await scope.afterimage.call('library', {}) };
      });
      expect(seen).toMatchObject({ there: [], answer: { ok: true, result: { machines: [] } } });
    } finally {
      await electron.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
}
