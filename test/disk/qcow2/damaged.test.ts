// Damaged images: each gives a typed error or some content, in bounded time; never another exception.
// AFTERIMAGE_DISK_FUZZ_CASES runs more of them, AFTERIMAGE_DISK_SEED replays one.
import path from 'node:path';
import { expect, it } from 'vitest';
import { AfterimageError } from '../../../engine/base/errors.ts';
import { MemoryFile } from '../../../engine/disk/memory-file.ts';
import { checkImage } from '../../../engine/disk/qcow2/check.ts';
import { type CreateOptions, createImage } from '../../../engine/disk/qcow2/create.ts';
import type { Qcow2Image } from '../../../engine/disk/qcow2/image.ts';
import { repairImage } from '../../../engine/disk/qcow2/repair.ts';
import { RawDisk } from '../../../engine/disk/raw.ts';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { compressibleBytes, loadFile, openImage, Random, randomBytes } from './images.ts';
import { qemuImg, qemuIo } from './qemu.ts';

const CASES = Number(process.env.AFTERIMAGE_DISK_FUZZ_CASES ?? 2500);
const ONE_SEED = process.env.AFTERIMAGE_DISK_SEED;
/** Far more than any case needs, far less than a hang. */
const MOST_MILLISECONDS = 10_000;

async function ours(options: CreateOptions): Promise<Uint8Array> {
  const random = new Random(options.size);
  const file = new MemoryFile('seed');
  await createImage(file, options);
  const image = await openImage(file, options.backing ? { backing: await base() } : {});
  await image.write(1024, [randomBytes(random, 9000)]);
  await image.writeZeroes(16_384, 8192);
  await image.writeCompressed(0, compressibleBytes(random, options.clusterSize!));
  await image.close();
  return file.content();
}

async function base(): Promise<RawDisk> {
  return await RawDisk.open(new MemoryFile('base.raw', new Uint8Array(50_000).fill(7), true));
}

async function theirs(options: string, commands: readonly string[]): Promise<Uint8Array> {
  const file = path.join(temporaryFolder(), 'a.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, file, '1M');
  await qemuIo(file, commands);
  if (!options.includes('0.10')) await qemuImg('bitmap', '--add', file, 'b');
  await qemuImg('snapshot', '-c', 'one', file);
  await qemuIo(file, commands);
  return (await loadFile(file)).content();
}

async function seeds(): Promise<Uint8Array[]> {
  const backing = { path: 'base.raw', format: 'raw' };
  const writes = ['write -P 1 0 40k', 'write -z 48k 16k', 'write -P 2 900k 64k'];
  return [
    await ours({ size: 100_352, clusterSize: 512 }),
    await ours({ size: 100_352, clusterSize: 4096, backing }),
    await ours({ size: 300_032, clusterSize: 16_384, extendedL2: true, compression: 'zstd', backing }),
    await ours({ size: 65_536, clusterSize: 1024, refcountBits: 1, preallocation: 'metadata' }),
    await ours({ size: 65_536, clusterSize: 512, refcountBits: 64 }),
    await theirs('compat=0.10,cluster_size=1024', ['write -P 1 0 40k']),
    await theirs('cluster_size=2048', writes),
    await theirs('cluster_size=16384,extended_l2=on', writes),
  ];
}

/** Where the tables are that are worth damaging, beside the header. */
function tablesOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const at = (offset: number) => Number(view.getBigUint64(offset) & 0x00ff_ffff_ffff_fe00n);
  const l1 = at(40);
  const table = at(48);
  return [0, 0, 0, l1, l1, at(l1), at(l1), table, table, at(table), at(64)].filter(start => start < bytes.length);
}

const EXTREMES = [
  0n,
  1n,
  0xffn,
  0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_ffffn,
  1n << 62n,
  1n << 63n,
  512n,
];

