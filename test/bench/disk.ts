// Disks beside QEMU's tools, on files of the same content in the same run, alternating. Prints medians and ratios.
// RUNS=n sets how often each is run; `--json FILE` writes the figures as well.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DiskFormat } from '../../engine/api/disk.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { closeChain, openChain } from '../../engine/disk/chain/open.ts';
import { copyDown } from '../../engine/disk/jobs/commit.ts';
import { convert } from '../../engine/disk/jobs/convert.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { stream } from '../../engine/disk/jobs/stream.ts';
import { benchDisk } from '../../engine/host/disk-bench.ts';
import { clusterCodecs } from '../../engine/host/disk-codecs.ts';
import { HostFolder } from '../../engine/host/disk-folder.ts';
import { type Sample, sampleOf } from './statistics.ts';

const RUNS = Number(process.env.RUNS ?? 5);
const MIB = 2 ** 20;
const SIZE = 256 * MIB;
const COUNT = 20_000;
const DEPTH = 64;

const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-bench-'));
const at = (name: string) => path.join(folder, name);
const host = new HostFolder(folder);
const qemuImg = (...words: string[]) => execFileSync('qemu-img', words, { encoding: 'utf8' });
const formatOf = (name: string): DiskFormat => (name.endsWith('.qcow2') ? 'qcow2' : 'raw');
const open = (name: string, access: 'read' | 'write') =>
  openChain(host, { path: name, format: formatOf(name) }, { access, codecs: clusterCodecs });

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: Sample;
  readonly qemu: Sample;
  readonly ratio: number;
}

const rows: Row[] = [];

/** Both alternate, each on a state made anew; the figures are rates, more is better. */
async function measure(
  what: string,
  unit: string,
  prepare: () => void,
  ours: () => Promise<number>,
  qemu: () => number,
) {
  const samples = { ours: [] as number[], qemu: [] as number[] };
  for (let run = 0; run < RUNS; run += 1) {
    prepare();
    samples.ours.push(await ours());
    prepare();
    samples.qemu.push(qemu());
  }
  const [our, their] = [sampleOf(samples.ours), sampleOf(samples.qemu)];
  const row = { what, unit, ours: our, qemu: their, ratio: our.median / their.median };
  rows.push(row);
  const cell = ({ median, least, most }: Sample) => `${median.toFixed(0)} (${least.toFixed(0)}-${most.toFixed(0)})`;
  console.log(
    `${what.padEnd(36)} ${unit.padEnd(6)} ${cell(our).padStart(24)} ${cell(their).padStart(24)}   ×${row.ratio.toFixed(2)}`,
  );
}

function seconds(step: () => void): number {
  const begin = performance.now();
  step();
  return (performance.now() - begin) / 1000;
}

async function requests(name: string, write: boolean): Promise<void> {
  const words = [
    'bench',
    '-f',
    formatOf(name),
    '-c',
    String(COUNT),
    '-d',
    String(DEPTH),
    '-s',
    '4096',
    ...(write ? ['-w'] : []),
  ];
  await measure(
    `${write ? 'write' : 'read'} 4 KiB in order, ${name}`,
    'req/s',
    () => makeFiles(name),
    async () => {
      const live = new LiveDisk(await open(name, write ? 'write' : 'read'));
      const shape = { count: COUNT, depth: DEPTH, requestBytes: 4096, write, random: false };
      const result = await benchDisk(live, shape);
      await live.close();
      return COUNT / result.seconds;
    },
    () => {
      const said = qemuImg(...words, at(name));
      return COUNT / Number(/completed in ([\d.]+) seconds/.exec(said)![1]);
    },
  );
}

