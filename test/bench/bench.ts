// `npm run bench`: the machine beside QEMU, on the same guests in the same run, alternating. Prints medians and ratios.
// RUNS=n sets how often each is run; `--json FILE` writes the figures as well.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { compileProgram, type ProgramName } from './programs.ts';
import {
  idleShare,
  oursOnElf,
  oursToShell,
  QEMU,
  qemuOnElf,
  qemuToShell,
  startOurs,
  startQemu,
  type Timing,
} from './runners.ts';
import { type Sample, sampleOf } from './statistics.ts';

const RUNS = Number(process.env.RUNS ?? 5);
const PROMPT = '~# ';
const PROGRAMS: readonly ProgramName[] = ['integer', 'calls', 'doubles'];

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: Sample;
  readonly qemu: Sample;
  /** Ours to QEMU, above 1 is better for us. */
  readonly ratio: number;
}

/** Both, alternating, so that a busy moment of the host meets both. */
async function pairs(
  ours: () => Promise<Timing>,
  qemu: () => Promise<Timing>,
): Promise<{ ours: Timing[]; qemu: Timing[] }> {
  const result = { ours: [] as Timing[], qemu: [] as Timing[] };
  for (let run = 0; run < RUNS; run += 1) {
    result.ours.push(await ours());
    result.qemu.push(await qemu());
  }
  return result;
}

const milliseconds = (timings: readonly Timing[]) => timings.map(one => one.milliseconds);
const instructionsOf = (timing: Timing) => (JSON.parse(timing.output) as { instructions: number }).instructions;

async function programRows(): Promise<Row[]> {
  const empty = compileProgram('empty');
  const idle = await pairs(
    () => oursOnElf(empty),
    () => qemuOnElf(empty),
  );
  const start = { ours: sampleOf(milliseconds(idle.ours)), qemu: sampleOf(milliseconds(idle.qemu)) };
  const rows: Row[] = [row('start and stop', 'ms', start.ours, start.qemu, 'less')];
  for (const name of PROGRAMS) {
    const elf = compileProgram(name);
    const runs = await pairs(
      () => oursOnElf(elf),
      () => qemuOnElf(elf),
    );
    const instructions = instructionsOf(runs.ours[0]!);
    // Millions of instructions per second, what starting costs taken off.
    const speed = (timings: readonly Timing[], off: number) =>
      sampleOf(milliseconds(timings).map(time => instructions / Math.max(1, time - off) / 1000));
    rows.push(row(name, 'MIPS', speed(runs.ours, start.ours.median), speed(runs.qemu, start.qemu.median), 'more'));
  }
  return rows;
}

async function guestRows(): Promise<Row[]> {
  const guest = await ensureGuest({ onProgress: progress => console.log(progress.step) });
  const runs = await pairs(
    () => oursToShell(guest, PROMPT),
    () => qemuToShell(guest, PROMPT),
  );
  const boot = row('boot to shell', 'ms', sampleOf(milliseconds(runs.ours)), sampleOf(milliseconds(runs.qemu)), 'less');
  const ours = sampleOf([await idleShare(startOurs(guest), PROMPT)]);
  const qemu = sampleOf([await idleShare(startQemu(guest), PROMPT)]);
  return [boot, row('idle at prompt', '% cpu', ours, qemu, 'less')];
}

function row(what: string, unit: string, ours: Sample, qemu: Sample, better: 'more' | 'less'): Row {
  const ratio = better === 'more' ? ours.median / qemu.median : qemu.median / Math.max(ours.median, 0.01);
  return { what, unit, ours, qemu, ratio };
}

const figure = (value: number) => value.toFixed(value < 10 ? 2 : 0);
const text = ({ median, least, most }: Sample) => `${figure(median)} (${figure(least)}-${figure(most)})`;

const version = spawnSync(QEMU, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
console.log(
  `${version}; ${RUNS} runs each, alternating; median (least-most); ratio above 1 is better for Afterimage\n`,
);
const rows = [...(await programRows()), ...(await guestRows())];
for (const one of rows) {
  const cells = [one.what.padEnd(16), one.unit.padEnd(5), text(one.ours).padStart(20), text(one.qemu).padStart(20)];
  console.log(`${cells.join(' ')}   ×${one.ratio.toFixed(2)}`);
}
const target = process.argv.indexOf('--json');
if (target >= 0) writeFileSync(process.argv[target + 1]!, `${JSON.stringify(rows, null, 2)}\n`);
