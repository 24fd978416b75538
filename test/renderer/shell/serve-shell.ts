// Serves the page as it is shipped, its policy included, with a scripted host in the place of the real one.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'vite';
import { CONTENT_TYPES } from '../../../main/ipc/page-policy.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

export interface ShellServer {
  /** With a slash at its end. */
  readonly address: string;
  /** Folder of the built scripts and styles. */
  readonly assets: string;
  close(): Promise<void>;
}

export async function serveShell(): Promise<ShellServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'afterimage-shell-'));
  await build({
    configFile: path.join(ROOT, 'renderer/vite.config.ts'),
    logLevel: 'error',
    build: { outDir: folder, emptyOutDir: true },
  });
  await build({
    configFile: false,
    root: path.join(import.meta.dirname, 'page'),
    logLevel: 'error',
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: 'chrome125',
      lib: {
        entry: path.join(import.meta.dirname, 'page/main.ts'),
        formats: ['iife'],
        name: 'scripted',
        fileName: () => 'scripted.js',
      },
    },
  });
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const name = pathname === '/' ? 'index.html' : pathname.slice(1);
    const type = CONTENT_TYPES[path.extname(name)] ?? 'application/octet-stream';
    readFile(path.join(folder, path.dirname(name) === 'assets' ? name : path.basename(name))).then(
      content => {
        response.writeHead(200, { 'content-type': type });
        response.end(name === 'index.html' ? withHost(content.toString('utf8')) : content);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  return {
    assets: path.join(folder, 'assets'),
    address: `http://127.0.0.1:${address.port}/`,
    close: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Where the browser host puts its bridge too. */
const withHost = (page: string) => page.replace('</title>', '</title><script src="./scripted.js"></script>');
