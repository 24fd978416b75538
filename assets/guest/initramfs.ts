// Puts the guest's first file system together: our files, the packages' files, busybox's names, modules, devices.
import { AfterimageError } from '../../engine/base/errors.ts';
import { appletNames } from './busybox.ts';
import { type CpioEntry, writeCpio } from './cpio.ts';
import { formatModulesAlias, formatModulesDep, type KernelModule } from './modules.ts';
import { LEFT_OUT_APPLETS, type OwnFile } from './recipe.ts';

export interface InitramfsParts {
  readonly own: readonly OwnFile[];
  /** Files from packages by their path in the initramfs. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly modules: readonly KernelModule[];
  readonly kernelRelease: string;
}

const FOLDERS: readonly [string, number][] = [
  ['.', 0o755],
  ...['bin', 'data', 'dev', 'etc', 'lib', 'mnt', 'proc', 'run', 'sys', 'usr', 'var'].map((name): [string, number] => [
    name,
    0o755,
  ]),
  ['root', 0o700],
  ['tmp', 0o1777],
];

/** One folder of programs and one of libraries; the kernel, Debian's programs and habit know them by other names. */
const FOLDER_LINKS: readonly [string, string][] = [
  ['sbin', 'bin'],
  ['usr/bin', '../bin'],
  ['usr/sbin', '../bin'],
  ['usr/lib', '../lib'],
  ['var/run', '../run'],
  ['var/tmp', '../tmp'],
];

/** The kernel opens /dev/console for the first process, before anything could mount devtmpfs. */
const DEVICES: readonly CpioEntry[] = [
  { kind: 'character-device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { kind: 'character-device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
];

export function buildInitramfs(parts: InitramfsParts): Uint8Array {
  const busybox = parts.files.get('bin/busybox');
  if (busybox === undefined) throw new AfterimageError('internal', 'The recipe puts no busybox into the guest');
  const moduleFolder = `lib/modules/${parts.kernelRelease}`;
  const files: CpioEntry[] = [
    ...parts.own.map(({ path, mode, data }): CpioEntry => ({ kind: 'file', path, mode, data })),
    ...[...parts.files].map(([path, data]): CpioEntry => ({ kind: 'file', path, mode: modeOf(path), data })),
    ...parts.modules.map(
      ({ name, file }): CpioEntry => ({ kind: 'file', path: `${moduleFolder}/${name}.ko`, mode: 0o644, data: file }),
    ),
    text(`${moduleFolder}/modules.dep`, formatModulesDep(parts.modules)),
    text(`${moduleFolder}/modules.alias`, formatModulesAlias(parts.modules)),
  ];
  const taken = new Set(files.map(({ path }) => path));
  const applets = appletNames(busybox)
    .filter(name => !LEFT_OUT_APPLETS.includes(name) && !taken.has(`bin/${name}`))
    .map((name): CpioEntry => ({ kind: 'link', path: `bin/${name}`, target: 'busybox' }));
  return writeCpio([...folders(files), ...DEVICES, ...files, ...applets]);
}

/** The fixed folders, then those that only the files' paths name, then the links that stand for folders. */
function folders(files: readonly CpioEntry[]): CpioEntry[] {
  const modes = new Map(FOLDERS);
  for (const { path } of files) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      const folder = parts.slice(0, depth).join('/');
      if (!modes.has(folder)) modes.set(folder, 0o755);
    }
  }
  return [
    ...[...modes].map(([path, mode]): CpioEntry => ({ kind: 'folder', path, mode })),
    ...FOLDER_LINKS.map(([path, target]): CpioEntry => ({ kind: 'link', path, target })),
  ];
}

/** Programs, and the loader, which the kernel starts as one. */
function modeOf(path: string): number {
  return path.startsWith('bin/') || /(^|\/)ld-[^/]*$/.test(path) ? 0o755 : 0o644;
}

function text(path: string, contents: string): CpioEntry {
  return { kind: 'file', path, mode: 0o644, data: Buffer.from(contents) };
}
