// @req C16, DESIGN 5.5: the power fails at every step that the owner of a machine's folder takes on the host. What is
// found afterwards is the state before or after, every other checkpoint is as it was, and nothing stays.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { MEMORY_LIMITS } from '../../engine/api/settings.ts';
import type { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import { closeChain, openChain } from '../../engine/disk/chain/open.ts';
import { elfFile } from '../../engine/firmware/loaders/samples.ts';
import { clusterCodecs } from '../../engine/host/disk-codecs.ts';
import { ENGINE_PARTS } from '../../engine/host/engine-parts.ts';
import { folderCalls } from '../../engine/host/folder-calls.ts';
import { cloneTo, exportTo } from '../../engine/host/machine-copies.ts';
import { MachineHost } from '../../engine/host/machine-host.ts';
import { disksOf } from '../../engine/host/machine-position.ts';
import { OwnedFolder } from '../../engine/host/owned-folder.ts';
import { Random } from '../contract/random.ts';
import { Assembler } from '../framework/assembler.ts';
import { type Kept, RecordedHost } from './recorded-host.ts';

// The host is this process: its threads are to be as quick as others.
vi.mock('../../engine/host/pool-priority.ts', () => ({ makePoolPolite: () => undefined }));

const KIB = 1024;
const PAGE = 4096;
/** Each so many states are also powered on, for that takes longer than everything else. */
const POWERED = Number(process.env.AFTERIMAGE_MACHINE_CUTS_POWERED ?? 12);
/** One state of so many is looked at; 1 for all. The ends of the scenes are among them in any case. */
const OF_STATES = Number(process.env.AFTERIMAGE_MACHINE_CUTS_OF ?? 40);
const SEED = Number(process.env.AFTERIMAGE_MACHINE_CUTS_SEED ?? 1);

/** Counts for ever in so many pages of memory. */
const PROGRAM = `
  start: li t0, 0x80200000
  li t1, 24
  next: ld t2, 0(t0)
  addi t2, t2, 1
  sd t2, 0(t0)
  li t3, 4096
  add t0, t0, t3
  addi t1, t1, -1
  bnez t1, next
  j start`;

interface Facts {
  /** What each listed checkpoint holds: its memory and its disks. */
  readonly checkpoints: ReadonlyMap<string, string>;
  /** What the machine's disks hold. */
  readonly disks: string;
  readonly suspended: string | undefined;
}

interface Scene {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly before: Facts;
  readonly after: Facts;
  /** A folder that is made whole, or not at all. */
  readonly makes?: string;
  /** The checkpoint that is current when it is done; before, it is the one of the scene before. */
  readonly current: string | undefined;
}

let place: string;
let recorded: RecordedHost;
const scenes: Scene[] = [];
const opened: MachineHost[] = [];

beforeAll(async () => {
  place = mkdtempSync(path.join(os.tmpdir(), 'afterimage-test-'));
  await record();
}, 240_000);

afterAll(async () => {
  recorded.stop();
  for (const host of opened) await host.close().catch(() => undefined);
  rmSync(place, { recursive: true, force: true });
});

function elf(): string {
  const assembler = new Assembler(0x80000000);
  assembler.text(PROGRAM);
  const bytes = assembler.build();
  const file = path.join(place, 'program.elf');
  writeFileSync(file, elfFile({ segments: [{ virtual: 0x80000000n, bytes }], entry: 0x80000000n, symbols: {} }));
  return file;
}

/** A machine's life, each step of it a scene. */
async function record(): Promise<void> {
  const library = path.join(place, 'library');
  const folder = path.join(library, 'machine');
  mkdirSync(library);
  const raw = path.join(place, 'disk.raw');
  writeFileSync(raw, Buffer.alloc(192 * KIB, 'abcdefgh'));
  recorded = new RecordedHost(library);
  await recorded.begin();
  const nothing: Facts = { checkpoints: new Map(), disks: '', suspended: undefined };
  await folderCalls().create({
    folder,
    machine: {
      name: 'Machine',
      memory: MEMORY_LIMITS.smallest,
      boot: { kind: 'files', elf: elf() },
      disks: [
        { kind: 'existing', path: raw, format: 'raw', mode: 'persistent' },
        { kind: 'new', size: 128 * KIB, format: 'qcow2' },
      ],
      automatic: { ...USUAL_AUTOMATIC, beforeRestore: false },
    },
  });
  const created = recorded.events.length;
  const host = await MachineHost.open({ folder, engine: ENGINE_PARTS });
  opened.push(host);
  let before = await factsOf(host);
  scenes.push({
    name: 'create',
    first: 0,
    last: created,
    before: nothing,
    after: before,
    makes: 'machine',
    current: undefined,
  });
  const scene = async (name: string, run: () => Promise<unknown>, makes?: string) => {
    const first = recorded.events.length;
    await run();
    while (host.jobs.busy) await new Promise(resolve => setImmediate(resolve));
    await host.layers.collect();
    const last = recorded.events.length;
    const after = await factsOf(host);
    const made = makes === undefined ? {} : { makes };
    scenes.push({ name, first, last, before, after, ...made, current: (await host.tree()).current });
    before = after;
  };
  const { checkpoints, deletions, runs } = host;
  const ids = () => [...before.checkpoints.keys()];
  await scene('power on', () => runs.start({}));
  await scene('take the first', () => checkpoints.take({ name: 'one' }));
  await scene('take another', () => checkpoints.take({ name: 'two' }));
  await scene('take a full one', () => checkpoints.take({ name: 'three', full: true }));
  await scene('restore while it runs', () => runs.restore({ id: ids()[0]! }));
  await scene('take on a branch', () => checkpoints.take({ name: 'four' }));
  await scene('delete one that others build on', () => deletions.delete(ids()[0]!, false));
  await scene('keep and restore', () => runs.restore({ id: ids()[0]!, keepCurrent: true }));
  await scene('suspend', () => runs.suspend());
  await scene('go on', () => runs.start({}));
  await scene('take in memory', () => checkpoints.take({ name: 'in memory', store: 'ram' }));
  await scene('persist', async () => checkpoints.persist((await host.tree()).current!, 'file'));
  await scene('power off', () => host.power.cut());
  await scene('restore while it is off', () => runs.restore({ id: ids()[1]! }));
  await scene(
    'clone',
    () => cloneTo(host, { id: ids()[1]!, folder: path.join(library, 'clone'), name: 'Clone' }),
    'clone',
  );
  const file = path.join(place, 'exported');
  await exportTo(host, ids()[2]!, file);
  await scene('import', () => folderCalls().import({ file, folder: path.join(library, 'imported') }), 'imported');
  await scene('delete a subtree', () => deletions.delete(ids()[0]!, true));
  for (const id of ids()) await scene('delete', () => deletions.delete(id, false));
  await scene('power off again', () => host.power.cut());
  recorded.stop();
}

async function factsOf(host: MachineHost): Promise<Facts> {
  const tree = await host.tree();
  const checkpoints = new Map<string, string>();
  for (const { id, durable } of tree.nodes) {
    if (!durable) continue;
    const reader = await tree.open(id);
    try {
      checkpoints.set(id, `${await memoryOf(reader)} ${await disksBelow(host, await layersOf(reader))}`);
    } finally {
      await reader.close();
    }
  }
  const layers = host.folder.record.disks.map(({ format }, disk) => ({ path: host.folder.activeLayer(disk), format }));
  return { checkpoints, disks: await disksBelow(host, layers), suspended: host.folder.process.suspended };
}

async function layersOf(reader: CheckpointReader) {
  return (await disksOf(reader)).disks.map(({ layer, format }) => ({ path: layer!, format }));
}

async function memoryOf(reader: CheckpointReader): Promise<string> {
  const hash = createHash('sha256');
  const buffers = Array.from({ length: 64 }, () => new Uint8Array(PAGE));
  for (let page = 0; page < reader.spaces[0]!.bytes / PAGE; page += buffers.length) {
    const pages = buffers.map((_, index) => page + index);
    await reader.readPages(0, pages, buffers);
    for (const buffer of buffers) hash.update(buffer);
  }
  hash.update((await reader.section('state')) ?? '');
  return hash.digest('hex').slice(0, 16);
}

async function disksBelow(
  host: MachineHost,
  layers: readonly { path: string; format: 'raw' | 'qcow2' }[],
): Promise<string> {
  const hash = createHash('sha256');
  for (const layer of layers) {
    const folder = new OwnedFolder(host.folder.path);
    const chain = await openChain(folder, layer, { access: 'read', codecs: clusterCodecs });
    const bytes = new Uint8Array(chain.size);
    await chain.read(0, [bytes]);
    await closeChain(chain);
    hash.update(bytes);
  }
  return hash.digest('hex').slice(0, 16);
}

/** Names that no rule allows in a machine's folder that is in order. */
function strays(folder: string): string[] {
  const allowed = /^(machine\.json|disks|checkpoints|control\.sock|disks\.lock)$/;
  const found = readdirSync(folder).filter(name => !allowed.test(name));
  for (const name of readdirSync(path.join(folder, 'disks'))) {
    if (!/^disk\d+-[0-9a-f]+\.(qcow2|raw)(\.lock)?$/.test(name)) found.push(name);
  }
  for (const name of readdirSync(path.join(folder, 'checkpoints'))) {
    if (!/^([0-9a-f]{32}\.checkpoint|tree\.json)$/.test(name)) found.push(name);
  }
  return found;
}

const same = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>) =>
  one.size === other.size && [...one].every(([id, content]) => other.get(id) === content);

