// The test command: sets up what the tests need, runs all of them (style and types are tests too), and ends with one
// line of counts.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { installRequirements } from './requirements.ts';

const root = path.resolve(import.meta.dirname, '..');
const artefacts = path.join(import.meta.dirname, '.artefacts');
const resultFile = path.join(artefacts, 'results.json');

interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numTotalTests: number;
  readonly success: boolean;
  readonly testResults: readonly { name: string; status: string; message?: string; assertionResults: unknown[] }[];
}

installRequirements();
mkdirSync(artefacts, { recursive: true });
rmSync(resultFile, { force: true });
const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${resultFile}`];
const run = spawnSync(process.execPath, [vitest, 'run', ...reporters, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});

let results: Results;
try {
  results = JSON.parse(readFileSync(resultFile, 'utf8')) as Results;
} catch {
  console.log('The test runner left no results.');
  console.log('0 passed, 1 failed');
  process.exit(1);
}
// A file that cannot even be loaded has no tests to fail; it counts as one.
const broken = results.testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0);
for (const file of broken) console.log(`Did not run: ${path.relative(root, file.name)}`);
const failed = results.numFailedTests + broken.length + (run.status !== 0 && results.success ? 1 : 0);
const skipped = results.numPendingTests + results.numTodoTests;
const tail = skipped > 0 ? `, ${skipped} skipped` : '';
console.log(`${results.numPassedTests} passed, ${failed} failed${tail}`);
process.exit(failed === 0 && results.numPassedTests > 0 ? 0 : 1);
