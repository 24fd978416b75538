// `npm run test:long [NAME...]`: the random suites with many more cases than `npm test` has time for, all or the named
// ones. A failure prints the seed that replays it (test/README.md has the switches).
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { installRequirements } from './requirements.ts';

interface LongRun {
  readonly files: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
}

const LONG_RUNS: Readonly<Record<string, LongRun>> = {
  lockstep: { files: ['test/lockstep'], settings: { COUNT: '50000000' } },
  float: { files: ['test/float'], settings: { FLOAT_CASES: '30000' } },
  virtio: { files: ['test/virtio'], settings: { AFTERIMAGE_FUZZ_CASES: '500000' } },
  qcow2: {
    files: ['test/disk/qcow2'],
    settings: {
      AFTERIMAGE_DISK_SEQUENCES: '20000',
      AFTERIMAGE_DISK_FUZZ_CASES: '60000',
      AFTERIMAGE_DISK_CUT_RUNS: '2000',
      AFTERIMAGE_DISK_FAULT_RUNS: '5000',
      AFTERIMAGE_DISK_JUDGED: '500',
    },
  },
  jobs: { files: ['test/disk/jobs'], settings: { AFTERIMAGE_JOBS_SEQUENCES: '50000', AFTERIMAGE_JOB_FAULTS: '20000' } },
  checkpoint: {
    files: ['test/checkpoint'],
    settings: { AFTERIMAGE_CHECKPOINT_SEQUENCES: '2000', AFTERIMAGE_CHECKPOINT_FUZZ_CASES: '80000' },
  },
  'machine-cuts': {
    files: ['test/host/machine-cuts.test.ts'],
    settings: { AFTERIMAGE_MACHINE_CUTS_OF: '1', AFTERIMAGE_MACHINE_CUTS_POWERED: '10' },
  },
  'many-live': { files: ['test/guest/many-live.test.ts'], settings: { AFTERIMAGE_MANY_LIVE: '10000' } },
  kills: { files: ['test/guest/kills.test.ts'], settings: { AFTERIMAGE_KILLS: '2000' } },
};

const root = path.resolve(import.meta.dirname, '..');
const asked = process.argv.slice(2);
const unknown = asked.filter(name => LONG_RUNS[name] === undefined);
if (unknown.length > 0) {
  console.log(`There is no long run ${unknown.join(', ')}; there are ${Object.keys(LONG_RUNS).join(', ')}`);
  process.exit(2);
}
installRequirements();
const failed: string[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(LONG_RUNS)) {
  const { files, settings } = LONG_RUNS[name]!;
  // Hours, not minutes: only a hang meets it.
  const words = [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--testTimeout=36000000', ...files];
  const env = { ...process.env, ...settings };
  if (spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit', env }).status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? 'All long runs passed.' : `Failed: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
