// @req C16, DESIGN 5.5: the process of a machine is killed at random instants of all that it does, under the witness's
// load. Whatever the instant, nothing that was acknowledged is lost, everything listed restores, and nothing stays.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { CheckpointNode } from '../../engine/api/checkpoints.ts';
import type { DiskJobArguments } from '../../engine/api/control.ts';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { Random } from '../contract/random.ts';
import { createMachine, folderCall, type Owner, ownUntilEnd } from '../host/machine-owner.ts';
import { installWitness, witnessDisk } from './witness/witness.ts';

const MIB = 2 ** 20;
const ROUNDS = Number(process.env.AFTERIMAGE_KILLS ?? 12);
const SEED = Number(process.env.AFTERIMAGE_KILLS_SEED ?? 1);
/** What is listed is deleted down to so many, so that rounds stay of one length. */
const KEPT = 5;
const FEWEST = 3;
/** Until an operation has been seen to end. */
const USUAL_MILLISECONDS = 500;

const ACTIONS = [
  'take',
  'restore',
  'delete',
  'suspend',
  'clone',
  'export',
  'commit',
  'power cycle',
  'keep and restore',
] as const;
type Action = (typeof ACTIONS)[number];

const random = new Random(SEED);
let place: string;
let folder: string;
let guest: { readonly kernel: string; readonly initrd: string; readonly append: string };
let owner: Owner;
/** How long each action takes when nobody kills it, in milliseconds; the last of it. */
const durations = new Map<Action, number>();
const killed = { midway: 0, after: 0 };

beforeAll(async () => {
  place = mkdtempSync(path.join(os.tmpdir(), 'afterimage-test-'));
  folder = path.join(place, 'machine');
  const { kernel, initrd, append } = await ensureGuest();
  guest = { kernel, initrd, append };
  await createMachine(folder, {
    memory: 128 * MIB,
    disks: [
      { kind: 'existing', path: witnessDisk().path, format: 'raw', mode: 'readonly' },
      { kind: 'new', size: 8 * MIB, format: 'qcow2' },
      { kind: 'new', size: 8 * MIB, format: 'raw' },
    ],
    automatic: { ...USUAL_AUTOMATIC, beforeRestore: false },
  });
  await open();
  await owner.connection.call('start', { guest, consoleSize: { rows: 24, columns: 200 } });
  await owner.connection.call('exec', { command: installWitness('vda'), timeoutSeconds: 120 });
  await owner.connection.call('console-input', { bytes: Buffer.from('witness check /dev/vdb /dev/vdc 4\n') });
  await witnessGoesOn();
  await takeSome();
}, 120_000);

afterAll(async () => {
  owner.connection.close();
  owner.engine.kill();
  await owner.exit;
  rmSync(place, { recursive: true, force: true });
  const taken = [...durations].map(([action, milliseconds]) => `${action} ${milliseconds.toFixed(0)} ms`);
  console.log(
    `kills: seed ${SEED}, ${killed.midway} midway, ${killed.after} just after; unharmed: ${taken.join(', ')}`,
  );
});

async function open(): Promise<void> {
  owner = ownUntilEnd(folder);
  await owner.connection.call('console-attach', {});
}

async function nodes(one = owner): Promise<readonly CheckpointNode[]> {
  return (await one.connection.call('tree', {})).nodes;
}

/** It says so three times from now on, and complains of nothing. */
async function witnessGoesOn(one = owner): Promise<void> {
  const from = one.output().length;
  const goes = () => /(witness \d+ ok[\s\S]*){3}|BROKEN/.test(one.output().slice(from));
  await one.until('the witness goes on', goes);
  expect(one.output()).not.toContain('BROKEN');
}

async function quiet(one = owner): Promise<void> {
  for (;;) {
    const jobs = await one.connection.call('jobs', {});
    if (!jobs.some(({ state }) => state === 'running')) return;
    const seen = one.events.length;
    await one.until('the end of a job', () => one.events.length > seen);
  }
}

async function problems(one = owner): Promise<readonly string[]> {
  const found = await one.connection.call('verify', { deep: true });
  return found.problems.map(({ id, message }) => `${id ?? ''} ${message}`.trim());
}

/** What an action has promised by being answered. */
interface Promised {
  taken?: string;
  deleted?: string;
  suspended?: true;
  copied?: true;
}

