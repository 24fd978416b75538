// Checkpoints, jobs on disks, copies and deletions of one machine at the same time (@req C13, C16): each does what it would
// do alone, or is refused.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { MEMORY_LIMITS } from '../../engine/api/settings.ts';
import { elfFile } from '../../engine/firmware/loaders/samples.ts';
import { ENGINE_PARTS } from '../../engine/host/engine-parts.ts';
import { folderCalls } from '../../engine/host/folder-calls.ts';
import { MachineHost } from '../../engine/host/machine-host.ts';
import { Saver } from '../../engine/host/saver.ts';
import { Assembler } from '../framework/assembler.ts';
import { temporaryFolder } from './temporary-folder.ts';

// The host is this process: its threads are to be as quick as others.
vi.mock('../../engine/host/pool-priority.ts', () => ({ makePoolPolite: () => undefined }));

afterEach(() => vi.restoreAllMocks());

/** Counts for ever. */
const PROGRAM = `
  start: li t0, 0x80200000
  ld t2, 0(t0)
  addi t2, t2, 1
  sd t2, 0(t0)
  j start`;

async function machine(): Promise<MachineHost> {
  const place = temporaryFolder();
  const library = path.join(place, 'library');
  mkdirSync(library);
  const assembler = new Assembler(0x80000000);
  assembler.text(PROGRAM);
  const elf = path.join(place, 'program.elf');
  const segments = [{ virtual: 0x80000000n, bytes: assembler.build() }];
  writeFileSync(elf, elfFile({ segments, entry: 0x80000000n, symbols: {} }));
  const raw = path.join(place, 'disk.raw');
  writeFileSync(raw, Buffer.alloc(256 * 1024, 'abcdefgh'));
  const folder = path.join(library, 'machine');
  await folderCalls().create({
    folder,
    machine: {
      name: 'Machine',
      memory: MEMORY_LIMITS.smallest,
      boot: { kind: 'files', elf },
      disks: [{ kind: 'existing', path: raw, format: 'raw', mode: 'persistent' }],
      automatic: { ...USUAL_AUTOMATIC, beforeRestore: false },
    },
  });
  const host = await MachineHost.open({ folder, engine: ENGINE_PARTS });
  onTestFinished(() => host.close());
  return host;
}

/** The next checkpoint stays in the middle of being saved until it is let go on. */
function holdSaving(): { readonly saving: Promise<void>; goOn(): void } {
  const saving = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  onTestFinished(() => gate.resolve());
  const { saveLate } = Saver.prototype;
  vi.spyOn(Saver.prototype, 'saveLate').mockImplementationOnce(async function (this: Saver) {
    saving.resolve();
    await gate.promise;
    await saveLate.call(this);
  });
  return { saving: saving.promise, goOn: gate.resolve };
}

async function jobsEnd(host: MachineHost): Promise<void> {
  while (host.jobs.busy) await new Promise(resolve => setImmediate(resolve));
}

test('what a checkpoint stands on is not committed while it is saved', async () => {
  const host = await machine();
  await host.runs.start({});
  const first = await host.checkpoints.take({ name: 'first' });
  await host.deletions.delete(first.id, false);
  await jobsEnd(host);
  const layer = host.folder.activeLayer(0);
  const { saving, goOn } = holdSaving();
  const taking = host.checkpoints.take({ name: 'second' });
  await saving;
  expect(host.folder.activeLayer(0)).not.toBe(layer);
  await host.diskJobs.start({ disk: 0, kind: 'commit', layer });
  await jobsEnd(host);
  expect(host.jobs.views[0]).toMatchObject({ kind: 'commit', state: 'failed', error: { kind: 'state' } });
  goOn();
  const { id } = await taking;
  await (await host.position.openToResume(id)).close();
  // Once it is deleted, the layer may go.
  await host.deletions.delete(id, false);
  await jobsEnd(host);
  await host.diskJobs.start({ disk: 0, kind: 'commit', layer });
  await jobsEnd(host);
  expect(host.jobs.views[0]).toMatchObject({ kind: 'commit', state: 'done' });
  expect(readdirSync(host.folder.inside('disks'))).not.toContain(path.basename(layer));
});
