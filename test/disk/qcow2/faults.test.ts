// The host fails now and then: the error reaches whoever asked, nothing else is lost, nothing is damaged.
// AFTERIMAGE_DISK_FAULT_RUNS runs more, AFTERIMAGE_DISK_SEED replays one.
import path from 'node:path';
import { expect, it } from 'vitest';
import { AfterimageError } from '../../../engine/base/errors.ts';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { checkImage } from '../../../engine/disk/qcow2/check.ts';
import { createImage } from '../../../engine/disk/qcow2/create.ts';
import { RawDisk } from '../../../engine/disk/raw.ts';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { FaultyFile, type FileEvent, type FileOperation, hostFault } from './faulty-file.ts';
import { contentOf, firstDifference, openImage, Random, randomBytes, saveFile } from './images.ts';
import { checkContent } from './power-cut.ts';
import { qemuCheck } from './qemu.ts';
import { Model } from './sequence.ts';

const RUNS = Number(process.env.AFTERIMAGE_DISK_FAULT_RUNS ?? 100);
const ONE_SEED = process.env.AFTERIMAGE_DISK_SEED;
const MOST_BYTES = 3 * 2 ** 20;

/** Makes `count` operations of a kind fail from the `first` on. */
function failing(kind: FileOperation, first: number, count: number): FaultyFile['fault'] {
  let seen = 0;
  return operation => {
    if (operation !== kind) return;
    seen += 1;
    if (seen > first && seen <= first + count) throw hostFault(operation, kind === 'write' ? 'no-space' : 'io');
  };
}

async function faultRun(seed: number): Promise<number> {
  const random = new Random(seed);
  const files: FaultyFile[] = [];
  const wrap = (memory: MemoryFile) => {
    files.push(new FaultyFile(random, memory));
    return files.at(-1)!;
  };
  const model = await Model.create(random, wrap, MOST_BYTES);
  await model.steps(random.below(4));
  await model.flush();
  const initial = model.expected.slice();
  const events: FileEvent[] = [];
  model.watch = note => events.push({ kind: 'note', note });
  const file = files.at(-1)!;
  let failures = 0;
  for (let round = 0; round < 4; round += 1) {
    file.fault = failing(
      random.pick(['read', 'write', 'write', 'flush']),
      random.below(30),
      random.pick([1, 1, 3, 1000]),
    );
    for (let step = 0; step < 6; step += 1) {
      await model.steps(1).catch(thrown => {
        if (!(thrown instanceof AfterimageError) || thrown.message !== hostFault('read').message) throw thrown;
        failures += 1;
      });
      // What failed may or may not have happened; whatever it is now must stay.
      const fault = file.fault;
      file.fault = () => undefined;
      const content = await contentOf(model.image);
      checkContent(initial, events, events.length, content);
      model.expected.set(content);
      file.fault = fault;
    }
  }
  file.fault = () => undefined;
  await model.flush();
  await model.image.close();
  const report = await checkImage(new MemoryFile('closed', model.memory.content()));
  expect(report.corruptions, `seed ${seed}: ${report.findings[0]?.message}`).toBe(0);
  const backing = model.backing && (await RawDisk.open(model.backing.file));
  const again = await openImage(
    new MemoryFile('again', model.memory.content()),
    backing === undefined ? {} : { backing },
  );
  expect(firstDifference(await contentOf(again), model.expected), `seed ${seed}`).toBe(-1);
  if (seed % 10 === 0) {
    const folder = temporaryFolder();
    await saveFile(model.memory, path.join(folder, 'a.qcow2'));
    if (model.backing !== undefined) await saveFile(model.backing.file, path.join(folder, model.backing.file.name));
    expect(await qemuCheck(path.join(folder, 'a.qcow2'))).toMatchObject({ corruptions: 0, errors: 0 });
  }
  return failures;
}

it('failures of the host surface and damage nothing', { timeout: 3_600_000 }, async () => {
  if (ONE_SEED !== undefined) {
    await faultRun(Number(ONE_SEED));
    return;
  }
  let failures = 0;
  for (let seed = 1; seed <= RUNS; seed += 1) failures += await faultRun(seed);
  expect(failures).toBeGreaterThan(RUNS);
});

it('a cluster is not reused while a read that has looked it up still runs', { timeout: 20_000 }, async () => {
  const random = new Random(5);
  const memory = new MemoryFile('a.qcow2');
  await createImage(memory, { size: 2 ** 20 });
  const content = randomBytes(random, 65_536);
  const image = await openImage(memory);
  await image.write(0, [content]);
  await image.close();
  const bytes = memory.content();
  // Without the flag for "alone" the next write moves the cluster and frees the old one.
  const view = new DataView(bytes.buffer);
  const table = Number(view.getBigUint64(Number(view.getBigUint64(40))) & 0xffff_ffff_fe00n);
  bytes[table] = 0;

  const file = new FaultyFile(random, new MemoryFile('a.qcow2', bytes));
  const opened = await openImage(file);
  await opened.write(2 ** 19, [new Uint8Array(512)]);
  const hold = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const read = file.read.bind(file);
  file.read = async (at, into) => {
    held.resolve();
    await hold.promise;
    await read(at, into);
  };
  const first = new Uint8Array(512);
  const reading = opened.read(0, [first]);
  await held.promise;
  file.read = read;
  // The whole cluster is replaced but for its first sector, which is copied out of the old one.
  await opened.write(512, [new Uint8Array(65_536 - 512).fill(1)]);
  await opened.flush();
  await opened.flush();
  await opened.write(131_072, [new Uint8Array(65_536).fill(2)]);
  await opened.write(196_608, [new Uint8Array(65_536).fill(3)]);
  hold.resolve();
  await reading;
  expect(firstDifference(first, content.subarray(0, 512))).toBe(-1);
  await opened.close();
  expect(await checkImage(new MemoryFile('closed', file.memory.content()))).toMatchObject({ corruptions: 0, leaks: 0 });
});
