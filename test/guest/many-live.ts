// Checkpoints of a running machine one after the other, as a schedule takes them, under the witness's load: what must not
// grow does not grow. As a program: node test/guest/many-live.ts [COUNT]
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { ArgumentsOf, CallName, ResultOf } from '../../engine/api/control.ts';
import { MachineConnection } from '../../main/engines/connection.ts';
import { forkTransport, startWithNode } from '../../main/engines/fork-engine.ts';
import { installWitness, witnessDisk } from './witness/witness.ts';

const MIB = 2 ** 20;
const KEPT = 8;

/** What a machine's process and folder take after so many checkpoints. */
export interface Sample {
  readonly taken: number;
  readonly residentMiB: number;
  readonly openFiles: number;
  readonly folderMiB: number;
  readonly files: number;
  /** Of the disk that the witness writes to. */
  readonly layers: number;
  /** Files with pages: those of the kept checkpoints, and of deleted ones that they build on. */
  readonly checkpointFiles: number;
}

export interface ManyLiveReport {
  readonly taken: number;
  readonly seconds: number;
  readonly samples: readonly Sample[];
  /** By how much each grows per thousand checkpoints: a line through the later three quarters of the samples. */
  readonly perThousand: Readonly<Record<Exclude<keyof Sample, 'taken'>, number>>;
  readonly medianPauseMicroseconds: number;
  readonly worstPauseMicroseconds: number;
}

/** Takes `count` automatic checkpoints with retention of eight; throws when the witness or `verify` has a complaint. */
export async function takeManyLive(
  count: number,
  tell: (sample: Sample) => void = () => undefined,
): Promise<ManyLiveReport> {
  const place = mkdtempSync(path.join(os.tmpdir(), 'afterimage-many-'));
  const folder = path.join(place, 'machine');
  let connection: MachineConnection | undefined;
  try {
    await create(folder);
    const engine = startWithNode(folder);
    connection = new MachineConnection(forkTransport(engine), folder);
    return await run(connection, engine.pid!, folder, count, tell);
  } finally {
    await connection?.call('stop', { force: true }).catch(() => undefined);
    connection?.close();
    rmSync(place, { recursive: true, force: true });
  }
}

async function create(folder: string): Promise<void> {
  using connection = new MachineConnection(forkTransport(startWithNode(undefined)), undefined);
  await connection.callWithoutFolder('create', {
    folder,
    machine: {
      name: 'Many',
      memory: 96 * MIB,
      boot: { kind: 'guest' },
      disks: [
        { kind: 'existing', path: witnessDisk().path, format: 'raw', mode: 'readonly' },
        { kind: 'new', size: 8 * MIB, format: 'qcow2' },
        { kind: 'new', size: 8 * MIB, format: 'qcow2' },
      ],
      automatic: {
        everyMinutes: 0,
        beforeStop: false,
        beforeRestore: false,
        retention: { last: KEPT, hourly: 0, daily: 0 },
      },
    },
  });
}

async function run(
  connection: MachineConnection,
  pid: number,
  folder: string,
  count: number,
  tell: (sample: Sample) => void,
): Promise<ManyLiveReport> {
  const call = <Name extends CallName>(name: Name, given: ArgumentsOf<Name>): Promise<ResultOf<Name>> =>
    connection.call(name, given);
  let shown = '';
  connection.on('console-output', ({ bytes }) => {
    shown = (shown + Buffer.from(bytes).toString('latin1')).slice(-4096);
    void call('console-taken', { count: bytes.length }).catch(() => undefined);
  });
  const { kernel, initrd, append } = await ensureGuest();
  await call('start', { guest: { kernel, initrd, append } });
  await call('exec', { command: installWitness('vda'), timeoutSeconds: 120 });
  await call('console-attach', {});
  await call('console-input', { bytes: Buffer.from('witness check /dev/vdb /dev/vdc 1\n') });
  const samples: Sample[] = [];
  const pauses: number[] = [];
  const began = performance.now();
  const every = Math.max(1, Math.floor(count / 40));
  for (let taken = 1; taken <= count; taken += 1) {
    pauses.push((await call('checkpoint', { origin: 'automatic' })).pauseMicroseconds);
    if (shown.includes('BROKEN')) throw new Error(`After ${taken} checkpoints: ${shown}`);
    if (taken % every !== 0 && taken !== count) continue;
    await quiet(call);
    const sample = await measure(call, pid, folder, taken);
    samples.push(sample);
    tell(sample);
  }
  const seconds = (performance.now() - began) / 1000;
  const { problems } = await call('verify', { deep: true });
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const from = shown.length;
  await new Promise(resolve => setTimeout(resolve, 1000));
  if (!/witness \d+ ok/.test(shown) || shown.includes('BROKEN') || from === 0) throw new Error(`The witness: ${shown}`);
  const sorted = pauses.sort((a, b) => a - b);
  return {
    taken: count,
    seconds,
    samples,
    perThousand: slopes(samples.slice(Math.floor(samples.length / 4))),
    medianPauseMicroseconds: sorted[Math.floor(sorted.length / 2)]!,
    worstPauseMicroseconds: sorted.at(-1)!,
  };
}

type CallMachine = <Name extends CallName>(name: Name, given: ArgumentsOf<Name>) => Promise<ResultOf<Name>>;

/** Until no job runs: merging goes on beside the checkpoints. */
async function quiet(call: CallMachine): Promise<void> {
  while ((await call('jobs', {})).some(({ state }) => state === 'running')) {
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

async function measure(call: CallMachine, pid: number, folder: string, taken: number): Promise<Sample> {
  const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  const bytes = files.reduce(
    (sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).blocks * 512,
    0,
  );
  const disks = await call('disks', {});
  const { nodes } = await call('tree', {});
  if (nodes.length !== Math.min(taken, KEPT)) throw new Error(`${nodes.length} checkpoints are kept`);
  return {
    taken,
    residentMiB: Number(resident?.[1] ?? 0) / 1024,
    openFiles: readdirSync(`/proc/${pid}/fd`).length,
    folderMiB: bytes / MIB,
    files: files.length,
    layers: disks[1]!.layers.length,
    checkpointFiles: files.filter(({ name }) => name.endsWith('.checkpoint')).length,
  };
}

function slopes(samples: readonly Sample[]): ManyLiveReport['perThousand'] {
  const slope = (value: (sample: Sample) => number) => {
    const mean = (of: (sample: Sample) => number) => samples.reduce((sum, one) => sum + of(one), 0) / samples.length;
    const [x, y] = [mean(({ taken }) => taken), mean(value)];
    const spread = mean(({ taken }) => (taken - x) ** 2);
    return spread === 0 ? 0 : (1000 * mean(one => (one.taken - x) * (value(one) - y))) / spread;
  };
  return {
    residentMiB: slope(one => one.residentMiB),
    openFiles: slope(one => one.openFiles),
    folderMiB: slope(one => one.folderMiB),
    files: slope(one => one.files),
    layers: slope(one => one.layers),
    checkpointFiles: slope(one => one.checkpointFiles),
  };
}

if (process.argv[1] === import.meta.filename) {
  const count = Number(process.argv[2] ?? 10_000);
  const { samples, ...report } = await takeManyLive(count, sample => console.log(JSON.stringify(sample)));
  console.log(JSON.stringify({ ...report, first: samples[0], last: samples.at(-1) }, undefined, 2));
}
