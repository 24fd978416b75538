// Files from elsewhere that are whole and are no machine of ours (@req C16): they are refused, and leave nothing.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { MEMORY_LIMITS } from '../../engine/api/settings.ts';
import { CheckpointWriter } from '../../engine/checkpoint/writer.ts';
import { CheckpointFolder } from '../../engine/host/checkpoint-folder.ts';
import { importFile } from '../../engine/host/machine-copies.ts';
import { readMachine } from '../../engine/host/machine-record.ts';
import { about, MACHINE, PAGE, plain } from '../checkpoint/content.ts';
import { temporaryFolder } from './temporary-folder.ts';

async function checkpointFile(bytes: number, disks: number): Promise<string> {
  const folder = temporaryFolder();
  const file = await new CheckpointFolder(folder).create('file');
  const spaces = [
    { kind: 'memory' as const, name: 'ram', bytes },
    ...Array.from({ length: disks }, (_, disk) => ({ kind: 'disk' as const, name: `disk${disk}`, bytes: PAGE })),
  ];
  const writer = CheckpointWriter.begin(file, { id: 'cd'.repeat(16), machine: MACHINE, spaces }, plain);
  for (const [space, { bytes: size }] of spaces.entries()) writer.writeZeroes(space, 0, size / PAGE);
  await writer.finish({
    about: about('from elsewhere'),
    state: new Uint8Array(1),
    disks: {
      disks: Array.from({ length: disks }, (_, disk) => ({
        device: `disk${disk}`,
        layer: undefined,
        format: 'raw' as const,
        size: PAGE,
        ownCopy: true,
        temporary: false,
        space: disk + 1,
      })),
    },
  });
  await file.close();
  return path.join(folder, 'file');
}

test.each([
  ['less memory than any machine has', 2 * PAGE, 0],
  ['memory of an odd size', MEMORY_LIMITS.smallest + PAGE, 0],
  ['more disks than any machine has', MEMORY_LIMITS.smallest, 30],
])('%s', async (_, bytes, disks) => {
  const file = await checkpointFile(bytes, disks);
  const library = temporaryFolder();
  await expect(importFile({ file, folder: path.join(library, 'machine') })).rejects.toMatchObject({
    kind: 'unsupported',
  });
  expect(readdirSync(library)).toEqual([]);
});

test('what is a machine can be opened', async () => {
  const file = await checkpointFile(MEMORY_LIMITS.smallest, 1);
  const folder = path.join(temporaryFolder(), 'machine');
  await importFile({ file, folder });
  expect(await readMachine(folder)).toMatchObject({ memory: MEMORY_LIMITS.smallest, disks: [{ mode: 'persistent' }] });
});
