// What goes into a package, made as `npm run package` makes it but around a stand-in of Electron's program.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withoutTypes } from '../../main/package/compile.ts';
import { preparePackage } from '../../main/package/package.ts';

const root = path.resolve(import.meta.dirname, '../..');
const MIB = 1024 * 1024;

/** Before the fuses in Electron's program, so that tools find them; then the version, their number, and each as '0' or '1'. */
const SENTINEL = 'dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX';
const ASAR_HEADER = 16;

let folder: string;
let packaged: string;

beforeAll(async () => {
  await preparePackage();
  folder = mkdtempSync(path.join(tmpdir(), 'afterimage-package-'));
  const dist = path.join(folder, 'dist');
  mkdirSync(path.join(dist, 'resources'), { recursive: true });
  writeFileSync(
    path.join(dist, 'electron'),
    Buffer.concat([Buffer.alloc(64), Buffer.from(`${SENTINEL}\x01\x0900000000`), Buffer.from('0')]),
    {
      mode: 0o755,
    },
  );
  for (const name of ['LICENSE', 'LICENSES.chromium.html', 'version']) writeFileSync(path.join(dist, name), '45.4.1');
  const output = path.join(folder, 'out');
  const builder = createRequire(import.meta.url).resolve('electron-builder/cli.js');
  const words = [
    '--dir',
    '--linux',
    '--x64',
    '--publish',
    'never',
    `-c.electronDist=${dist}`,
    `-c.directories.output=${output}`,
  ];
  const run = spawnSync(process.execPath, [builder, ...words], { cwd: root, encoding: 'utf8', timeout: 120_000 });
  expect(run.status, `${run.stdout}${run.stderr}`).toBe(0);
  packaged = path.join(output, 'linux-unpacked');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface AsarEntry {
  readonly files?: Readonly<Record<string, AsarEntry>>;
  readonly size?: number;
  readonly unpacked?: boolean;
  readonly integrity?: { readonly algorithm: string; readonly hash: string };
}

/** Files of the archive, by path. */
function archived(): Map<string, AsarEntry> {
  const bytes = readFileSync(path.join(packaged, 'resources/app.asar'));
  const length = bytes.readUInt32LE(12);
  const header = JSON.parse(bytes.toString('utf8', ASAR_HEADER, ASAR_HEADER + length)) as AsarEntry;
  const found = new Map<string, AsarEntry>();
  const visit = (entry: AsarEntry, name: string) => {
    if (entry.files === undefined) found.set(name, entry);
    else for (const [part, inner] of Object.entries(entry.files)) visit(inner, name === '' ? part : `${name}/${part}`);
  };
  visit(header, '');
  return found;
}

test('the program is in it, without types, tests and tools', () => {
  const files = [...archived().keys()];
  expect(files).toEqual(
    expect.arrayContaining([
      'package.json',
      'main/app/entry.js',
      'main/ipc/app.js',
      'preload/dist/electron.cjs',
      'renderer/dist/index.html',
      'assets/icons/built/tray.png',
      'engine/host/machine-process.js',
      'engine/host/hart-worker.js',
      'engine/core/build/core.wasm',
    ]),
  );
  const own = files.filter(file => !file.startsWith('node_modules/'));
  expect(own.filter(file => /\.(ts|svelte|map)$|(^|\/)(test|docs|\.git)/.test(file))).toEqual([]);
  expect(own.filter(file => /fake-|\.test\.|tsconfig|package-lock|vitest|biome/.test(file))).toEqual([]);
  // Each module that another imports is there.
  const missing = own
    .filter(file => file.endsWith('.js') && !file.startsWith('renderer/') && !file.startsWith('engine/'))
    .flatMap(file => {
      const text = readFileSync(path.join(root, 'build/program', file), 'utf8');
      return [...text.matchAll(/from '(\.[^']+)'/g)]
        .map(match => path.posix.join(path.posix.dirname(file), match[1]!))
        .filter(target => !files.includes(target));
    });
  expect(missing).toEqual([]);
});

test('of what others made, only the production dependencies are in it', () => {
  const packages = new Set(
    [...archived().keys()]
      .filter(file => file.startsWith('node_modules/'))
      .map(file =>
        file
          .split('/')
          .slice(1, file.split('/')[1]!.startsWith('@') ? 3 : 2)
          .join('/'),
      ),
  );
  // The command line's are not needed; chokidar stands on readdirp.
  expect([...packages].sort()).toEqual(['chokidar', 'readdirp', 'valibot']);
});

test('the archive has checksums, and what threads load is beside it', () => {
  const files = archived();
  for (const [name, { unpacked, integrity, size }] of files) {
    if (unpacked !== true && size !== 0) expect(integrity?.algorithm, name).toBe('SHA256');
  }
  expect(files.get('engine/host/hart-worker.js')?.unpacked).toBe(true);
  expect(files.get('main/ipc/app.js')?.unpacked).toBeUndefined();
  for (const file of [
    'engine/host/machine-process.js',
    'engine/core/build/core.wasm',
    'main/app/utility-entry.js',
    'main/app/package.json',
    'engine/package.json',
    'node_modules/valibot',
  ]) {
    expect(existsSync(path.join(packaged, 'resources/app.asar.unpacked', file)), file).toBe(true);
  }
});

test('a machine’s process runs from the unpacked files alone', () => {
  const entry = path.join(packaged, 'resources/app.asar.unpacked/engine/host/machine-process.js');
  const script = `
    const { fork } = await import('node:child_process');
    const execArgv = ['--no-experimental-detect-module'];
    const child = fork(${JSON.stringify(entry)}, [], { serialization: 'advanced', execArgv });
    child.on('message', message => { console.log(JSON.stringify(message)); child.disconnect(); });
    child.send({ id: 1, call: 'preview', arguments: { file: '/nowhere' } });
  `;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 30_000 });
  expect(run.stdout, run.stderr).toContain('"kind":"missing"');
});

