// The P→M map under a running guest: virtualized, scattered, shared and devirtualized again and again while a program
// hashes its own memory and the witness works (V2-V9, V12); checkpoints in between.
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { DevirtualizeArguments } from '../../engine/api/memory.ts';
import type { DiskSettings } from '../../engine/api/settings.ts';
import { LiveMachine } from '../framework/live-machine.ts';
import { installWitness, witnessDisk } from '../guest/witness/witness.ts';
import { temporaryFolder } from './temporary-folder.ts';

const MIB = 2 ** 20;
const MODES = ['concurrent', 'paused'] as const;
const STRATEGIES = ['search', 'refcount', 'backmap'] as const;

function emptyDisk(folder: string, name: string): DiskSettings {
  const file = path.join(folder, name);
  writeFileSync(file, '');
  truncateSync(file, 32 * MIB);
  return { path: file, format: 'raw', readonly: false, temporary: false };
}

async function whenIdle(live: LiveMachine): Promise<void> {
  while ((await live.engine.memory.view(undefined, 1)).busy) await new Promise(resolve => setTimeout(resolve, 5));
}

test('memory comes and goes behind the guest', async () => {
  const folder = temporaryFolder();
  const disks = [witnessDisk(), emptyDisk(folder, 'a.raw'), emptyDisk(folder, 'b.raw')];
  const live = await LiveMachine.start({ folder, memory: 128 * MIB, disks });
  await live.prompt();
  await live.run(installWitness('vda'));
  live.type('witness hash 24 & witness check /dev/vdb /dev/vdc 4\n');
  await live.link.until(
    'work',
    () => /witness [1-9]\d* ok/.test(live.link.output) && live.link.output.includes('hash 0'),
  );
  const { memory } = live.engine;
  // All of it, and a part; pages outside stay where they are.
  for (const range of [undefined, { first: 4000, count: 9000 }]) {
    const within = range === undefined ? {} : { range };
    for (const mode of MODES) {
      for (const reverse of STRATEGIES) {
        await memory.virtualize(range);
        await memory.scatter(7, range);
        await whenIdle(live);
        const scattered = await memory.view(undefined, 64);
        expect(scattered.counts.remapped).toBeGreaterThan(5000);
        expect(scattered.mapFrames).toBeGreaterThan(0);
        await memory.share();
        await whenIdle(live);
        const shared = await memory.view(undefined, 64);
        expect(shared.counts.shared).toBeGreaterThan(100);
        await live.take();
        const devirtualize: DevirtualizeArguments = { mode, reverse, ...within };
        await memory.devirtualize(range, devirtualize);
        await whenIdle(live);
        const after = await memory.view(undefined, 64);
        expect(after, `${mode} ${reverse}`).toMatchObject({ virtualized: [], mapFrames: 0 });
        expect(after.counts).toMatchObject({ remapped: 0, shared: 0, virtualized: 0 });
      }
    }
  }
  const from = live.link.output.length;
  await live.link.until('both to go on', () => {
    const since = live.link.output.slice(from);
    return (/witness \d+ ok/.test(since) && /hash \d+ same/.test(since)) || since.includes('BROKEN');
  });
  expect(live.link.output).not.toContain('BROKEN');
  live.link.command({ kind: 'pause' });
  const { id } = await live.take();
  expect(await live.differences(id)).toMatchObject({ count: 0 });
  await live.stop();
});
