// `npm run bench:disk`: disks beside QEMU's tools, on files of the same content in the same run, alternating. Prints
// medians and ratios. RUNS=n sets how often each is run; `--json FILE` writes the figures as well; TMPDIR says where the
// files are (in memory, /dev/shm, the host's disk does not blur what is compared: the software). A word as an argument
// runs only the rows that have it in their name.
//
// The first run of each but the guests is not counted: it warms up the just-in-time compiler of ours, which a machine that runs for
// hours has long done, and the host's memory for both.
import { writeFileSync } from 'node:fs';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { closeChain } from '../../engine/disk/chain/open.ts';
import { copyDown } from '../../engine/disk/jobs/commit.ts';
import { convert } from '../../engine/disk/jobs/convert.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { stream } from '../../engine/disk/jobs/stream.ts';
import { benchDisk } from '../../engine/host/disk-bench.ts';
import { clusterCodecs } from '../../engine/host/disk-codecs.ts';
import { BenchFiles, formatOf, MIB, qemuImg, SIZE } from './disk-files.ts';
import { measureGuest } from './disk-guest.ts';
import { type Sample, sampleOf } from './statistics.ts';

const RUNS = Number(process.env.RUNS ?? 5);
const COUNT = 60_000;
const DEPTH = 64;
const REQUEST_BYTES = 4096;
/** A stride that visits the disk all over: qemu-img bench has no random offsets. */
const ALL_OVER = 37 * 65_536 + REQUEST_BYTES;

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: Sample;
  readonly qemu: Sample;
  readonly ratio: number;
}

const rows: Row[] = [];
const only = process.argv.slice(2).find((word, index, words) => !word.startsWith('-') && words[index - 1] !== '--json');
const files = new BenchFiles();

/** Both alternate, each on a state made anew; the figures are rates, more is better. */
async function measure(
  what: string,
  unit: string,
  prepare: () => void,
  ours: () => Promise<number>,
  other: () => Promise<number> | number,
) {
  if (only !== undefined && !what.includes(only)) return;
  const samples = { ours: [] as number[], other: [] as number[] };
  for (let run = 0; run <= RUNS; run += 1) {
    prepare();
    samples.ours.push(await ours());
    prepare();
    samples.other.push(await other());
  }
  found(what, unit, samples.ours.slice(1), samples.other.slice(1));
}

function found(what: string, unit: string, ours: readonly number[], other: readonly number[]): void {
  const [our, their] = [sampleOf(ours), sampleOf(other)];
  const row = { what, unit, ours: our, qemu: their, ratio: our.median / their.median };
  rows.push(row);
  const cell = ({ median, least, most }: Sample) => `${median.toFixed(0)} (${least.toFixed(0)}-${most.toFixed(0)})`;
  console.log(
    `${what.padEnd(44)} ${unit.padEnd(6)} ${cell(our).padStart(24)} ${cell(their).padStart(24)}   ×${row.ratio.toFixed(2)}`,
  );
}

/** Of the last of so many times. */
async function ourRequests(name: string, write: boolean, step: number, times = 1): Promise<number> {
  const live = new LiveDisk(await files.open(name, write ? 'write' : 'read'));
  const shape = { count: COUNT, depth: DEPTH, requestBytes: REQUEST_BYTES, write, random: false, step };
  let seconds = 0;
  for (let time = 0; time < times; time += 1) ({ seconds } = await benchDisk(live, shape));
  await live.close();
  return COUNT / seconds;
}

function qemuRequests(name: string, write: boolean, step: number): number {
  const shape = { c: COUNT, d: DEPTH, s: REQUEST_BYTES, S: step, f: formatOf(name) };
  const words = Object.entries(shape).flatMap(([option, value]) => [`-${option}`, String(value)]);
  const said = qemuImg('bench', ...words, ...(write ? ['-w', '--pattern=90'] : []), files.at(name));
  return COUNT / Number(/completed in ([\d.]+) seconds/.exec(said)![1]);
}

const rate = (begin: number) => SIZE / MIB / ((performance.now() - begin) / 1000);

async function timed(step: () => Promise<unknown> | unknown): Promise<number> {
  const begin = performance.now();
  await step();
  return rate(begin);
}

async function requestRows() {
  for (const name of ['copy.raw', 'overlay.qcow2', 'chain-of-10.qcow2']) {
    for (const write of [false, true]) {
      for (const [how, step] of [['in order', REQUEST_BYTES] as const, ['all over', ALL_OVER] as const]) {
        await measure(
          `${write ? 'write' : 'read'} 4 KiB ${how}, ${name}`,
          'req/s',
          () => files.make(name),
          () => ourRequests(name, write, step),
          () => qemuRequests(name, write, step),
        );
      }
    }
  }
}

/**
 * Ours on ten layers beside ours on one, in the same run: the ratio is what depth costs. The first time that a block is
 * asked for it is looked up in every layer; `again` is without that, as a machine has it that runs for a while.
 */
async function depthRows() {
  const names = ['chain-of-10.qcow2', 'chain-of-1.qcow2'] as const;
  for (const [what, write, times] of [
    ['read', false, 1],
    ['read again', false, 2],
    ['write', true, 1],
    ['write again', true, 2],
  ] as const) {
    for (const [how, step] of [['in order', REQUEST_BYTES] as const, ['all over', ALL_OVER] as const]) {
      await measure(
        `${what} 4 KiB ${how}, depth 10 to 1`,
        'req/s',
        () => {
          for (const name of names) files.make(name);
        },
        () => ourRequests(names[0], write, step, times),
        () => ourRequests(names[1], write, step, times),
      );
    }
  }
}

async function jobRows() {
  await measure(
    'commit of 256 MiB into raw',
    'MiB/s',
    () => files.makeFull(),
    () =>
      timed(async () => {
        const top = await files.open('full.qcow2', 'write');
        await top.backing!.reopen({ access: 'write' });
        await copyDown(top, top.backing!, new Job('commit'));
        await closeChain(top);
      }),
    () => timed(() => qemuImg('commit', '-q', '-d', '-f', 'qcow2', files.at('full.qcow2'))),
  );
  await measure(
    'stream of 256 MiB from raw',
    'MiB/s',
    () => files.make('overlay.qcow2'),
    () =>
      timed(async () => {
        const live = new LiveDisk(await files.open('overlay.qcow2', 'write'));
        await stream({ live, job: new Job('stream') }, live.active, undefined);
        await live.close();
      }),
    () => timed(() => qemuImg('rebase', '-f', 'qcow2', '-b', '', files.at('overlay.qcow2'))),
  );
  await measure(
    'convert of 256 MiB, raw to qcow2',
    'MiB/s',
    () => files.makeFull(),
    () =>
      timed(async () => {
        const from = await files.open('base.raw', 'read');
        await convert(from, files.host, 'new.qcow2', { format: 'qcow2', codecs: clusterCodecs }, new Job('convert'));
        await closeChain(from);
      }),
    () => timed(() => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', files.at('base.raw'), files.at('new.qcow2'))),
  );
}

try {
  console.log(
    `${qemuImg('--version').split('\n')[0]}; ${RUNS} runs each, alternating; median (least-most); ratio above 1 is better for Afterimage\n`,
  );
  await requestRows();
  await depthRows();
  await jobRows();
  if (only === undefined || 'guest'.includes(only)) {
    await measureGuest(files, RUNS, (what, ours, qemu) => found(what, 'req/s', ours, qemu));
  }
  const target = process.argv.indexOf('--json');
  if (target >= 0) writeFileSync(process.argv[target + 1]!, `${JSON.stringify(rows, null, 2)}\n`);
} finally {
  files.remove();
}