/** Opens a machine as it was left, and says whether it is as before or as after. */
async function judge(folder: string, scene: Scene, what: string, powerOn: boolean): Promise<'before' | 'after'> {
  const host = await MachineHost.open({ folder, engine: ENGINE_PARTS });
  opened.push(host);
  const { problems } = await host.checkpoints.verify(true);
  expect(problems, what).toEqual([]);
  expect(strays(folder), what).toEqual([]);
  const facts = await factsOf(host);
  const { before, after } = scene;
  const old = same(facts.checkpoints, before.checkpoints);
  expect(old || same(facts.checkpoints, after.checkpoints), `${what}: the checkpoints`).toBe(true);
  expect([before.disks, after.disks], `${what}: the disks`).toContain(facts.disks);
  // What machine.json and tree.json say of one another.
  const { current, nodes } = await host.tree();
  const known = nodes.map(({ id }) => id);
  if (facts.suspended !== undefined) expect(known, what).toContain(facts.suspended);
  if (current !== undefined && known.length > 0) expect(known, what).toContain(current);
  expect(host.folder.process.restored, what).toBeUndefined();
  if (powerOn) {
    await host.runs.start({});
    const { id } = await host.checkpoints.take({ name: 'after the cut' });
    for (const one of known.slice(-1)) await host.runs.restore({ id: one });
    await host.deletions.delete(id, false);
    await host.power.cut();
    while (host.jobs.busy) await new Promise(resolve => setImmediate(resolve));
    await host.layers.collect();
    expect((await host.checkpoints.verify(true)).problems, what).toEqual([]);
  }
  await host.close();
  opened.pop();
  return old ? 'before' : 'after';
}