test('the guest is in it, and the whole has a size that one can carry', () => {
  const guest = path.join(packaged, 'resources/guest');
  expect(readdirSync(guest).sort()).toEqual(['guest.json', 'initrd', 'kernel']);
  expect(JSON.parse(readFileSync(path.join(guest, 'guest.json'), 'utf8'))).toHaveProperty('append');
  const size = readdirSync(packaged, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(path.join(entry.parentPath, entry.name)).size, 0);
  // The guest has 37 MiB; Electron itself is not counted.
  expect(size).toBeLessThan(60 * MIB);
});

test('fuses are set as Electron’s security guide has them', async () => {
  const program = readdirSync(packaged).find(name => name.toLowerCase() === 'afterimage');
  const fuses = await getCurrentFuseWire(path.join(packaged, program!));
  const isOn = (fuse: FuseV1Options) => String.fromCharCode(fuses[fuse] as number) === '1';
  expect({
    runAsNode: isOn(FuseV1Options.RunAsNode),
    cookies: isOn(FuseV1Options.EnableCookieEncryption),
    nodeOptions: isOn(FuseV1Options.EnableNodeOptionsEnvironmentVariable),
    inspect: isOn(FuseV1Options.EnableNodeCliInspectArguments),
    integrity: isOn(FuseV1Options.EnableEmbeddedAsarIntegrityValidation),
    onlyAsar: isOn(FuseV1Options.OnlyLoadAppFromAsar),
    fileProtocol: isOn(FuseV1Options.GrantFileProtocolExtraPrivileges),
  }).toEqual({
    runAsNode: false,
    cookies: true,
    nodeOptions: false,
    inspect: false,
    integrity: true,
    onlyAsar: true,
    fileProtocol: false,
  });
});

test('types are taken out, and modules are found under their new names', () => {
  const source = [
    "import type { A } from './a.ts';",
    "import { b } from '../b.ts';",
    "const worker = new URL('./worker.ts', import.meta.url);",
    "const text: string = 'notes.ts';",
  ].join('\n');
  const compiled = withoutTypes(source);
  expect(compiled).toContain("import { b } from '../b.js';");
  expect(compiled).toContain("new URL('./worker.js', import.meta.url)");
  expect(compiled).toContain("= 'notes.ts';");
  expect(compiled).not.toContain('./a');
});
