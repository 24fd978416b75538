// machine.json when the host fails in the middle of replacing it.
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { createMachineFolder, MachineFolder } from '../../engine/host/machine-folder.ts';
import { newIdentity, readMachine } from '../../engine/host/machine-record.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** The file has its name then, and nobody can tell whether it keeps it. */
let failAfterwards = false;
vi.mock('../../engine/host/machine-record.ts', async importOriginal => {
  const original = await importOriginal<typeof import('../../engine/host/machine-record.ts')>();
  return {
    ...original,
    replaceMachine: async (...given: Parameters<typeof original.replaceMachine>) => {
      await original.replaceMachine(...given);
      if (failAfterwards) throw new Error('as the test asked for');
    },
  };
});

test('a change that failed when it was there already is taken back by the opposite change', async () => {
  const place = path.join(temporaryFolder(), 'machine');
  const boot = { kind: 'guest' } as const;
  const record = { id: newIdentity(), createdAt: 1, name: 'before', memory: 2 ** 23, boot, automatic: USUAL_AUTOMATIC };
  await createMachineFolder(place, async () => ({ ...record, disks: [], process: {} }));
  const folder = await MachineFolder.open(place);
  onTestFinished(() => folder.close());
  failAfterwards = true;
  await expect(folder.change({ configuration: { name: 'after' } })).rejects.toThrow('as the test asked for');
  failAfterwards = false;
  expect(folder.record.name).toBe('before');
  await folder.change({ configuration: { name: 'before' } });
  expect((await readMachine(place)).name).toBe('before');
});