/** A new machine is there and in order, or it is not there. */
async function judgeMade(folder: string, what: string): Promise<boolean> {
  if (!existsSync(folder)) return false;
  const host = await MachineHost.open({ folder, engine: ENGINE_PARTS });
  opened.push(host);
  expect((await host.checkpoints.verify(true)).problems, what).toEqual([]);
  expect(strays(folder), what).toEqual([]);
  for (const name of readdirSync(path.join(folder, 'disks'))) {
    if (!name.endsWith('.qcow2')) continue;
    execFileSync('qemu-img', ['check', '-U', path.join(folder, 'disks', name)], { stdio: 'pipe', timeout: 30_000 });
  }
  await host.close();
  opened.pop();
  return true;
}

test('after a cut at any step a machine is as before or as after it', async () => {
  const random = new Random(SEED);
  const library = path.join(place, 'cut');
  const totals = { cuts: 0, states: 0, before: 0, after: 0, powered: 0 };
  for (const scene of scenes) {
    const seen = new Set<string>();
    let made = false;
    for (let count = scene.first; count <= scene.last; count += 1) {
      for (const kept of ['all', 'nothing', 'names', 'some'] satisfies Kept[]) {
        totals.cuts += 1;
        const what = `${scene.name}: cut after ${count - scene.first} of ${scene.last - scene.first} steps, keeping ${kept}, seed ${SEED}`;
        const end = count === scene.last && kept === 'nothing';
        if (!end && random.below(OF_STATES) !== 0) continue;
        mkdirSync(library);
        const content = recorded.afterCut(count, kept, random, library);
        if (!seen.has(content)) {
          seen.add(content);
          totals.states += 1;
          const powerOn = totals.states % POWERED === 0;
          if (scene.makes !== undefined) {
            const there = await judgeMade(path.join(library, scene.makes), what);
            expect(there || !made || kept !== 'all', what).toBe(true);
            made ||= there && kept === 'all';
            if (count === scene.last) expect(there, `${what}: what was acknowledged is there`).toBe(true);
          }
          if (scene.name !== 'create') {
            const found = await judge(path.join(library, 'machine'), scene, what, powerOn);
            totals[found] += 1;
            if (powerOn) totals.powered += 1;
            const acknowledged = !same(scene.before.checkpoints, scene.after.checkpoints) && count === scene.last;
            if (acknowledged) expect(found, `${what}: what was acknowledged stays`).toBe('after');
          }
        }
        rmSync(library, { recursive: true });
      }
    }
  }
  console.log(`machine cuts: ${scenes.length} scenes, ${JSON.stringify(totals)}`);
  expect(totals.after).toBeGreaterThan(20);
  expect(totals.before).toBeGreaterThan(20);
});

test('the cuts find what they are there for: a host that is never told to flush loses what was acknowledged', async () => {
  const random = new Random(SEED);
  let lost = 0;
  const taking = scenes.filter(({ name }) => name.startsWith('take'));
  for (const scene of taking) {
    const library = mkdtempSync(path.join(place, 'careless-'));
    recorded.afterCut(scene.last, 'names', random, library, { syncs: false });
    await judge(path.join(library, 'machine'), scene, 'careless', false).catch(() => {
      lost += 1;
    });
  }
  expect(lost).toBe(taking.length);
});

test('the record is what happened: without a cut it is what the host has', () => {
  const copy = path.join(place, 'copy');
  mkdirSync(copy);
  recorded.afterCut(recorded.events.length, 'all', new Random(1), copy);
  const files = (root: string) =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && !entry.parentPath.includes('.lock') && !entry.name.startsWith('control'))
      .map(entry => path.relative(root, path.join(entry.parentPath, entry.name)))
      .sort();
  const library = path.join(place, 'library');
  expect(files(copy)).toEqual(files(library));
  for (const file of files(library)) {
    expect(readFileSync(path.join(copy, file)).equals(readFileSync(path.join(library, file))), file).toBe(true);
  }
});