async function act(
  action: Action,
  listed: readonly CheckpointNode[],
  round: number,
  promised: Promised,
): Promise<void> {
  const { connection } = owner;
  const { id } = random.pick(listed);
  switch (action) {
    case 'take':
      promised.taken = (await connection.call('checkpoint', { name: `round ${round}`, full: round % 3 === 0 })).id;
      break;
    case 'restore':
      await connection.call('restore', { id });
      break;
    case 'keep and restore':
      promised.taken = (await connection.call('restore', { id, keepCurrent: true })).kept!;
      break;
    case 'delete':
      await connection.call('delete-checkpoint', { id });
      promised.deleted = id;
      await quiet();
      break;
    case 'suspend':
      await connection.call('suspend', {});
      promised.suspended = true;
      break;
    case 'clone':
      await connection.call('clone', { id, folder: path.join(place, `clone-${round}`), name: 'Clone' });
      promised.copied = true;
      break;
    case 'export':
      await connection.call('export', { id, file: path.join(place, `export-${round}`) });
      promised.copied = true;
      break;
    case 'commit':
      // A layer that nobody needs by itself, and what comes into it meanwhile.
      await job({ disk: 1, kind: 'overlay' });
      await witnessGoesOn();
      await job({ disk: 1, kind: 'commit' });
      break;
    case 'power cycle':
      await connection.call('stop', { force: true });
      await connection.call('start', { guest, fresh: true });
  }
}

async function job(given: DiskJobArguments): Promise<void> {
  await owner.connection.call('disk-job', given);
  await quiet();
}

/** Kills the process somewhere within the action, or right after it. */
async function killDuring(action: Action, listed: readonly CheckpointNode[], round: number): Promise<Promised> {
  const delay = (random.below(1200) / 1000) * (durations.get(action) ?? USUAL_MILLISECONDS);
  const began = performance.now();
  const promised: Promised = {};
  const acting = act(action, listed, round, promised).then(
    () => void durations.set(action, performance.now() - began),
    (thrown: unknown) => AfterimageError.from(thrown),
  );
  let timer: NodeJS.Timeout | undefined;
  const midway = await Promise.race([
    acting.then(() => false),
    new Promise<boolean>(resolve => {
      timer = setTimeout(() => resolve(true), delay);
    }),
  ]);
  clearTimeout(timer);
  owner.engine.kill();
  await owner.exit;
  killed[midway ? 'midway' : 'after'] += 1;
  const failed = await acting;
  // Only being killed is a reason to fail.
  if (!midway) expect(failed, `${action} in round ${round}`).toBeUndefined();
  return promised;
}

/** As the files are, before anybody has opened the folder again: QEMU finds no damage; leaks are allowed. */
function checkImages(what: string): void {
  for (const name of readdirSync(path.join(folder, 'disks'))) {
    if (!name.endsWith('.qcow2')) continue;
    try {
      execFileSync('qemu-img', ['check', '-U', path.join(folder, 'disks', name)], { stdio: 'pipe', timeout: 30_000 });
    } catch (thrown) {
      const { status, stdout, stderr } = thrown as { status: number; stdout: Buffer; stderr: Buffer };
      expect(status, `${what}: ${name}: ${stdout} ${stderr}`).toBe(3);
    }
  }
}

/** Files and folders that no rule allows. */
function strays(): string[] {
  const found = readdirSync(folder).filter(
    name => !['machine.json', 'disks', 'checkpoints', 'disks.lock', 'control.sock'].includes(name),
  );
  const disks = readdirSync(path.join(folder, 'disks'));
  for (const name of disks) {
    const file = name.replace(/\.lock$/, '');
    if (!/^disk\d+-[0-9a-f]+\.(qcow2|raw)$/.test(file) || !disks.includes(file)) found.push(`disks/${name}`);
  }
  for (const name of readdirSync(path.join(folder, 'checkpoints'))) {
    if (!/^([0-9a-f]{32}\.checkpoint|tree\.json)$/.test(name)) found.push(`checkpoints/${name}`);
  }
  return found;
}

/** A machine of the folder's own: complete, or not there. */
async function checkClone(clone: string, promised: boolean, what: string): Promise<void> {
  if (!existsSync(clone)) {
    expect(promised, what).toBe(false);
    return;
  }
  const one = ownUntilEnd(clone);
  try {
    expect(await problems(one), what).toEqual([]);
    await one.connection.call('console-attach', {});
    await one.connection.call('start', { guest });
    await witnessGoesOn(one);
    await one.connection.call('stop', { force: true });
  } finally {
    one.connection.close();
    one.engine.kill();
    await one.exit;
    rmSync(clone, { recursive: true });
  }
}

