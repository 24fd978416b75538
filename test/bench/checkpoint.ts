// `npm run bench:checkpoint`: checkpoints of the running default guest beside QEMU's savevm and background-snapshot, with
// the same memory and load. TAKES=n sets how many pauses are measured (the aim is stated over 1,000); MEMORY=256,1024,3072
// the sizes in MiB; `--json FILE` writes the figures as well.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { TakenCheckpoint } from '../../engine/api/checkpoints.ts';
import type { DiskSettings } from '../../engine/api/settings.ts';
import { openMachineDisk } from '../../engine/host/disk-open.ts';
import type { TakeRequest } from '../../engine/host/live-checkpoint.ts';
import { LiveMachine, type LiveMachineOptions } from '../framework/live-machine.ts';
import { openSlowDisk } from '../framework/slow-disk.ts';
import { PROMPT, QemuGuest } from '../guest/qemu-guest.ts';
import { installWitness, witnessDisk } from '../guest/witness/witness.ts';
import { median } from './statistics.ts';

const TAKES = Number(process.env.TAKES ?? 100);
const MEMORY = (process.env.MEMORY ?? '256,1024,3072').split(',').map(Number);
const MIB = 2 ** 20;
/** Latency of the slow disk, and how many requests wait for it. */
const LATENCY = 50;
const PENDING = 64;
const SPARE_MIB = 160;

interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly aim?: string;
}

const figures: Figure[] = [];

function report(what: string, value: number, unit: string, aim?: string): void {
  figures.push({ what, value, unit, ...(aim === undefined ? {} : { aim }) });
  console.log(`${what.padEnd(66)} ${value.toFixed(value < 10 ? 2 : 0).padStart(9)} ${unit.padEnd(6)} ${aim ?? ''}`);
}

const at = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
};

