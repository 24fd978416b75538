// `node test/bench/restore.ts`: from the call to the first instruction and to an answer of the shell, beside QEMU's
// `-incoming` with the same memory and as much of it filled. RUNS=n restores of each kind, MEMORY=256,1024 the sizes in MiB,
// `--json FILE` writes the figures as well. The host's cache is warm in all cases.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { ENGINE_PARTS } from '../../engine/host/engine-parts.ts';
import type { Resume } from '../../engine/host/resume.ts';
import { LiveMachine } from '../framework/live-machine.ts';
import { hasQemu } from '../framework/qemu.ts';
import { PROMPT, QemuGuest } from '../guest/qemu-guest.ts';
import { sampleOf } from './statistics.ts';

const RUNS = Number(process.env.RUNS ?? 7);
const MEMORY = (process.env.MEMORY ?? '256,1024').split(',').map(Number);
const MIB = 2 ** 20;
/** A shell function that fills about this share of memory with files that do not compress. */
const FILLED = 0.4;
/** A spare thread is there long before anybody restores; modules load in a second on the busiest host. */
const SPARE_READY = 1500;

interface Figure {
  readonly what: string;
  readonly median: number;
  readonly least: number;
  readonly most: number;
}
const figures: Figure[] = [];

function report(what: string, values: readonly number[]): void {
  const { median, least, most } = sampleOf(values);
  figures.push({ what, median, least, most });
  const numbers = [median, least, most].map(value => value.toFixed(value < 10 ? 1 : 0).padStart(8)).join('');
  console.log(`${what.padEnd(58)}${numbers} ms`);
}

const fill = (memory: number): string => {
  const copies = Math.round((memory * FILLED) / 4);
  return `head -c 4194304 /dev/urandom >/tmp/a; i=0; while [ $i -lt ${copies} ]; do cp /tmp/a /tmp/a$i; i=$((i+1)); done`;
};

const within = async (step: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(path.join(process.env.TMPDIR ?? tmpdir(), 'afterimage-bench-'));
  try {
    await step(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

interface Restored {
  readonly started: number;
  readonly answered: number;
  readonly complete: number;
}

async function restoreOnce(original: LiveMachine, id: string, memory: number, folder: string, bring: Resume['bring']) {
  ENGINE_PARTS.harts.prepare();
  await new Promise(resolve => setTimeout(resolve, SPARE_READY));
  const began = performance.now();
  const machine = await LiveMachine.restore(original, id, { folder, memory: memory * MIB, bring: bring ?? 'all' });
  const started = performance.now() - began;
  const from = machine.link.output.length;
  machine.type('echo $((6*7))\n');
  await machine.link.until('the answer', () => /\n42\r\n/.test(machine.link.output.slice(from)));
  const answered = performance.now() - began;
  if (bring !== 'used') {
    const all = () => machine.link.events.some(event => event.kind === 'absent-pages' && event.count === 0);
    await machine.link.until('all pages', all);
  }
  const complete = performance.now() - began;
  await machine.stop();
  return { started, answered, complete };
}

async function ours(memory: number): Promise<void> {
  await within(async folder => {
    const original = await LiveMachine.start({ folder, memory: memory * MIB });
    await original.prompt();
    await original.run(fill(memory), 300);
    const { id, pages } = await original.take({ full: true });
    await original.stop();
    console.log(`${memory} MiB, ${Math.round((pages * 4) / 1024)} MiB of pages with content`);
    for (const [bring, how] of [
      ['all', 'lazily'],
      ['used', 'only pages that are used'],
      ['first', 'all pages first'],
    ] as const) {
      const runs: Restored[] = [];
      for (let run = 0; run < (bring === 'all' ? RUNS : 3); run += 1) {
        runs.push(await restoreOnce(original, id, memory, folder, bring));
      }
      report(
        `${memory} MiB, ${how}: first instruction`,
        runs.map(run => run.started),
      );
      report(
        `${memory} MiB, ${how}: answer of the shell`,
        runs.map(run => run.answered),
      );
      if (bring === 'all') {
        report(
          `${memory} MiB, ${how}: all pages there`,
          runs.map(run => run.complete),
        );
      }
    }
  });
}

async function qemu(memory: number): Promise<void> {
  await within(async folder => {
    const guest = await ensureGuest();
    const state = path.join(folder, 'state');
    const monitor = path.join(folder, 'monitor');
    {
      await using machine = new QemuGuest(guest, { memory, monitor });
      await machine.expect(PROMPT);
      machine.type(`${fill(memory)}; echo fil"led"\r`);
      await machine.expect(/\nfilled/);
      await machine.expect(PROMPT);
      const socket = connect(monitor);
      let said = '';
      socket.on('data', bytes => {
        said += bytes.toString();
      });
      // Without a speed limit, which would be for a network.
      socket.write(`migrate_set_parameter max-bandwidth 0\nmigrate "exec:cat > '${state}'"\nquit\n`);
      await machine.ended();
      if (said.includes('Error')) throw new Error(said);
    }
    const values: number[] = [];
    for (let run = 0; run < 3; run += 1) {
      const began = performance.now();
      await using machine = new QemuGuest(guest, { memory, incoming: state });
      machine.type('echo $((6*7))\r');
      // What it gets before it has loaded its state is lost.
      const again = setInterval(() => machine.type('\recho $((6*7))\r'), 100);
      await machine.expect(/\n42\r\n/).finally(() => clearInterval(again));
      values.push(performance.now() - began);
    }
    report(`${memory} MiB, QEMU -incoming: answer of the shell`, values);
  });
}

console.log(`${''.padEnd(58)}  median   least    most`);
for (const memory of MEMORY) {
  await ours(memory);
  if (hasQemu()) await qemu(memory);
}
const json = process.argv.indexOf('--json');
if (json > 0) writeFileSync(process.argv[json + 1]!, `${JSON.stringify(figures, undefined, 2)}\n`);
process.exit(0);
