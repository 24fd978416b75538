// Reads every import of the project against the dependency direction in layers.ts.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { BUILD_FILES, ELECTRON_FILES, INTERFACES, NODE_ROOMS, ROOMS } from './layers.ts';

const root = path.resolve(import.meta.dirname, '../..');
const IMPORT = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|import\(\s*'([^']+)'\s*\)/g;

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function sourceFiles(): string[] {
  return ['engine', 'main', 'preload', 'renderer', 'assets'].flatMap(top => {
    try {
      return readdirSync(path.join(root, top), { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile() && /\.(ts|svelte)$/.test(entry.name))
        .map(entry => path.relative(root, path.join(entry.parentPath, entry.name)));
    } catch {
      return []; // a room that does not exist yet
    }
  });
}

const isTest = (file: string) => /\.test\.ts$/.test(file) || file.endsWith('/samples.ts') || /fake-/.test(file);

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(match => {
    const name = match[2] ?? match[3]!;
    const target = name.startsWith('.') ? path.join(path.dirname(file), name) : name;
    return { file, target, typeOnly: match[1] !== undefined };
  });
}

const roomOf = (file: string) =>
  Object.keys(ROOMS)
    .sort((a, b) => b.length - a.length)
    .find(room => file === room || file.startsWith(`${room}/`));

function problemOf({ file, target, typeOnly }: Import): string | undefined {
  const room = roomOf(file);
  if (room === undefined) return `${file} is in no room of test/style/layers.ts`;
  if (target.startsWith('node:')) {
    const allowed =
      NODE_ROOMS.some(one => room === one) || BUILD_FILES.includes(file) || file.startsWith('engine/core/generate/');
    return allowed ? undefined : `${file} imports ${target}: only ${NODE_ROOMS.join(', ')} touch Node`;
  }
  if (target === 'electron' && !typeOnly) {
    return ELECTRON_FILES.includes(file) ? undefined : `${file} loads Electron: only ${ELECTRON_FILES.join(', ')} do`;
  }
  const to = roomOf(target);
  if (to === undefined || to === room) return undefined;
  if (ROOMS[room]!.includes(to)) return undefined;
  if (typeOnly && INTERFACES[target]?.includes(room)) return undefined;
  return `${file} imports ${target}: ${room} may not depend on ${to}`;
}

test('imports point down only', () => {
  const files = sourceFiles().filter(
    file => !isTest(file) && !file.includes('/core/assembly/') && !file.includes('/build/'),
  );
  const imports = files.flatMap(file => importsOf(file, readFileSync(path.join(root, file), 'utf8')));
  expect(imports.length).toBeGreaterThan(100);
  expect(imports.map(problemOf).filter(problem => problem !== undefined)).toEqual([]);
});

test('the check finds what it is there for', () => {
  const find = (file: string, text: string) => importsOf(file, text).map(problemOf);
  expect(find('engine/base/a.ts', "import { x } from '../host/b.ts';")).toEqual([
    expect.stringContaining('may not depend'),
  ]);
  expect(find('engine/devices/uart/a.ts', "import fs from 'node:fs';")).toEqual([
    expect.stringContaining('touch Node'),
  ]);
  expect(find('main/cli/a.ts', "import { Machine } from '../../engine/machine/machine.ts';")).toEqual([
    expect.stringContaining('may not depend'),
  ]);
  expect(find('engine/devices/a.ts', "import type { GuestMemory } from '../memory/guest-memory.ts';")).toEqual([
    undefined,
  ]);
  expect(find('engine/devices/a.ts', "import { GuestMemory } from '../memory/guest-memory.ts';")).toEqual([
    expect.stringContaining('may not depend'),
  ]);
  expect(find('main/ipc/a.ts', "import { app } from 'electron';")).toEqual([expect.stringContaining('loads Electron')]);
  expect(find('main/ipc/a.ts', "import { x } from '../app/b.ts';")).toEqual([
    expect.stringContaining('may not depend'),
  ]);
  expect(find('engine/machine/a.ts', "import {\n  a,\n  b,\n} from '../core/core.ts';")).toEqual([undefined]);
});