/** A folder for one machine, gone afterwards. */
async function within<Result>(step: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(path.join(process.env.TMPDIR ?? tmpdir(), 'afterimage-bench-'));
  try {
    return await step(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withMachine<Result>(
  memory: number,
  step: (machine: LiveMachine, folder: string) => Promise<Result>,
  change: (folder: string) => Partial<LiveMachineOptions> = () => ({}),
): Promise<Result> {
  return await within(async folder => {
    const machine = await LiveMachine.start({
      folder,
      memory: memory * MIB,
      disks: [witnessDisk()],
      ...change(folder),
    });
    try {
      await machine.prompt();
      await machine.run(installWitness('vda'));
      return await step(machine, folder);
    } finally {
      await machine.stop();
    }
  });
}

/** Checkpoints one after the other, of which only the newest stay. */
async function take(
  machine: LiveMachine,
  count: number,
  change: Partial<TakeRequest> = {},
): Promise<TakenCheckpoint[]> {
  const taken: TakenCheckpoint[] = [];
  for (let round = 0; round < count; round += 1) {
    taken.push(await machine.take(change));
    if (round % 16 === 15) for (const { id } of machine.tree.nodes.slice(0, -1)) await machine.tree.delete(id);
  }
  return taken;
}

function pauses(what: string, taken: readonly TakenCheckpoint[]): void {
  const values = taken.map(({ pauseMicroseconds }) => pauseMicroseconds);
  report(`pause, ${what}, median of ${values.length}`, at(values, 0.5), 'us', '≤ 300');
  report(`pause, ${what}, 99th percentile`, at(values, 0.99), 'us', '≤ 1000');
}

async function pauseRows(memory: number): Promise<void> {
  await withMachine(memory, async machine => {
    pauses(`${memory} MiB, idle`, await take(machine, TAKES));
  });
  const slowly = (folder: string): Partial<LiveMachineOptions> => {
    const file = path.join(folder, 'slow.raw');
    writeFileSync(file, '');
    truncateSync(file, 64 * MIB);
    const disk: DiskSettings = { path: file, format: 'raw', readonly: false, temporary: false };
    const slow = openSlowDisk(LATENCY);
    return {
      disks: [witnessDisk(), disk],
      parts: { openDisk: settings => (settings.path === file ? slow(settings) : openMachineDisk(settings)) },
    };
  };
  await withMachine(
    memory,
    async machine => {
      await machine.run(`witness pending /dev/vdb ${PENDING} & sleep 1`);
      const taken = await take(machine, Math.max(10, Math.round(TAKES / 4)));
      pauses(`${memory} MiB, ${PENDING} requests pending on a disk of ${LATENCY} ms`, taken);
      report(
        `  requests that were pending, mean`,
        taken.reduce((sum, one) => sum + one.pendingRequests, 0) / taken.length,
        '',
      );
    },
    slowly,
  );
}

async function printed(
  machine: LiveMachine,
  command: string,
  expression: RegExp,
  during: () => Promise<void>,
): Promise<number> {
  const from = machine.link.output.length;
  machine.type(`${command}\n`);
  let running = true;
  const found = machine.link
    .until(command, () => expression.test(machine.link.output.slice(from)), 120)
    .finally(() => {
      running = false;
    });
  // What a checkpoint begins is finished before the next figure.
  while (running) await during();
  await found;
  await machine.prompt();
  return Number(expression.exec(machine.link.output.slice(from))![1]);
}

const nothing = () => new Promise<void>(resolve => setTimeout(resolve, 20));

/** The guest's speed with and without checkpoints, alternating. */
async function compared(
  machine: LiveMachine,
  command: string,
  expression: RegExp,
  during: () => Promise<void>,
): Promise<{ readonly plain: number; readonly saving: number }> {
  const plain: number[] = [];
  const saving: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    plain.push(await printed(machine, command, expression, nothing));
    saving.push(await printed(machine, command, expression, during));
  }
  return { plain: median(plain), saving: median(saving) };
}

async function loadRows(memory: number): Promise<void> {
  await withMachine(memory, async (machine, folder) => {
    const filled = Math.min(600, memory - SPARE_MIB);
    machine.type(`witness hash ${filled} > /dev/null & sleep 1; while ! grep -q . /proc/loadavg; do :; done\n`);
    await machine.prompt();
    // Filled once the hash is at work; then it is stopped, with its memory in place.
    await machine.run(`sleep 15; killall -STOP witness`, 120);
    const every = async () => {
      await machine.take();
      await new Promise(resolve => setTimeout(resolve, 30));
    };
    const gap = await compared(machine, 'witness gap 3', /gap (\d+) us/, every);
    report(`largest gap between two looks at the clock, without checkpoints`, gap.plain, 'us');
    report(`largest gap between two looks at the clock, with checkpoints`, gap.saving, 'us');
    const full = async () => {
      await machine.take({ full: true });
      for (const { id } of machine.tree.nodes.slice(0, -1)) await machine.tree.delete(id);
    };
    const spin = await compared(machine, 'witness spin 3', /spin ([\d.]+) per second/, full);
    report(`speed of a CPU load while ${filled} MiB are saved again and again`, spin.saving / spin.plain, '', '≥ 0.95');
    const dirty = await compared(machine, 'witness dirty 64 96 4', /dirty .*spin ([\d.]+) per second/, every);
    report(`speed of a load that dirties 64 MiB/s while it is saved`, dirty.saving / dirty.plain, '', '≥ 0.80');

    const saved: number[] = [];
    const plain: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const taken = await machine.take({ full: true });
      saved.push(taken.bytes / taken.durationMilliseconds);
      plain.push(plainWrite(path.join(folder, 'plain'), taken.bytes));
      report(`  full checkpoint of ${taken.pages} pages`, taken.durationMilliseconds, 'ms');
    }
    report(`rate of saving beside plain writes of the same bytes`, median(saved) / median(plain), '', '≥ 0.60');
  });
  // Without compression, as the aim is stated.
  await withMachine(
    memory,
    async machine => {
      await machine.take();
      await machine.run('dd if=/dev/urandom of=/tmp/x bs=64k count=256 2>/dev/null');
      const { bytes, pages } = await machine.take();
      report(
        `size of an incremental beside the pages that were dirtied (${pages})`,
        bytes / (pages * 4096),
        '',
        '≤ 1.10',
      );
    },
    () => ({ codecs: {} }),
  );
}

/** Bytes per millisecond. */
function plainWrite(file: string, bytes: number): number {
  const piece = Buffer.alloc(MIB);
  for (let i = 0; i < piece.length; i += 4) piece.writeUInt32LE((Math.random() * 2 ** 32) >>> 0, i);
  const from = performance.now();
  const descriptor = openSync(file, 'w');
  for (let done = 0; done < bytes; done += piece.length)
    writeSync(descriptor, piece, 0, Math.min(piece.length, bytes - done));
  fsyncSync(descriptor);
  closeSync(descriptor);
  const took = performance.now() - from;
  rmSync(file);
  return bytes / took;
}

/** QEMU with the same memory, filled alike; the pause as its guest sees it. */
async function qemuRows(memory: number): Promise<void> {
  await within(async folder => {
    const snapshots = path.join(folder, 'snapshots.qcow2');
    spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', snapshots, '64M']);
    const monitor = path.join(folder, 'monitor');
    const guest = await ensureGuest();
    const options = { memory, snapshots, monitor, disks: [{ file: witnessDisk().path, readOnly: true }] };
    await using machine = new QemuGuest(guest, options);
    await machine.expect(PROMPT);
    await machine.run(installWitness('vda'));
    const filled = Math.min(600, memory - SPARE_MIB);
    await machine.run(`witness hash ${filled} > /dev/null & sleep 15; killall -STOP witness`);
    const ask = async (...commands: string[]) => {
      const socket = connect(monitor);
      await new Promise(resolve => socket.once('connect', resolve));
      for (const command of commands) socket.write(`${command}\n`);
      await new Promise(resolve => setTimeout(resolve, 200));
      socket.end();
    };
    const gap = async (...commands: string[]): Promise<number> => {
      machine.type('witness gap 8\r');
      await new Promise(resolve => setTimeout(resolve, 1000));
      await ask(...commands);
      const [, microseconds] = await machine.expect(/gap (\d+) us/);
      return Number(microseconds);
    };
    report(`QEMU, ${memory} MiB: gap without snapshots`, await gap(), 'us');
    report(`QEMU, ${memory} MiB: gap of savevm`, await gap('savevm bench'), 'us');
    const file = path.join(folder, 'background');
    const commands = ['migrate_set_capability background-snapshot on', `migrate -d "exec:cat > ${file}"`];
    const background = await gap(...commands);
    const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > MIB) report(`QEMU, ${memory} MiB: gap of background-snapshot`, background, 'us');
    else console.log('QEMU cannot take background snapshots here (userfaultfd)');
  });
}

for (const memory of MEMORY) await pauseRows(memory);
const usual = MEMORY.includes(1024) ? 1024 : MEMORY[0]!;
await loadRows(usual);
await qemuRows(usual);
const file = process.argv[process.argv.indexOf('--json') + 1];
if (process.argv.includes('--json') && file !== undefined) writeFileSync(file, JSON.stringify(figures, undefined, 1));
process.exit(0);