function damage(random: Random, seed: Uint8Array): Uint8Array {
  const bytes = seed.slice();
  const view = new DataView(bytes.buffer);
  const starts = tablesOf(bytes);
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const start = random.pick(starts);
    const at = Math.min(bytes.length - 8, start + random.below(start === 0 ? 200 : 96));
    const word = at - (at % 8);
    const kind = random.below(6);
    if (kind === 0) bytes[at] = random.word();
    else if (kind === 1) bytes[at]! ^= 1 << random.below(8);
    else if (kind === 2) view.setBigUint64(word, random.pick(EXTREMES));
    else if (kind === 3)
      view.setUint32(at - (at % 4), random.pick([0, 1, 2, 0xffff, 0x7fffffff, 0xffffffff, random.word()]));
    else if (kind === 4)
      view.setBigUint64(word, view.getBigUint64(word) + BigInt(random.pick([1, 512, 1024, 4096, 65_536])));
    else view.setBigUint64(word, (1n << 63n) | BigInt(random.below(bytes.length / 512) * 512));
  }
  return random.below(12) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes;
}

/** Runs a step that may fail, but only in the way that damage may. */
async function tolerated<Result>(step: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await step();
  } catch (thrown) {
    if (!(thrown instanceof AfterimageError) || thrown.kind === 'internal') throw thrown;
    return undefined;
  }
}

async function use(random: Random, image: Qcow2Image): Promise<void> {
  await tolerated(() => image.snapshots());
  for (let step = 0; step < 12; step += 1) {
    const length = Math.min(image.size, 512 * (1 + random.below(40)));
    const offset = 512 * random.below((Math.min(image.size, random.pick([2 ** 17, 2 ** 50])) - length) / 512 + 1);
    await tolerated(() => image.read(offset, [new Uint8Array(length)]));
    await tolerated(() => image.allocation(offset, length));
    const kind = random.below(4);
    if (kind === 0) await tolerated(() => image.write(offset, [new Uint8Array(length).fill(step)]));
    else if (kind === 1) await tolerated(() => image.writeZeroes(offset, length));
    else if (kind === 2) await tolerated(() => image.discard(offset, length));
    else await tolerated(() => image.flush());
  }
  await tolerated(() => image.close());
}

async function fuzzCase(seed: number, images: readonly Uint8Array[]): Promise<boolean> {
  const random = new Random(seed);
  const bytes = damage(random, random.pick(images));
  const started = performance.now();
  const readonly = random.below(3) === 0;
  const file = new MemoryFile('damaged', bytes, readonly);
  const image = await tolerated(async () => {
    const opened = await openImage(file);
    return opened.header.backing === undefined ? opened : await openImage(file, { backing: await base() });
  });
  if (image !== undefined) await use(random, image);
  await tolerated(() => checkImage(new MemoryFile('damaged', bytes, true)));
  const repaired = new MemoryFile('damaged', bytes);
  const giveUpLost = random.below(2) === 0;
  const report = await tolerated(() => repairImage(repaired, { giveUpLost }));
  if (report !== undefined) expect(report.after.leaks).toBe(0);
  if (report !== undefined && report.lost > 0) await tolerated(() => repairedAgain(repaired));
  expect(performance.now() - started).toBeLessThan(MOST_MILLISECONDS);
  return image !== undefined;
}

/** What was given up is not found lost again. */
async function repairedAgain(file: MemoryFile): Promise<void> {
  expect((await repairImage(file, { giveUpLost: true })).lost).toBe(0);
}

it('damaged images give typed errors or content', { timeout: 3_600_000 }, async () => {
  const images = await seeds();
  if (ONE_SEED !== undefined) {
    await fuzzCase(Number(ONE_SEED), images);
    return;
  }
  let opened = 0;
  for (let seed = 1; seed <= CASES; seed += 1) {
    try {
      if (await fuzzCase(seed, images)) opened += 1;
    } catch (cause) {
      throw new Error(`Case ${seed} failed; AFTERIMAGE_DISK_SEED=${seed} replays it`, { cause });
    }
  }
  // Damage that is only ever refused at the door would test nothing behind it.
  expect(opened).toBeGreaterThan(CASES / 4);
});
