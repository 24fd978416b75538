// Random sequences against a plain array, judged by QEMU at the end. AFTERIMAGE_DISK_SEED replays one sequence,
// AFTERIMAGE_DISK_SEQUENCES runs more of them; AFTERIMAGE_DISK_JUDGED=1 shows each to QEMU.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { FaultyFile } from './faulty-file.ts';
import { Random, saveFile } from './images.ts';
import { qemuCheck, qemuImg } from './qemu.ts';
import { Model } from './sequence.ts';

const SEQUENCES = Number(process.env.AFTERIMAGE_DISK_SEQUENCES ?? 300);
const ONE_SEED = process.env.AFTERIMAGE_DISK_SEED;
/** QEMU takes a tenth of a second to judge an image. */
const JUDGED = Number(process.env.AFTERIMAGE_DISK_JUDGED ?? 10);

async function sequence(seed: number, judge: boolean): Promise<void> {
  const random = new Random(seed);
  // Half of them on a file that answers late and out of order.
  const late = random.below(2) === 0;
  const model = await Model.create(random, memory => (late ? new FaultyFile(random, memory) : memory));
  const rounds = 1 + random.below(4);
  for (let round = 0; round < rounds; round += 1) {
    await model.steps(1 + random.below(8));
    await model.verify();
    await model.reopen();
  }
  await model.verify();
  await model.image.close();
  if (judge) await judgedByQemu(model);
}

async function judgedByQemu(model: Model): Promise<void> {
  const folder = temporaryFolder();
  const file = path.join(folder, 'model.qcow2');
  await saveFile(model.memory, file);
  if (model.backing !== undefined) await writeFile(path.join(folder, 'base.raw'), model.backing.content);
  await writeFile(`${file}.raw`, model.expected);
  const message = `seed ${model.random.seed}`;
  expect(await qemuCheck(file), message).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
  await expect(qemuImg('compare', '-f', 'qcow2', '-F', 'raw', file, `${file}.raw`), message).resolves.toMatch(
    'identical',
  );
}

it('random sequences read back what was written, and QEMU agrees', { timeout: 3_600_000 }, async () => {
  if (ONE_SEED !== undefined) {
    await sequence(Number(ONE_SEED), true);
    return;
  }
  for (let seed = 1; seed <= SEQUENCES; seed += 1) {
    try {
      await sequence(seed, seed % JUDGED === 0);
    } catch (cause) {
      throw new Error(`Sequence ${seed} failed; AFTERIMAGE_DISK_SEED=${seed} replays it`, { cause });
    }
  }
});
