// Format, lint and types, as tests: one command checks all.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

function run(script: string, arguments_: readonly string[]): { status: number | null; output: string } {
  const result = spawnSync(process.execPath, [path.join(root, script), ...arguments_], { cwd: root, encoding: 'utf8' });
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}

test('format and lint are clean', () => {
  const { status, output } = run('node_modules/@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.']);
  expect(status, output).toBe(0);
});

test('every room compiles under its own rules', () => {
  const { status, output } = run('test/style/types.ts', []);
  expect(status, output).toBe(0);
});
