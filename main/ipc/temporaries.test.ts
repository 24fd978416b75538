import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { clearTemporaries } from './temporaries.ts';

test('what killed processes left goes, what others use stays', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-temporaries-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  for (const name of [`${pid}`, `${process.ppid}`, `${process.pid}`, 'of the user']) {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, 'upload'), 'x');
  }
  await clearTemporaries(path.join(folder, `${process.pid}`));
  expect(readdirSync(folder).sort()).toEqual([`${process.ppid}`, 'of the user'].sort());
});
