// How fast checkpoints are written and read, beside plain writes of the same bytes, in one run. GIB sets the size of the
// machine's memory, of which 60 % has content; RUNS how often each is measured; FOLDER where (not a RAM disk).
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { constants, deflateRaw, zstdCompress, zstdDecompress } from 'node:zlib';
import type { BlockCodecs } from '../../engine/checkpoint/codecs.ts';
import { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import { CheckpointWriter } from '../../engine/checkpoint/writer.ts';
import { MACHINE } from '../checkpoint/content.ts';
import { nodeFolder } from '../checkpoint/node-folder.ts';
import { Random } from '../contract/random.ts';
import { sampleOf } from './statistics.ts';

const RUNS = Number(process.env.RUNS ?? 3);
const PAGE = 4096;
const PAGES = Math.round(Number(process.env.GIB ?? 1) * 262_144);
const MIB = 2 ** 20;
// Pages are taken from here over and over; far larger than what zstd sees at once.
const POOL_PAGES = 8192;

/** Bytes that compress about as a guest's memory does: numbers, pointers that share their upper half, text. */
function poolOf(random: Random): Uint8Array {
  const pool = new Uint8Array(new SharedArrayBuffer(POOL_PAGES * PAGE));
  const words = new Uint32Array(pool.buffer);
  for (let page = 0; page < POOL_PAGES; page += 1) {
    const kind = random.below(4);
    for (let at = page * 1024; at < (page + 1) * 1024; at += 2) {
      words[at] = kind === 0 ? random.word() : kind === 3 ? random.below(8) : random.below(2 ** 20) << 3;
      words[at + 1] = kind === 0 ? random.word() : kind === 1 ? 0xffffffd8 : random.below(300);
    }
  }
  return pool;
}

const pool = poolOf(new Random(1));
const frames = Array.from({ length: POOL_PAGES }, (_, page) => pool.subarray(page * PAGE, (page + 1) * PAGE));
const zero = new Uint8Array(new SharedArrayBuffer(PAGE));
/** Content in stretches, as a guest has it. */
const frameOf = (page: number) => ((page >> 8) % 5 < 3 ? frames[(page * 7 + (page >> 13)) % POOL_PAGES]! : zero);

const zstdAsync = promisify(zstdCompress);
const inflateZstd = promisify(zstdDecompress);
const deflateAsync = promisify(deflateRaw);
const unzstd = (bytes: Uint8Array, limit: number) => inflateZstd(bytes, { maxOutputLength: limit });
const level = (value: number) => ({ params: { [constants.ZSTD_c_compressionLevel]: value } });
const VARIANTS: Readonly<Record<string, BlockCodecs>> = {
  uncompressed: {},
  'zstd -3': { unzstd, compress: { codec: 'zstd', run: bytes => zstdAsync(bytes, level(-3)) } },
  'zstd 1': { unzstd, compress: { codec: 'zstd', run: bytes => zstdAsync(bytes, level(1)) } },
  'zstd -3 when backlogged': {
    unzstd,
    compress: { codec: 'zstd', run: bytes => zstdAsync(bytes, level(-3)), when: 'backlogged' },
  },
  'deflate 1': { compress: { codec: 'deflate', run: bytes => deflateAsync(bytes, { level: 1 }) } },
};

const base = mkdtempSync(path.join(process.env.FOLDER ?? os.tmpdir(), 'afterimage-bench-'));
const folder = nodeFolder(base);
const header = {
  id: '11'.repeat(16),
  machine: MACHINE,
  spaces: [{ kind: 'memory' as const, name: 'memory', bytes: PAGES * PAGE }],
};
const content = Array.from({ length: PAGES }, (_, page) => page).filter(page => frameOf(page) !== zero).length * PAGE;
const speed = (milliseconds: number) => content / MIB / (milliseconds / 1000);

async function timed(task: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await task();
  return performance.now() - began;
}

async function plainWrite(): Promise<number> {
  const file = await folder.create('plain');
  const took = await timed(async () => {
    let at = 0;
    let some: Uint8Array[] = [];
    for (let page = 0; page <= PAGES; page += 1) {
      if (page < PAGES && frameOf(page) !== zero) some.push(frameOf(page));
      if (some.length === 256 || (page === PAGES && some.length > 0)) {
        await file.write(at, some);
        at += some.length * PAGE;
        some = [];
      }
    }
    await file.flush();
  });
  await file.close();
  return took;
}

async function checkpointWrite(codecs: BlockCodecs): Promise<{ took: number; bytes: number }> {
  const file = await folder.create('checkpoint');
  let bytes = 0;
  const took = await timed(async () => {
    const writer = CheckpointWriter.begin(file, header, codecs);
    for (let page = 0; page < PAGES; page += 64) {
      const pages = Array.from({ length: Math.min(64, PAGES - page) }, (_, index) => page + index);
      await writer.writePages(0, pages, pages.map(frameOf));
    }
    bytes = (await writer.finish()).bytes;
  });
  await file.close();
  return { took, bytes };
}

async function checkpointRead(codecs: BlockCodecs): Promise<{ open: number; all: number; page: number }> {
  const find = async (): Promise<never> => {
    throw new Error('There is no parent');
  };
  let reader: CheckpointReader | undefined;
  const open = await timed(async () => {
    reader = await CheckpointReader.open(await folder.open('checkpoint'), find, codecs);
  });
  const into = Array.from({ length: 64 }, () => new Uint8Array(PAGE));
  const all = await timed(async () => {
    for (let page = 0; page < PAGES; page += 64) {
      const pages = Array.from({ length: Math.min(64, PAGES - page) }, (_, index) => page + index);
      await reader!.readPages(0, pages, into);
    }
  });
  const random = new Random(5);
  const count = 2000;
  const page = await timed(async () => {
    for (let index = 0; index < count; index += 1) await reader!.readPage(0, random.below(PAGES), into[0]!);
  });
  await reader!.close();
  return { open, all, page: (page * 1000) / count };
}

try {
  console.log(
    `${(PAGES * PAGE) / MIB} MiB of memory, ${(content / MIB).toFixed(0)} MiB with content; ${RUNS} runs, medians (least-most)\n`,
  );
  const plainRuns: number[] = [];
  const runs = new Map(
    Object.keys(VARIANTS).map(name => [
      name,
      { write: [] as number[], open: [] as number[], all: [] as number[], page: [] as number[], bytes: 0 },
    ]),
  );
  for (let run = 0; run < RUNS; run += 1) {
    plainRuns.push(await plainWrite());
    for (const [name, codecs] of Object.entries(VARIANTS)) {
      const of = runs.get(name)!;
      const { took, bytes } = await checkpointWrite(codecs);
      of.write.push(took);
      of.bytes = bytes;
      if (name === 'deflate 1') continue;
      const { open, all, page } = await checkpointRead(codecs);
      of.open.push(open);
      of.all.push(all);
      of.page.push(page);
    }
  }
  const plain = sampleOf(plainRuns.map(speed));
  const text = ({ median, least, most }: typeof plain) =>
    `${median.toFixed(0)} (${least.toFixed(0)}-${most.toFixed(0)})`;
  console.log(`plain writes of the same bytes: ${text(plain)} MB/s`);
  for (const [name, { write, open, all, page, bytes }] of runs) {
    const written = sampleOf(write.map(speed));
    const ratio = `${(written.median / plain.median).toFixed(2)} of plain, size ${(content / bytes).toFixed(2)}:1`;
    const reading =
      all.length === 0
        ? ''
        : `; open ${sampleOf(open).median.toFixed(1)} ms, read all ${text(sampleOf(all.map(speed)))} MB/s, a page ${sampleOf(page).median.toFixed(0)} µs`;
    console.log(`${name.padEnd(24)} write ${text(written)} MB/s = ${ratio}${reading}`);
  }
} finally {
  rmSync(base, { recursive: true, force: true });
}
