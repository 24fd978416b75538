// What a guest gets from its disk, beside QEMU with the same guest on the same files: requests past the guest's page
// cache, from a program of ours.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { ensureGuest, type Guest } from '../../assets/guest/guest.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { GuestSession } from '../framework/guest-session.ts';
import { PROMPT, QemuGuest } from '../guest/qemu-guest.ts';
import { installRequirements } from '../requirements.ts';
import { type BenchFiles, formatOf } from './disk-files.ts';

const SECONDS = 1;

interface Load {
  readonly what: string;
  /** Words for the program, after the device. */
  readonly words: string;
}

const LOADS: readonly Load[] = [
  { what: 'read 128 KiB in order', words: `read order 131072 1 ${SECONDS}` },
  { what: 'write 128 KiB in order', words: `write order 131072 1 ${SECONDS}` },
  { what: 'read 4 KiB, one at a time', words: `read random 4096 1 ${SECONDS}` },
  { what: 'read 4 KiB, 8 at a time', words: `read random 4096 8 ${SECONDS}` },
  { what: 'write 4 KiB, 8 at a time', words: `write random 4096 8 ${SECONDS}` },
];

const output = path.join(import.meta.dirname, '../.cache/bench');

function compiledLoad(): string {
  const source = path.join(import.meta.dirname, 'programs/disk-load.c');
  const target = path.join(output, 'disk-load');
  if (existsSync(target) && statSync(source).mtimeMs < statSync(target).mtimeMs) return target;
  mkdirSync(output, { recursive: true });
  const result = spawnSync('riscv64-linux-gnu-gcc', ['-O2', '-static', '-s', source, '-o', target], {
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new AfterimageError('io', `The compiler refuses disk-load.c: ${result.stderr}`);
  return target;
}

/** What a run of both starts from. */
interface Bench {
  readonly files: BenchFiles;
  readonly guest: Guest;
  /** Bytes of the program. */
  readonly size: number;
}

const fetch = (size: number) => `head -c ${size} /dev/vda >/tmp/l && chmod +x /tmp/l && echo rea''dy`;
const rateOf = (printed: string) => Number(/rate ([\d.]+)/.exec(printed)?.[1] ?? Number.NaN);

async function ours({ files, guest, size }: Bench, disk: string): Promise<number[]> {
  await using session = new GuestSession([
    ...['--memory', '256M', '--kernel', guest.kernel, '--initrd', guest.initrd, '--append', guest.append],
    ...['--disk', files.at('program.raw'), '--disk', files.at(disk)],
  ]);
  await session.ready();
  await session.command(fetch(size));
  const rates: number[] = [];
  for (const { words } of LOADS) rates.push(rateOf(await session.command(`/tmp/l /dev/vdb ${words}`)));
  return rates;
}

async function qemu({ files, guest, size }: Bench, disk: string): Promise<number[]> {
  await using session = new QemuGuest(guest, {
    disks: [{ file: files.at('program.raw') }, { file: files.at(disk), format: formatOf(disk) }],
  });
  await session.expect(PROMPT);
  await session.run(fetch(size));
  const rates: number[] = [];
  for (const { words } of LOADS) rates.push(rateOf(await session.run(`/tmp/l /dev/vdb ${words}`)));
  return rates;
}

/** Requests per second of each kind of load, ours and QEMU's, alternating. */
export async function measureGuest(
  files: BenchFiles,
  runs: number,
  found: (what: string, ours: readonly number[], qemu: readonly number[]) => void,
): Promise<void> {
  installRequirements();
  const program = compiledLoad();
  const guest = await ensureGuest({ onProgress: progress => console.log(progress.step) });
  // The first disk brings the program: whole sectors, and not blank, so that the guest leaves it alone.
  copyFileSync(program, files.at('program.raw'));
  spawnSync('truncate', ['--size', '%4096', files.at('program.raw')]);
  const bench = { files, guest, size: statSync(program).size };
  for (const disk of ['copy.raw', 'overlay.qcow2']) {
    const samples = { ours: [] as number[][], qemu: [] as number[][] };
    for (let run = 0; run < runs; run += 1) {
      files.make(disk);
      samples.ours.push(await ours(bench, disk));
      files.make(disk);
      samples.qemu.push(await qemu(bench, disk));
    }
    for (const [index, { what }] of LOADS.entries()) {
      const of = (results: readonly number[][]) => results.map(rates => rates[index]!);
      found(`guest: ${what}, ${disk}`, of(samples.ours), of(samples.qemu));
    }
  }
}
