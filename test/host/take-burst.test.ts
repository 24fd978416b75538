// Checkpoints that come faster than layers are merged: they wait, none is refused, and nothing of the disks is lost.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { MEMORY_LIMITS } from '../../engine/api/settings.ts';
import { closeChain, openChain } from '../../engine/disk/chain/open.ts';
import { elfFile } from '../../engine/firmware/loaders/samples.ts';
import { clusterCodecs } from '../../engine/host/disk-codecs.ts';
import { ENGINE_PARTS } from '../../engine/host/engine-parts.ts';
import { folderCalls } from '../../engine/host/folder-calls.ts';
import { MachineHost } from '../../engine/host/machine-host.ts';
import { OwnedFolder } from '../../engine/host/owned-folder.ts';
import { Assembler } from '../framework/assembler.ts';
import { temporaryFolder } from './temporary-folder.ts';

// The host is this process: its threads are to be as quick as others.
vi.mock('../../engine/host/pool-priority.ts', () => ({ makePoolPolite: () => undefined }));

const LIMITS = { long: 4, waits: 6, longest: 12 };
const TAKES = 40;

test('a burst of checkpoints waits for layers to be merged, and all of them are taken', async () => {
  const place = temporaryFolder();
  const folder = path.join(place, 'machine');
  const content = Buffer.alloc(192 * 1024, 'abcdefgh');
  writeFileSync(path.join(place, 'disk.raw'), content);
  const assembler = new Assembler(0x80000000);
  assembler.text('start: j start');
  const elf = path.join(place, 'program.elf');
  const segment = { virtual: 0x80000000n, bytes: assembler.build() };
  writeFileSync(elf, elfFile({ segments: [segment], entry: 0x80000000n, symbols: {} }));
  await folderCalls().create({
    folder,
    machine: {
      name: 'Machine',
      memory: MEMORY_LIMITS.smallest,
      boot: { kind: 'files', elf },
      disks: [
        { kind: 'existing', path: path.join(place, 'disk.raw'), format: 'raw', mode: 'persistent' },
        { kind: 'new', size: 128 * 1024, format: 'qcow2' },
      ],
      automatic: { ...USUAL_AUTOMATIC, retention: { last: 2, hourly: 0, daily: 0 } },
    },
  });
  const host = await MachineHost.open({ folder, engine: ENGINE_PARTS, chains: LIMITS });
  onTestFinished(() => host.close());
  await host.runs.start({});

  // How long each waited for room, by what was the case when it began to.
  const refuse = host.diskJobs.refuseLongChains.bind(host.diskJobs);
  let waited = 0;
  let longest = 0;
  const lengths = () =>
    Promise.all(
      host.folder.record.disks.map(async (_, disk) => (await host.layers.chain(host.folder.activeLayer(disk))).length),
    );
  host.diskJobs.refuseLongChains = async () => {
    const before = Math.max(...(await lengths()));
    // While it waits it can be seen, and by its name.
    expect((await host.status()).taking).toMatchObject({
      phase: 'preparing',
      name: expect.stringMatching(/^take \d+$/),
    });
    await refuse();
    const after = Math.max(...(await lengths()));
    if (before >= LIMITS.waits && after < before) waited += 1;
    longest = Math.max(longest, after);
  };
  const ids: string[] = [];
  for (let take = 0; take < TAKES; take += 1) {
    ids.push((await host.checkpoints.take({ name: `take ${take}`, origin: 'automatic' })).id);
  }
  expect(new Set(ids).size).toBe(TAKES);
  expect(waited).toBeGreaterThan(0);
  expect(longest).toBeLessThan(LIMITS.longest);
  await host.power.cut();
  while (host.jobs.busy) await new Promise(resolve => setImmediate(resolve));

  const { nodes } = await host.tree();
  expect(nodes.map(({ id }) => id)).toEqual(expect.arrayContaining(ids.slice(-2)));
  expect((await host.checkpoints.verify(true)).problems).toEqual([]);
  const [disk] = host.folder.record.disks;
  const chain = await openChain(
    new OwnedFolder(folder),
    { path: disk!.file, format: disk!.format },
    { access: 'read', codecs: clusterCodecs },
  );
  const found = Buffer.alloc(content.length);
  await chain.read(0, [found]);
  await closeChain(chain);
  expect(found.equals(content)).toBe(true);
}, 120_000);
