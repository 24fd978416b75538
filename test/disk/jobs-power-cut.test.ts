// Every write, flush and change of names of a job is recorded, and the power goes at any of them: the machine's disk
// reads as before, and the job can be done again.
import { expect, it } from 'vitest';
import type { Layer } from '../../engine/disk/chain/layer.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { layersFrom, openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { commit } from '../../engine/disk/jobs/commit.ts';
import { compact } from '../../engine/disk/jobs/convert.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { rebase } from '../../engine/disk/jobs/rebase.ts';
import { resizeLayer } from '../../engine/disk/jobs/resize.ts';
import { stream } from '../../engine/disk/jobs/stream.ts';
import { checkImage } from '../../engine/disk/qcow2/check.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { MemoryFolder } from './memory-folder.ts';
import { contentOf, firstDifference, Random, randomBytes } from './qcow2/images.ts';
import { codecs } from './qcow2/qemu.ts';
import { RecordingFolder } from './recording-folder.ts';

const CUTS = Number(process.env.AFTERIMAGE_JOB_CUTS ?? 60);
const SIZE = 96 * 1024;

/** Three layers with something of each in sight. */
async function chainOf(random: Random, rawBase: boolean): Promise<MemoryFolder> {
  const folder = new MemoryFolder();
  const format = rawBase ? 'raw' : 'qcow2';
  const base = `base.${format}`;
  if (rawBase) folder.add(base, randomBytes(random, SIZE));
  else {
    const file = await folder.create(base);
    await createImage(file, { size: SIZE, clusterSize: random.pick([512, 4096]) });
    await file.close();
  }
  const live = new LiveDisk(await openChain(folder, { path: base, format }, { access: 'write', codecs }));
  for (const name of ['', 'middle.qcow2', 'top.qcow2']) {
    if (name !== '')
      await live.switchTo(await createOverlay(live.active, name, { clusterSize: random.pick([512, 4096, 16_384]) }))
        .frozen;
    for (let count = 0; count < 6; count += 1) {
      const offset = 512 * random.below(SIZE / 512 - 24);
      if (random.below(4) === 0) await live.writeZeroes(offset, 512 * (1 + random.below(24)));
      else await live.write(offset, [randomBytes(random, 512 * (1 + random.below(24)))]);
    }
  }
  await live.close();
  return folder;
}

type Deed = (live: LiveDisk, note: (top: string) => void, name: () => string) => Promise<void>;

const commitOf =
  (index: number): Deed =>
  async (live, note, newName) => {
    const layer = layersFrom(live.active)[index];
    if (layer?.backing === undefined) return;
    const job = new Job('commit');
    const record = async (path: string) => note(path);
    await job.run(() =>
      commit({ live, job, newName, record, needed: () => undefined, overlay: { clusterSize: 4096 } }, layer),
    );
  };

const DEEDS: Readonly<Record<string, Deed>> = {
  'commit of the active layer': commitOf(0),
  'commit of a middle layer': commitOf(1),
  stream: async live => {
    const job = new Job('stream');
    await job.run(() => stream({ live, job }, live.active, undefined));
  },
  'stream to a base': async live => {
    const below = layersFrom(live.active);
    if (below.length < 3) return;
    const job = new Job('stream');
    await job.run(() => stream({ live, job }, live.active, below[2]));
  },
  rebase: async live => {
    const below = layersFrom(live.active);
    if (below.length < 3) return;
    const job = new Job('rebase');
    await job.run(() => rebase(live.active, below[2], job));
  },
  compact: async live => {
    const job = new Job('compact');
    await job.run(() => compact(live.active, { compress: true }, job));
  },
  overlay: async (live, note, newName) => {
    const overlay = await createOverlay(live.active, newName());
    note(overlay.path);
    await live.switchTo(overlay).frozen;
  },
  grow: async live => await resizeLayer(live.active, SIZE + 16 * 2 ** 20),
  shrink: async live => await resizeLayer(live.active, SIZE / 2),
};

const formatOf = (path: string) => (path.endsWith('.raw') ? 'raw' : 'qcow2');

async function open(folder: MemoryFolder, path: string): Promise<LiveDisk> {
  return new LiveDisk(await openChain(folder, { path, format: formatOf(path) }, { access: 'write', codecs }));
}

async function expectContent(live: LiveDisk, expected: Uint8Array, what: string): Promise<void> {
  const sizes = [expected.length, SIZE, SIZE / 2, SIZE + 16 * 2 ** 20];
  expect(sizes, what).toContain(live.active.size);
  const length = Math.min(live.active.size, SIZE);
  const got = await contentOf(live.active, 0, length);
  const sure = Math.min(length, SIZE / 2);
  // A disk that is being made smaller may have lost the end that it is to lose.
  const upTo = what.startsWith('shrink') ? sure : length;
  expect(firstDifference(got.subarray(0, upTo), expected.subarray(0, upTo)), what).toBe(-1);
}

async function expectSound(layers: readonly Layer[], folder: MemoryFolder, what: string): Promise<void> {
  for (const { path, format } of layers) {
    if (format === 'raw') continue;
    expect((await checkImage(await folder.open(path, 'read'))).corruptions, `${what} ${path}`).toBe(0);
  }
}

it.each(Object.keys(DEEDS))('power cuts of %s', { timeout: 120_000 }, async kind => {
  const deed = DEEDS[kind]!;
  for (let seed = 1; seed <= 6; seed += 1) {
    const random = new Random(seed);
    const before = await chainOf(random, seed % 2 === 0);
    const expected = await contentOf(await open(before, 'top.qcow2'));
    const recording = new RecordingFolder(before);
    let names = 0;
    const newName = () => {
      names += 1;
      return `new${names}.qcow2`;
    };
    const live = await open(recording, 'top.qcow2');
    await deed(live, top => recording.note(top), newName);
    await expectContent(live, expected, `${kind} done`);
    const total = recording.events.length;
    for (let index = 0; index <= Math.min(CUTS, total); index += 1) {
      const cut = total <= CUTS ? index : random.below(total + 1);
      const what = `${kind}, seed ${seed}, cut ${cut} of ${total}`;
      const { folder, note = 'top.qcow2' } = recording.afterCut(cut, random);
      const reopened = await open(folder, note);
      await expectContent(reopened, expected, what);
      await expectSound(layersFrom(reopened.active), folder, what);
      await deed(
        reopened,
        () => undefined,
        () => `again-${newName()}`,
      );
      await expectContent(reopened, expected, `${what}, done again`);
      await reopened.close();
    }
  }
});
