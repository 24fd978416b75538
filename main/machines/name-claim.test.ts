import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import { withName } from './name-claim.ts';

it('a name is in one hand at a time, whatever its case, and others are free', async () => {
  const library = path.join(temporaryFolder(), 'library');
  await withName(library, 'Web', async () => {
    await expect(withName(library, 'web', async () => 'both')).rejects.toMatchObject({ kind: 'state' });
    expect(await withName(library, 'other', async () => 'other')).toBe('other');
  });
  expect(await withName(library, 'web', async () => 'after')).toBe('after');
  expect(readdirSync(library)).toEqual([]);
});

it('what a killed process leaves is in nobody’s way', async () => {
  const library = temporaryFolder();
  const { pid } = spawnSync(process.execPath, ['--version']);
  await withName(library, 'web', async () => {
    const [own] = readdirSync(library);
    writeFileSync(path.join(library, own!.replace(`-${process.pid}-`, `-${pid}-`).replace(/.$/, 'x')), '');
  });
  expect(readdirSync(library)).toHaveLength(1);
  expect(await withName(library, 'web', async () => 'mine')).toBe('mine');
  expect(readdirSync(library)).toEqual([]);
});
