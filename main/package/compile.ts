// The program without its types, for Electron and for packages: every module stays one file, only `.ts` becomes `.js`.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';

/** What runs. Everything else of the project is for making it or trying it. */
const ROOMS = ['assets/guest', 'engine', 'main', 'preload/contract'];
const COPIED = ['assets/icons/built', 'engine/core/build/core.wasm', 'preload/dist/electron.cjs', 'renderer/dist'];
/** Sources of the WASM core, tests, and what only works inside the project. */
const LEFT_OUT = [
  /\.test\.ts$/,
  /\/fake-[^/]*$/,
  /^engine\/core\/(assembly|generate|build)\//,
  /^engine\/core\/build\.ts$/,
  // The command line and the browser host are for computers that have Node.
  /^main\/(cli|serve|package)\//,
  /tsconfig\.json$/,
  /\.md$/,
];
/** Rooms that electron-builder.yml puts beside the archive. */
const UNPACKED = ['engine', 'main/app'];
/** Dependencies that the app itself has no use for. */
const ONLY_COMMAND_LINE = new Set(['commander', 'ws']);

/** Relative paths of our own modules, in imports and in addresses of workers. */
const OWN_MODULE = /(['"])(\.{1,2}\/[^'"\n]*)\.ts\1/g;

/** Writes the program into an empty folder. */
export function compile(root: string, output: string): void {
  rmSync(output, { recursive: true, force: true });
  for (const room of ROOMS) {
    for (const file of filesIn(root, room)) {
      const to = path.join(output, file);
      mkdirSync(path.dirname(to), { recursive: true });
      if (!file.endsWith('.ts')) cpSync(path.join(root, file), to);
      else writeFileSync(to.replace(/\.ts$/, '.js'), withoutTypes(readFileSync(path.join(root, file), 'utf8')));
    }
  }
  for (const copied of COPIED) cpSync(path.join(root, copied), path.join(output, copied), { recursive: true });
  const { name, version, description, type, dependencies } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  ) as Record<string, unknown> & { readonly dependencies: Readonly<Record<string, string>> };
  const used = Object.fromEntries(Object.entries(dependencies).filter(([one]) => !ONLY_COMMAND_LINE.has(one)));
  const own = {
    name,
    version,
    description,
    type,
    main: 'main/app/entry.js',
    author: 'Afterimage',
    // A deb cannot be without one. We have none: a name that is reserved for that.
    homepage: 'https://afterimage.invalid/',
    dependencies: used,
  };
  writeFileSync(path.join(output, 'package.json'), `${JSON.stringify(own, null, 2)}\n`);
  // What lies beside the archive does not find the one in it.
  for (const room of UNPACKED) writeFileSync(path.join(output, room, 'package.json'), `${JSON.stringify({ type })}\n`);
  for (const one of withTheirOwn(root, Object.keys(used))) {
    cpSync(path.join(root, 'node_modules', one), path.join(output, 'node_modules', one), { recursive: true });
  }
}

/** Packages and all that they need, as they are installed. */
function withTheirOwn(root: string, names: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (name: string) => {
    if (found.has(name)) return;
    found.add(name);
    const file = path.join(root, 'node_modules', name, 'package.json');
    const { dependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as { dependencies?: Record<string, string> };
    for (const needed of Object.keys(dependencies)) visit(needed);
  };
  for (const name of names) visit(name);
  return found;
}

export function withoutTypes(source: string): string {
  return stripTypeScriptTypes(source).replaceAll(OWN_MODULE, '$1$2.js$1');
}

function filesIn(root: string, room: string): string[] {
  return readdirSync(path.join(root, room), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .filter(file => !LEFT_OUT.some(left => left.test(file)));
}