/** A stride that visits the disk all over takes the place of random offsets, which qemu-img bench does not have. */
async function scattered(name: string, write: boolean): Promise<void> {
  const stride = 37 * 65_536 + 4096;
  const words = [
    'bench',
    '-f',
    formatOf(name),
    '-c',
    String(COUNT),
    '-d',
    String(DEPTH),
    '-s',
    '4096',
    '-S',
    String(stride),
  ];
  await measure(
    `${write ? 'write' : 'read'} 4 KiB all over, ${name}`,
    'req/s',
    () => makeFiles(name),
    async () => {
      const live = new LiveDisk(await open(name, write ? 'write' : 'read'));
      let next = 0;
      const worker = async () => {
        const buffer = new Uint8Array(4096).fill(0x5a);
        while (next < COUNT) {
          const offset = (next * stride) % (SIZE - 4096);
          next += 1;
          await (write ? live.write(offset - (offset % 512), [buffer]) : live.read(offset - (offset % 512), [buffer]));
        }
      };
      const begin = performance.now();
      await Promise.all(Array.from({ length: DEPTH }, worker));
      if (write) await live.flush();
      const rate = COUNT / ((performance.now() - begin) / 1000);
      await live.close();
      return rate;
    },
    () => {
      const said = qemuImg(...words, ...(write ? ['-w'] : []), at(name));
      return COUNT / Number(/completed in ([\d.]+) seconds/.exec(said)![1]);
    },
  );
}

let content: Uint8Array | undefined;

/** The files of one measurement, always the same. */
function makeFiles(top: string): void {
  content ??= Uint8Array.from({ length: 4 * MIB }, (_, index) => Math.imul(index, 2_654_435_761) >>> 24);
  if (spawnSync('test', ['-e', at('base.raw')]).status !== 0) {
    const parts = Array.from({ length: SIZE / content.length }, () => content!);
    writeFileSync(at('base.raw'), Buffer.concat(parts));
  }
  if (top === 'base.raw') return;
  if (top === 'overlay.qcow2') {
    rmSync(at(top), { force: true });
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on', '-b', 'base.raw', '-F', 'raw', at(top));
    return;
  }
  let below = 'base.raw';
  for (let layer = 1; layer <= 10; layer += 1) {
    const name = layer === 10 ? top : `layer${layer}.qcow2`;
    rmSync(at(name), { force: true });
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on', '-b', below, '-F', formatOf(below), at(name));
    below = name;
  }
}

function makeFull(): void {
  makeFiles('overlay.qcow2');
  copyFileSync(at('base.raw'), at('copy.raw'));
  rmSync(at('full.qcow2'), { force: true });
  rmSync(at('new.qcow2'), { force: true });
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', at('base.raw'), at('full.qcow2'));
  qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'copy.raw', '-F', 'raw', at('full.qcow2'));
}

const rate = (time: number) => SIZE / MIB / time;
const timed = async (step: () => Promise<unknown>) => {
  const begin = performance.now();
  await step();
  return rate((performance.now() - begin) / 1000);
};

try {
  console.log(
    `${qemuImg('--version').split('\n')[0]}; ${RUNS} runs each, alternating; median (least-most); ratio above 1 is better for Afterimage\n`,
  );
  makeFiles('base.raw');
  for (const name of ['base.raw', 'overlay.qcow2', 'chain-of-10.qcow2']) {
    for (const write of [false, true]) {
      await requests(name, write);
      await scattered(name, write);
    }
  }
  await measure(
    'commit of 256 MiB into raw',
    'MiB/s',
    makeFull,
    () =>
      timed(async () => {
        const top = await open('full.qcow2', 'write');
        await top.backing!.reopen({ access: 'write' });
        await copyDown(top, top.backing!, new Job('commit'));
        await closeChain(top);
      }),
    () => rate(seconds(() => qemuImg('commit', '-q', '-d', '-f', 'qcow2', at('full.qcow2')))),
  );
  await measure(
    'stream of 256 MiB from raw',
    'MiB/s',
    () => makeFiles('overlay.qcow2'),
    () =>
      timed(async () => {
        const live = new LiveDisk(await open('overlay.qcow2', 'write'));
        await stream({ live, job: new Job('stream') }, live.active, undefined);
        await live.close();
      }),
    () => rate(seconds(() => qemuImg('rebase', '-f', 'qcow2', '-b', '', at('overlay.qcow2')))),
  );
  await measure(
    'convert of 256 MiB, raw to qcow2',
    'MiB/s',
    makeFull,
    () =>
      timed(async () => {
        const from = await open('base.raw', 'read');
        await convert(from, host, 'new.qcow2', { format: 'qcow2', codecs: clusterCodecs }, new Job('convert'));
        await closeChain(from);
      }),
    () => rate(seconds(() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', at('base.raw'), at('new.qcow2')))),
  );
  const target = process.argv.indexOf('--json');
  if (target >= 0) writeFileSync(process.argv[target + 1]!, `${JSON.stringify(rows, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
