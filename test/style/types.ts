// Type-checks every room with its own tsconfig (STYLE 2): a DOM or Node name in the wrong room fails here.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const checker = path.join(
  path.dirname(createRequire(import.meta.url).resolve('svelte-check/package.json')),
  'bin/svelte-check',
);
const rooms = [
  'engine',
  'engine/host',
  'main',
  'preload',
  'renderer',
  'assets',
  'test',
  'test/app',
  'test/renderer',
  'test/renderer/harness/page',
  'test/renderer/shell/page',
];

let failed = 0;
for (const room of rooms) {
  const config = path.join(root, room, 'tsconfig.json');
  if (!existsSync(config)) continue;
  // Components are TypeScript too, and their templates are checked with them.
  const check =
    room === 'renderer' || room === 'test/renderer/harness/page'
      ? [checker, '--tsconfig', config, '--threshold', 'warning', '--fail-on-warnings', '--output', 'human']
      : [compiler, '-p', config];
  const result = spawnSync(process.execPath, check, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
