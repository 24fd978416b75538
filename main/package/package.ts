// Makes packages: `npm run package`, with electron-builder's own options after it. What goes in is compiled and the
// default guest is built first.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { buildPages } from '../serve/build-pages.ts';
import { compile } from './compile.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** The program and the guest where electron-builder.yml has them. */
export async function preparePackage(): Promise<void> {
  await buildPages();
  compile(root, path.join(root, 'build/program'));
  const folder = path.join(root, 'build/guest');
  const { kernel, initrd, append } = await ensureGuest({ onProgress: ({ step }) => console.log(step) });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(kernel, path.join(folder, 'kernel'));
  cpSync(initrd, path.join(folder, 'initrd'));
  writeFileSync(path.join(folder, 'guest.json'), `${JSON.stringify({ append })}\n`);
}

if (process.argv[1] === import.meta.filename) {
  await preparePackage();
  const builder = createRequire(import.meta.url).resolve('electron-builder/cli.js');
  const run = spawnSync(process.execPath, [builder, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
  process.exit(run.status ?? 1);
}
