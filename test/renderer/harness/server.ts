// Builds the page with one view and serves it to a browser of the test: what the hosts do with the real page.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { build } from 'vite';

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

export interface HarnessServer {
  /** With a slash at its end; the query says what is shown. */
  readonly address: string;
  close(): Promise<void>;
}

export async function serveHarness(): Promise<HarnessServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'afterimage-harness-'));
  await build({
    configFile: false,
    root: path.join(import.meta.dirname, 'page'),
    base: './',
    logLevel: 'error',
    plugins: [svelte({ configFile: false, compilerOptions: { runes: true } })],
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: 'chrome125',
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
    },
  });
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const file = pathname === '/' ? 'index.html' : path.basename(pathname);
    const place = pathname.startsWith('/assets/') ? path.join(folder, 'assets', file) : path.join(folder, file);
    readFile(place).then(
      content => {
        response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' });
        response.end(content);
      },
      // Nothing else is asked for but an icon for the tab.
      () => response.writeHead(204).end(),
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  return {
    address: `http://127.0.0.1:${address.port}/`,
    close: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