async function checkExport(file: string, promised: boolean, what: string): Promise<void> {
  if (!existsSync(file)) expect(promised, what).toBe(false);
  else expect(await folderCall('preview', { file }), what).toMatchObject({ memory: 128 * MIB });
  rmSync(file, { force: true });
}

async function takeSome(): Promise<void> {
  while ((await nodes()).length < FEWEST) await owner.connection.call('checkpoint', { name: 'one more' });
}

/** Down to a few, over the newest and the oldest; what they leave is gone when it returns. */
async function letGo(): Promise<void> {
  for (let listed = await nodes(); listed.length > KEPT; listed = await nodes()) {
    await owner.connection.call('delete-checkpoint', { id: random.pick(listed).id });
  }
  await quiet();
}

function checkNodes(
  what: string,
  before: readonly CheckpointNode[],
  after: readonly CheckpointNode[],
  action: Action,
  promised: Promised,
) {
  const ids = new Set(after.map(({ id }) => id));
  const missing = before.filter(({ id }) => !ids.has(id)).map(({ id }) => id);
  // A deletion may have happened and not been answered; nothing else may be gone.
  if (action !== 'delete') expect(missing, what).toEqual([]);
  else expect(missing.length, what).toBeLessThanOrEqual(1);
  if (promised.deleted !== undefined) expect(missing, what).toEqual([promised.deleted]);
  if (promised.taken !== undefined) expect(ids.has(promised.taken), what).toBe(true);
  const more = after.filter(({ id }) => before.every(one => one.id !== id));
  expect(more.length, what).toBeLessThanOrEqual(['take', 'keep and restore', 'suspend'].includes(action) ? 1 : 0);
  if (promised.suspended) expect(more, what).toMatchObject([{ name: expect.stringMatching(/^Suspended/) }]);
}

test(
  `${ROUNDS} kills at random instants lose nothing and leave nothing`,
  async () => {
    let left: Action[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      if (left.length === 0) left = [...ACTIONS];
      const action = random.pick(left);
      left.splice(left.indexOf(action), 1);
      const what = `seed ${SEED}, round ${round}: ${action}`;
      const before = await nodes();
      const promised = await killDuring(action, before, round);
      checkImages(what);
      const wasSuspended = suspendedAt();
      await open();
      const after = await nodes();
      checkNodes(what, before, after, action, promised);
      const interrupted = (text: string) => action === 'commit' && /\.job is no layer|needed by nobody/.test(text);
      expect(
        (await problems()).filter(text => !interrupted(text)),
        what,
      ).toEqual([]);
      if (promised.suspended) expect(wasSuspended, what).toBeDefined();
      // It goes on from where it was suspended, or powers on with the disks as the kill left them.
      await owner.connection.call('start', { guest });
      if (wasSuspended !== undefined) await witnessGoesOn();
      else if (action === 'commit' || round % 4 === 0) await owner.shows('afterimage:~# ');
      await quiet();
      const newest = after.at(-1)!;
      for (const { id, name } of new Set([newest, random.pick(after)])) {
        await owner.connection.call('restore', { id, guest });
        await witnessGoesOn().catch((thrown: unknown) => expect.fail(`${what}: ${name} after it: ${thrown}`));
      }
      if (action === 'clone') await checkClone(path.join(place, `clone-${round}`), promised.copied === true, what);
      if (action === 'export') await checkExport(path.join(place, `export-${round}`), promised.copied === true, what);
      await letGo();
      expect(await problems(), what).toEqual([]);
      expect(strays(), what).toEqual([]);
    }
  },
  ROUNDS * 60_000,
);

test('in the end all of it is in order, for QEMU too', async () => {
  await owner.connection.call('stop', { force: true });
  owner.connection.close();
  await owner.exit;
  expect(strays()).toEqual([]);
  checkImages('at the end');
  await open();
  expect(await problems()).toEqual([]);
  // What exports and clones that were killed left beside the machine is known by its name.
  const others = readdirSync(place).filter(name => name !== 'machine');
  expect(others.filter(name => !/^(\.new-|export-\d+\.partial|\.export)/.test(name))).toEqual([]);
});

function suspendedAt(): string | undefined {
  return JSON.parse(readFileSync(path.join(folder, 'machine.json'), 'utf8')).process.suspended;
}
