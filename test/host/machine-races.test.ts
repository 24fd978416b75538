// Checkpoints, jobs on disks, copies and deletions of one machine at the same time (@req C13, C16): each does what it would
// do alone, or is refused.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { MEMORY_LIMITS } from '../../engine/api/settings.ts';
import type { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import { elfFile } from '../../engine/firmware/loaders/samples.ts';
import { ENGINE_PARTS } from '../../engine/host/engine-parts.ts';
import { folderCalls } from '../../engine/host/folder-calls.ts';
import { exportTo } from '../../engine/host/machine-copies.ts';
import { MachineHost } from '../../engine/host/machine-host.ts';
import type { Power } from '../../engine/host/machine-power.ts';
import { Saver } from '../../engine/host/saver.ts';
import { Assembler } from '../framework/assembler.ts';
import { temporaryFolder } from './temporary-folder.ts';

// The host is this process: its threads are to be as quick as others.
vi.mock('../../engine/host/pool-priority.ts', () => ({ makePoolPolite: () => undefined }));

/** What an export of a disk waits for before it reads any of it. */
let beforeReading: Promise<void> | undefined;
vi.mock('../../engine/host/flat-disk.ts', async importOriginal => {
  const { flatDisk } = await importOriginal<typeof import('../../engine/host/flat-disk.ts')>();
  return {
    flatDisk: (...given: Parameters<typeof flatDisk>) => {
      const flat = flatDisk(...given);
      return {
        ...flat,
        runs: (async function* () {
          await beforeReading;
          yield* flat.runs;
        })(),
      };
    },
  };
});

afterEach(() => {
  vi.restoreAllMocks();
  beforeReading = undefined;
});

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

test('what a checkpoint stands on stays as it is while it is copied, also when it is deleted', async () => {
  const host = await machine();
  await host.runs.start({});
  const { id } = await host.checkpoints.take({ name: 'copied' });
  const gate = Promise.withResolvers<void>();
  onTestFinished(() => gate.resolve());
  beforeReading = gate.promise;
  const copied = exportTo(host, id, path.join(temporaryFolder(), 'copy'));
  await expect.poll(() => host.copying.size).toBe(1);
  await host.deletions.delete(id, false);
  const commit = { disk: 0, kind: 'commit' } as const;
  await expect(host.diskJobs.start(commit)).rejects.toMatchObject({ kind: 'state', message: /needs the layer below/ });
  gate.resolve();
  await copied;
  expect(host.copying.size).toBe(0);
  await host.diskJobs.start(commit);
  await jobsEnd(host);
  expect(host.jobs.views[0]).toMatchObject({ kind: 'commit', state: 'done' });
});

test('the layers of a checkpoint that was deleted while it was copied go when that is done', async () => {
  const host = await machine();
  await host.runs.start({});
  const { id } = await host.checkpoints.take({ name: 'copied' });
  const below = await host.checkpoints.take({ name: 'kept' });
  await host.runs.restore({ id: below.id });
  const layers = await host.layers.chain((await host.layers.ofCheckpoint(id))[0]!.path);
  const other = await host.checkpoints.take({ name: 'aside' });
  const [aside] = await host.layers.ofCheckpoint(other.id);
  await host.runs.restore({ id: below.id });
  await jobsEnd(host);
  const gate = Promise.withResolvers<void>();
  onTestFinished(() => gate.resolve());
  beforeReading = gate.promise;
  const copied = exportTo(host, other.id, path.join(temporaryFolder(), 'copy'));
  await expect.poll(() => host.copying.size).toBe(1);
  await host.deletions.delete(other.id, false);
  // The deletion's own job is done when only the export runs.
  await expect.poll(() => host.jobs.views.filter(({ state }) => state === 'running').length).toBe(1);
  await host.layers.collect();
  expect(existsSync(host.folder.inside(aside!.path))).toBe(true);
  gate.resolve();
  await copied;
  await expect.poll(() => existsSync(host.folder.inside(aside!.path))).toBe(false);
  for (const layer of layers) expect(existsSync(host.folder.inside(layer)), layer).toBe(true);
});

test.each(['moving there', 'starting'])(
  'a suspended machine whose start fails leaves nothing open or over: %s',
  async at => {
    const host = await machine();
    await host.runs.start({});
    await host.runs.suspend();
    const { suspended } = host.folder.process;
    const before = readdirSync(host.folder.inside('disks')).length;
    const opened: CheckpointReader[] = [];
    const { openToResume } = host.position;
    vi.spyOn(host.position, 'openToResume').mockImplementation(async id => {
      const reader = await openToResume.call(host.position, id);
      vi.spyOn(reader, 'close');
      opened.push(reader);
      return reader;
    });
    const failing = vi.spyOn(
      ...((at === 'starting' ? [host.power, 'start'] : [host.position, 'moveTo']) as [Power, 'start']),
    );
    failing.mockImplementationOnce(() => Promise.reject(new Error('as the test asked for')));
    await expect(host.runs.start({})).rejects.toThrow('as the test asked for');
    expect(opened).toHaveLength(1);
    expect(opened[0]!.close).toHaveBeenCalled();
    expect(host.folder.process).toMatchObject({ suspended });
    if (at === 'moving there') expect(readdirSync(host.folder.inside('disks'))).toHaveLength(before);
    await host.runs.start({});
    await host.layers.collect();
    expect(host.power.status.state).toBe('running');
    expect(host.folder.process.suspended).toBe(undefined);
  },
);

test('a machine of which it cannot be recorded that it has gone on does not go on', async () => {
  const host = await machine();
  await host.runs.start({});
  await host.runs.suspend();
  const { suspended } = host.folder.process;
  const { change } = host.folder;
  vi.spyOn(host.folder, 'change').mockImplementation(async given => {
    if (host.power.on && typeof given !== 'function' && given.process !== undefined && 'suspended' in given.process) {
      throw new Error('as the test asked for');
    }
    await change.call(host.folder, given);
  });
  await expect(host.runs.start({})).rejects.toThrow('as the test asked for');
  expect(host.power.on).toBe(false);
  expect(host.folder.process).toMatchObject({ suspended });
  vi.restoreAllMocks();
  await host.runs.start({});
  expect(host.power.status.state).toBe('running');
});

test('retention lets a checkpoint be that a person has just decided to keep, and its failure is none of the new one', async () => {
  const host = await machine();
  const { automatic } = host.folder.record;
  const retention = { last: 1, hourly: 0, daily: 0 };
  await host.folder.change({ configuration: { automatic: { ...automatic, retention } } });
  await host.runs.start({});
  const take = (name: string) => host.checkpoints.take({ name, origin: 'automatic' });
  const kept = await take('kept');
  const tree = await host.tree();
  const { ofCheckpoint } = host.layers;
  vi.spyOn(host.layers, 'ofCheckpoint').mockImplementation(async id => {
    if (id === kept.id && tree.node(id).origin === 'automatic') await tree.keep(id);
    return await ofCheckpoint.call(host.layers, id);
  });
  const second = await take('second');
  await jobsEnd(host);
  expect(tree.nodes.map(({ id }) => id)).toEqual([kept.id, second.id]);
  const failing = vi.spyOn(tree, 'retain').mockRejectedValue(new Error('as the test asked for'));
  const third = await take('third');
  expect(failing).toHaveBeenCalled();
  failing.mockRestore();
  await take('fourth');
  await jobsEnd(host);
  expect(tree.nodes.map(({ name }) => name)).toEqual(['kept', 'fourth']);
  expect(tree.has(third.id)).toBe(false);
});

test('a machine that is told to go on while it is being suspended goes on, and is not suspended', async () => {
  const host = await machine();
  await host.runs.start({});
  const { saving, goOn } = holdSaving();
  const suspending = host.runs.suspend();
  await saving;
  host.power.resume();
  goOn();
  await expect(suspending).rejects.toMatchObject({ kind: 'state', message: /told to go on/ });
  expect(host.power.status.state).toBe('running');
  expect(host.folder.process.suspended).toBe(undefined);
  await host.runs.suspend();
  expect(host.folder.process.suspended).toBe((await host.tree()).current);
});

test('a copy of a raw disk that a checkpoint has for itself is a layer like any, and goes with it', async () => {
  const host = await machine();
  const before = readdirSync(host.folder.inside('disks'));
  expect(host.folder.record.disks[0]).toMatchObject({ format: 'raw' });
  await host.runs.start({});
  const { id } = await host.checkpoints.take({ name: 'with a copy', copyDisks: true });
  const [copy] = await host.layers.ofCheckpoint(id);
  expect(before).not.toContain(path.basename(copy!.path));
  expect((await host.layers.facts()).map(({ path: layer }) => layer)).toContain(copy!.path);
  expect((await host.checkpoints.verify(true)).problems).toEqual([]);
  await host.deletions.delete(id, false);
  await jobsEnd(host);
  expect(existsSync(host.folder.inside(copy!.path))).toBe(false);
});
