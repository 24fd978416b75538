// Which kernel modules go into the guest, in which order they load, and the tables from which modprobe knows it.
import { AfterimageError } from '../../engine/base/errors.ts';
import { readModule } from './elf.ts';

/** A kernel module with what its .modinfo section says about it. */
export interface KernelModule {
  readonly name: string;
  readonly file: Uint8Array;
  readonly depends: readonly string[];
  /** Names of modules, or aliases such as `crypto-crc32c`, that should be there before. */
  readonly softDepends: readonly string[];
  readonly aliases: readonly string[];
}

/** File names have dashes or underscores as their authors liked; everywhere else the kernel uses underscores. */
export function moduleName(fileName: string): string {
  return fileName
    .replace(/^.*\//, '')
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

export function describeModule(name: string, file: Uint8Array): KernelModule {
  const section = readModule(file).sections.find(candidate => candidate.name === '.modinfo');
  const info = parseModinfo(section?.data ?? new Uint8Array());
  const values = (key: string) => info.filter(([other]) => other === key).map(([, value]) => value);
  return {
    name,
    file,
    depends: values('depends').flatMap(list => list.split(',').filter(part => part !== '')),
    softDepends: values('softdep').flatMap(softDependsBefore),
    aliases: values('alias'),
  };
}

/** `key=value` texts, each ended by one or more NULs. */
export function parseModinfo(data: Uint8Array): [string, string][] {
  return Buffer.from(data)
    .toString('latin1')
    .split('\0')
    .filter(text => text.includes('='))
    .map(text => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]);
}

/** The names after `pre:` in a text like `pre: a b post: c`. */
function softDependsBefore(text: string): string[] {
  const before = /pre:\s*(.*?)\s*(?:post:|$)/.exec(text)?.[1] ?? '';
  return before.split(/\s+/).filter(part => part !== '');
}

/**
 * The wanted modules and all they depend on, each after what it needs. `load` fetches one by name and gives undefined
 * when there is no such file; `builtIn` are those that live inside the kernel.
 */
export async function modulesInOrder(
  wanted: readonly string[],
  load: (name: string) => Promise<KernelModule | undefined>,
  builtIn: ReadonlySet<string>,
): Promise<KernelModule[]> {
  const ordered: KernelModule[] = [];
  const visited = new Set<string>();
  const visit = async (name: string, neededBy: string | undefined): Promise<void> => {
    if (visited.has(name) || builtIn.has(name)) return;
    visited.add(name);
    const module = await load(name);
    if (module === undefined) {
      const reason = neededBy === undefined ? '' : `, which ${neededBy} needs`;
      throw new AfterimageError('unsupported', `The Debian kernel has no module ${name}${reason}`, { module: name });
    }
    for (const dependency of module.depends) await visit(dependency.replaceAll('-', '_'), name);
    ordered.push(module);
  };
  for (const name of wanted) await visit(name, undefined);
  return ordered;
}

/** What a module must find loaded: its dependencies and those soft ones that another module here provides. */
function prerequisites(module: KernelModule, all: readonly KernelModule[]): KernelModule[] {
  const found = new Set<KernelModule>();
  const visit = (current: KernelModule) => {
    const names = [...current.depends, ...current.softDepends];
    for (const other of all) {
      const provides = names.some(name => name.replaceAll('-', '_') === other.name || other.aliases.includes(name));
      if (!provides || other === module || found.has(other)) continue;
      visit(other);
      found.add(other);
    }
  };
  visit(module);
  return [...found];
}

/** modules.dep (man 5): each module's file and, in the order of loading backwards, the files it needs. */
export function formatModulesDep(modules: readonly KernelModule[]): string {
  const line = (module: KernelModule) =>
    [
      `${module.name}.ko:`,
      ...prerequisites(module, modules)
        .reverse()
        .map(({ name }) => `${name}.ko`),
    ].join(' ');
  return `${modules.map(line).join('\n')}\n`;
}

/** modules.alias: lets the kernel ask for a module by file system, device or algorithm. */
export function formatModulesAlias(modules: readonly KernelModule[]): string {
  const lines = modules.flatMap(module => module.aliases.map(alias => `alias ${alias} ${module.name}`));
  return `${lines.join('\n')}\n`;
}
