// Random sequences of requests, overlays, switches and jobs against a plain array, judged by our check each time and by
// QEMU for a sample. AFTERIMAGE_JOBS_SEED replays one, AFTERIMAGE_JOBS_SEQUENCES runs more.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { checkImage } from '../../engine/disk/qcow2/check.ts';
import { repairImage } from '../../engine/disk/qcow2/repair.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { DelayedFile } from './delayed-file.ts';
import { JobsMachine } from './jobs-machine.ts';
import { MemoryFolder } from './memory-folder.ts';
import { Random } from './qcow2/images.ts';
import { qemuCheck, qemuImg } from './qcow2/qemu.ts';
import { RealFolder } from './real-folder.ts';

const SEQUENCES = Number(process.env.AFTERIMAGE_JOBS_SEQUENCES ?? 2000);
const ONE_SEED = process.env.AFTERIMAGE_JOBS_SEED;
/** QEMU takes a tenth of a second to judge an image. */
const JUDGED = Number(process.env.AFTERIMAGE_JOBS_JUDGED ?? 100);

async function sequence(seed: number, judge: boolean, real = false): Promise<void> {
  const random = new Random(seed);
  const delayed = random.below(2) === 0;
  const folder = real ? new RealFolder() : new MemoryFolder(file => (delayed ? new DelayedFile(file, random) : file));
  const machine = await JobsMachine.create(random, folder);
  try {
    const steps = 4 + random.below(12);
    for (let step = 0; step < steps; step += 1) {
      const kind = random.below(13);
      if (kind < 3) await machine.overlay();
      else if (kind < 6) await machine.liveJob();
      else if (kind === 6) await machine.reopen();
      else if (kind === 7) await machine.offlineJob();
      else if (kind === 8) await machine.bitmap();
      else if (kind === 9) await machine.crash();
      else if (kind === 10) await machine.grow();
      else for (let count = random.below(4); count >= 0; count -= 1) await machine.requests();
    }
    await machine.verify();
    const { layers, recorded } = machine;
    await machine.live.close();
    if (machine.folder.opened !== 0) throw new Error('Files are left open');
    for (const { path: name, format } of layers) {
      if (format === 'raw') continue;
      const file = await machine.folder.open(name, 'write');
      if (machine.crashed && (await checkImage(file)).corruptions === 0) await repairImage(file);
      const { corruptions, leaks, findings } = await checkImage(file);
      await file.close();
      if (corruptions + leaks > 0) throw new Error(`${name}: ${JSON.stringify(findings)}`);
    }
    if (judge) await judgedByQemu(machine, recorded.path, recorded.format);
  } catch (cause) {
    const message = `${machine.log.slice(-12).join('\n')}\nSequence ${seed} failed; AFTERIMAGE_JOBS_SEED=${seed} replays it`;
    throw new Error(message, { cause });
  }
}

async function judgedByQemu(machine: JobsMachine, top: string, format: string): Promise<void> {
  const folder = temporaryFolder();
  for (const name of machine.folder.paths) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), machine.folder.content(name));
  }
  const file = path.join(folder, top);
  writeFileSync(path.join(folder, 'expected'), machine.expected);
  if (format === 'qcow2') expect(await qemuCheck(file)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  const compared = await qemuImg('compare', '-f', format, '-F', 'raw', file, path.join(folder, 'expected'));
  expect(compared).toMatch('identical');
}

it('random sequences of requests and jobs lose nothing', { timeout: 3_600_000 }, async () => {
  if (ONE_SEED !== undefined) return await sequence(Number(ONE_SEED), true);
  for (let seed = 1; seed <= SEQUENCES; seed += 1) await sequence(seed, seed % JUDGED === 0);
});

it('a sample of them loses nothing on files of the host either', { timeout: 3_600_000 }, async () => {
  for (let seed = 1; seed <= SEQUENCES / 50; seed += 1) await sequence(seed, seed % 5 === 0, true);
});
