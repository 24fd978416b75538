// @req DESIGN 5.5: the host has no room left in the middle of what a machine's owner does. The machine runs on, the failure
// says where it was, and nothing that was there is lost.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { installWitness, witnessDisk } from '../guest/witness/witness.ts';
import { createMachine, type Owner, ownUntilEnd } from './machine-owner.ts';

const MIB = 2 ** 20;
/** Room for the disks and some checkpoints. */
const HOST_MIB = 160;

const place = mkdtempSync(path.join(os.tmpdir(), 'afterimage-test-'));
const mount = path.join(place, 'small');
mkdirSync(mount);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${HOST_MIB}m`, 'tmpfs', mount], { encoding: 'utf8' });
const able = mounted.status === 0;
if (!able)
  console.log(
    `A full host is not tested: no file system can be mounted here (${mounted.error ?? mounted.stderr.trim()})`,
  );

const folder = path.join(mount, 'machine');
const filler = path.join(mount, 'filler');
let owner: Owner;
let guest: { readonly kernel: string; readonly initrd: string; readonly append: string };

beforeAll(async () => {
  if (!able) return;
  const { kernel, initrd, append } = await ensureGuest();
  guest = { kernel, initrd, append };
  await createMachine(folder, {
    memory: 128 * MIB,
    disks: [
      { kind: 'existing', path: witnessDisk().path, format: 'raw', mode: 'readonly' },
      { kind: 'new', size: 2 * MIB, format: 'qcow2' },
      { kind: 'new', size: 2 * MIB, format: 'qcow2' },
    ],
    automatic: { ...USUAL_AUTOMATIC, beforeRestore: false },
  });
  owner = ownUntilEnd(folder);
  const { connection } = owner;
  await connection.call('start', { guest });
  await connection.call('exec', { command: installWitness('vda'), timeoutSeconds: 120 });
  await connection.call('console-attach', {});
  await connection.call('console-input', { bytes: Buffer.from('witness check /dev/vdb /dev/vdc 2\n') });
  await witnessGoesOn();
  await connection.call('checkpoint', { name: 'first' });
  await connection.call('checkpoint', { name: 'second' });
}, 120_000);

afterAll(async () => {
  owner?.connection.close();
  owner?.engine.kill();
  await owner?.exit;
  if (able) spawnSync('umount', ['-l', mount]);
  rmSync(place, { recursive: true, force: true });
});

async function witnessGoesOn(): Promise<void> {
  const from = owner.output().length;
  await owner.until('the witness goes on', () => /(witness \d+ ok[\s\S]*){3}|BROKEN/.test(owner.output().slice(from)));
  expect(owner.output()).not.toContain('BROKEN');
}

const ids = async () => (await owner.connection.call('tree', {})).nodes.map(({ id }) => id);
/** Overlays of checkpoints that failed may still be on their way back into the layers below; their journals say so. */
const problems = async () =>
  (await owner.connection.call('verify', { deep: true })).problems.filter(
    ({ message }) => !/\.job is no/.test(message),
  );

async function quiet(): Promise<void> {
  while ((await owner.connection.call('jobs', {})).some(({ state }) => state === 'running')) {
    const seen = owner.events.length;
    await owner.until('the end of a job', () => owner.events.length > seen);
  }
}

/** Leaves at most so many bytes of room; what runs meanwhile takes of it, too. */
function fillUpTo(bytes: number): void {
  makeRoom();
  const room = () => {
    const { bavail, bsize } = statfsSync(mount);
    return bavail * bsize - bytes;
  };
  try {
    while (room() > 0) appendFileSync(filler, Buffer.alloc(Math.min(room(), MIB)));
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOSPC')) throw thrown;
  }
}

const makeRoom = () => rmSync(filler, { force: true });

/** What the host says of a file that it has no room for. */
const noSpace = { kind: 'no-space', context: { path: expect.stringContaining(mount), during: expect.any(String) } };

test.runIf(able).each([
  ['nothing', 0],
  ['little', 64 * 1024],
  ['half of it', 6 * MIB],
])('a checkpoint with room for %s fails, and the machine runs on', async (_, room) => {
  const before = await ids();
  // Where there is not even room for the machine's record, it says so just as well.
  await witnessGoesOn();
  fillUpTo(room);
  const failure = await owner.connection.call('checkpoint', { full: true }).catch((thrown: unknown) => thrown);
  makeRoom();
  expect(failure).toMatchObject(noSpace);
  expect(await ids()).toEqual(before);
  await goesOnAfterFull();
  const { id } = await owner.connection.call('checkpoint', {});
  expect(await ids()).toEqual([...before, id]);
  await owner.connection.call('delete-checkpoint', { id });
  await quiet();
  expect(await problems()).toEqual([]);
});

/** A guest's own write may have met the full host, too: then the machine waits for room, and goes on by itself. */
async function goesOnAfterFull(): Promise<void> {
  if ((await owner.connection.call('status', {})).pausedBy === 'disk-full') await owner.connection.call('resume', {});
  await witnessGoesOn();
}

test.runIf(able)('going back without room fails before the present state ends', async () => {
  const before = await ids();
  fillUpTo(0);
  const failure = await owner.connection.call('restore', { id: before[0]! }).catch((thrown: unknown) => thrown);
  const { state } = await owner.connection.call('status', {});
  makeRoom();
  // Files that were open and are nobody's may have made room after all.
  if (failure instanceof Error) expect(failure).toMatchObject(noSpace);
  expect(['running', 'paused']).toContain(state);
  await goesOnAfterFull();
  expect(await ids()).toEqual(before);
  await owner.connection.call('restore', { id: before[0]! });
  await witnessGoesOn();
  expect(await problems()).toEqual([]);
});

test.runIf(able)('deleting without room fails or is done, and harms nobody else', async () => {
  const { id } = await owner.connection.call('checkpoint', {});
  const before = await ids();
  fillUpTo(0);
  const failure = await owner.connection
    .call('delete-checkpoint', { id: before[0]! })
    .catch((thrown: unknown) => thrown);
  // A job may wait for room, with a write of the guest that does.
  makeRoom();
  await quiet();
  expect(failure).toMatchObject(noSpace);
  expect(await ids()).toEqual(before);
  await goesOnAfterFull();
  // Room for the list, not for the merging: it is off the list, and its file goes another time.
  fillUpTo(256 * 1024);
  await owner.connection.call('delete-checkpoint', { id: before[0]! });
  makeRoom();
  await quiet();
  expect(await ids()).toEqual(before.slice(1));
  await goesOnAfterFull();
  await owner.connection.call('delete-checkpoint', { id });
  await quiet();
  await owner.connection.call('restore', { id: before[1]! });
  await witnessGoesOn();
  expect(await problems()).toEqual([]);
});

test.runIf(able)('nothing is left of all the failures', async () => {
  await owner.connection.call('stop', { force: true });
  await quiet();
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  expect(names.filter(name => name.includes('partial'))).toEqual([]);
  expect(await problems()).toEqual([]);
  const { process: state } = JSON.parse(readFileSync(path.join(folder, 'machine.json'), 'utf8'));
  expect(state.suspended).toBeUndefined();
});
