// Runs are recorded and cut anywhere; unsynced writes are dropped, torn or kept at random. AFTERIMAGE_DISK_CUT_RUNS runs
// more of them, AFTERIMAGE_DISK_SEED replays one.
import path from 'node:path';
import { expect, it } from 'vitest';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { checkImage } from '../../../engine/disk/qcow2/check.ts';
import { createImage } from '../../../engine/disk/qcow2/create.ts';
import { readHeader } from '../../../engine/disk/qcow2/header.ts';
import { repairImage } from '../../../engine/disk/qcow2/repair.ts';
import { RawDisk } from '../../../engine/disk/raw.ts';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { FaultyFile } from './faulty-file.ts';
import { contentOf, firstDifference, loadFile, openImage, Random, randomBytes, saveFile } from './images.ts';
import { checkContent, fileAfterCut } from './power-cut.ts';
import { qemuCheck, qemuImg } from './qemu.ts';
import { Model } from './sequence.ts';

const RUNS = Number(process.env.AFTERIMAGE_DISK_CUT_RUNS ?? 60);
const CUTS = 12;
/** QEMU judges one cut of so many. */
const JUDGED = Number(process.env.AFTERIMAGE_DISK_JUDGED ?? 40);
const ONE_SEED = process.env.AFTERIMAGE_DISK_SEED;
/** Each sector of the disk is compared for each cut. */
const MOST_BYTES = 3 * 2 ** 20;

let cuts = 0;

async function cutRun(seed: number): Promise<void> {
  const random = new Random(seed);
  const files: FaultyFile[] = [];
  const wrap = (memory: MemoryFile) => {
    const file = new FaultyFile(random, memory, true);
    files.push(file);
    return file;
  };
  const model = await Model.create(random, wrap, MOST_BYTES);
  // Something to overwrite, share and free, all of it durable.
  await model.steps(random.below(6));
  if (model.options.refcountBits !== 1 && random.below(6) === 0) await takeSnapshot(model);
  await model.reopen();
  const start = model.memory.content();
  const initial = model.expected.slice();
  const file = files.at(-1)!;
  model.watch = note => file.events.push({ kind: 'note', note });
  await model.steps(1 + random.below(10));
  await model.image.close();
  const { events } = file;
  for (let index = 0; index < CUTS; index += 1) {
    const cut = random.below(events.length + 1);
    const after = fileAfterCut(start, events, cut, random);
    const context = `seed ${seed}, cut ${cut} of ${events.length}`;
    const report = await checkImage(after);
    expect(report.corruptions, `${context}: ${report.findings[0]?.message}`).toBe(0);
    const backing = model.backing && (await RawDisk.open(model.backing.file));
    const options = backing === undefined ? {} : { backing };
    const image = await openImage(after, options);
    const content = await contentOf(image);
    try {
      checkContent(initial, events, cut, content);
    } catch (cause) {
      throw new Error(context, { cause });
    }
    cuts += 1;
    if (cuts % JUDGED === 0) await judged(after, model, context);
    const repaired = await repairImage(after);
    expect(repaired.after, context).toMatchObject({ corruptions: 0, leaks: 0 });
    expect(firstDifference(await contentOf(await openImage(after, options)), content), context).toBe(-1);
  }
}

/** An internal snapshot makes every table and cluster shared: the next writes move them all. */
async function takeSnapshot(model: Model): Promise<void> {
  await model.image.close();
  const folder = temporaryFolder();
  const name = path.join(folder, 'shared.qcow2');
  await saveFile(model.memory, name);
  if (model.backing !== undefined) await saveFile(model.backing.file, path.join(folder, model.backing.file.name));
  await qemuImg('snapshot', '-c', 'shared', name);
  model.memory = await loadFile(name);
  await model.open();
}

async function judged(file: MemoryFile, model: Model, context: string): Promise<void> {
  const folder = temporaryFolder();
  const name = path.join(folder, 'cut.qcow2');
  await saveFile(file, name);
  if (model.backing !== undefined) await saveFile(model.backing.file, path.join(folder, model.backing.file.name));
  expect(await qemuCheck(name), context).toMatchObject({ corruptions: 0, errors: 0 });
}

it('a power cut at any point leaves what was flushed, or later, and no corruption', {
  timeout: 3_600_000,
}, async () => {
  if (ONE_SEED !== undefined) return await cutRun(Number(ONE_SEED));
  for (let seed = 1; seed <= RUNS; seed += 1) await cutRun(seed);
});

it('a power cut while the refcount table moves leaves one of the two', { timeout: 120_000 }, async () => {
  const random = new Random(77);
  const memory = new MemoryFile('grow.qcow2');
  // A table of 64 blocks of 64 clusters: 2 MiB of file, and then it has to move.
  await createImage(memory, { size: 2 ** 23, clusterSize: 512, refcountBits: 64 });
  const first = await openImage(memory);
  await first.write(0, [randomBytes(random, 1_800_000 - (1_800_000 % 512))]);
  await first.close();
  const start = memory.content();
  const file = new FaultyFile(random, new MemoryFile('grow.qcow2', start), true);
  const image = await openImage(file);
  for (let at = 2 ** 22; at < 2 ** 22 + 2 ** 20; at += 2 ** 17) {
    await image.write(at, [randomBytes(random, 2 ** 17)]);
    if (random.below(2) === 0) await image.flush();
  }
  await image.close();
  const places = new Set<number>();
  for (let index = 0; index < 150; index += 1) {
    const after = fileAfterCut(start, file.events, random.below(file.events.length + 1), random);
    places.add((await readHeader(after)).refcountTable.offset);
    const report = await checkImage(after);
    expect(report.corruptions, report.findings[0]?.message).toBe(0);
  }
  expect(places.size).toBeGreaterThan(1);
});

it('a power cut while tables shared with a snapshot are copied loses nothing of either', {
  timeout: 120_000,
}, async () => {
  const random = new Random(78);
  const name = path.join(temporaryFolder(), 'shared.qcow2');
  const memory = new MemoryFile('shared.qcow2');
  await createImage(memory, { size: 2 ** 20, clusterSize: 4096 });
  const first = await openImage(memory);
  const old = randomBytes(random, 2 ** 18);
  await first.write(0, [old]);
  await first.close();
  await saveFile(memory, name);
  await qemuImg('snapshot', '-c', 'shared', name);
  const start = (await loadFile(name)).content();
  const file = new FaultyFile(random, new MemoryFile('shared.qcow2', start), true);
  const image = await openImage(file);
  const data = randomBytes(random, 512);
  await image.write(8192, [data]);
  await image.flush();
  await image.close();
  for (let cut = 0; cut <= file.events.length; cut += 1) {
    for (let times = 0; times < 12; times += 1) {
      const after = fileAfterCut(start, file.events, cut, random);
      expect(await checkImage(after)).toMatchObject({ corruptions: 0 });
      const content = await contentOf(await openImage(after), 0, old.length);
      const expected = old.slice();
      if (firstDifference(content.subarray(8192, 8704), data) < 0) expected.set(data, 8192);
      expect(firstDifference(content, expected), `cut ${cut}`).toBe(-1);
    }
  }
});
