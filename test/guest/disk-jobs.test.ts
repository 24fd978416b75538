// Debian writes to its disk while the layers below it are committed, streamed and cancelled: its file system is clean.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { BitmapAction, BitmapResult, DiskJobEvent, RunningDiskJob } from '../../engine/api/disk.ts';
import type { EngineEvent } from '../../engine/api/messages.ts';
import { EngineClient } from '../../main/cli/engine-client.ts';
import { qemuCheck, qemuImg } from '../disk/qcow2/qemu.ts';
import { PROMPT } from '../framework/guest-session.ts';

const MIB = 2 ** 20;
const entry = new URL('../../engine/host/process.ts', import.meta.url);
const folder = mkdtempSync(path.join(tmpdir(), 'afterimage-disk-jobs-'));
afterAll(() => rmSync(folder, { recursive: true }));

type JobReport = Extract<DiskJobEvent, { kind: 'disk-job' }>;

/** An engine with Debian on a disk; the test is the parent that records which file the disk is. */
class JobGuest {
  readonly client: EngineClient;
  readonly jobs: JobReport[] = [];
  readonly interrupted: Extract<DiskJobEvent, { kind: 'disk-interrupted' }>[] = [];
  readonly bitmaps: Extract<DiskJobEvent, { kind: 'disk-bitmap' }>[] = [];
  active: string;
  #output = '';
  #failure: EngineEvent | undefined;
  readonly exited: Promise<void>;

  constructor(active: string) {
    this.active = active;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.exited = promise;
    this.client = new EngineClient({ entry, onEvent: event => this.#hear(event), onExit: () => resolve() });
  }

  #hear(event: EngineEvent): void {
    if (event.kind === 'console-output') {
      this.#output += Buffer.from(event.bytes).toString('latin1');
      this.client.send({ kind: 'console-taken', count: event.bytes.length });
    } else if (event.kind === 'disk-job') this.jobs.push(event);
    else if (event.kind === 'disk-interrupted') this.interrupted.push(event);
    else if (event.kind === 'disk-bitmap') this.bitmaps.push(event);
    else if (event.kind === 'disk-active') {
      this.active = event.file;
      this.client.send({ kind: 'disk-recorded', disk: event.disk });
    } else if (event.kind === 'failed' || event.kind === 'warning') this.#failure = event;
  }

  async boot(): Promise<void> {
    const { kernel, initrd, append } = await ensureGuest();
    const disks = [
      { path: path.join(folder, this.active), format: 'qcow2', readonly: false, temporary: false },
    ] as const;
    this.client.send({ kind: 'start', settings: { memory: 256 * MIB, boot: { kernel, initrd, append }, disks } });
    await this.shows(PROMPT);
  }

  type(text: string): void {
    this.#output = '';
    this.client.send({ kind: 'console-input', bytes: new TextEncoder().encode(text) });
  }

  async shows(text: string | RegExp): Promise<void> {
    await expect.poll(() => this.#output, { timeout: 200_000, interval: 50 }).toMatch(text);
    expect(this.#failure).toBeUndefined();
  }

  /** Runs a job to its end; returns the last report. */
  async job(job: JobReport['job'], layer?: string, cancel = false): Promise<JobReport> {
    return await this.run({ job, ...(layer === undefined ? {} : { layer }) }, cancel);
  }

  start(work: Omit<RunningDiskJob, 'disk' | 'keep'>): void {
    this.jobs.length = 0;
    this.client.send({ kind: 'disk-job', disk: 0, keep: [], ...work });
  }

  async run(work: Omit<RunningDiskJob, 'disk' | 'keep'>, cancel = false): Promise<JobReport> {
    this.start(work);
    if (cancel) this.client.send({ kind: 'disk-job-cancel', disk: 0 });
    const ended = () => this.jobs.find(({ state }) => ['done', 'failed', 'cancelled'].includes(state));
    await expect.poll(ended, { timeout: 120_000, interval: 20 }).toBeDefined();
    return ended()!;
  }

  async bitmap(does: BitmapAction): Promise<BitmapResult> {
    this.bitmaps.length = 0;
    this.client.send({ kind: 'disk-bitmap', disk: 0, request: 1, does });
    await expect.poll(() => this.bitmaps[0], { timeout: 60_000, interval: 20 }).toBeDefined();
    const { result, error } = this.bitmaps[0]!;
    expect(error).toBeUndefined();
    return result!;
  }

  /** Ends the engine as a crash does. */
  async crash(): Promise<void> {
    this.client.kill();
    await this.exited;
  }
}

async function threeLayers(): Promise<void> {
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
  const base = path.join(folder, 'base.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', base, '256M');
  for (const [name, below] of [
    ['middle.qcow2', 'base.qcow2'],
    ['top.qcow2', 'middle.qcow2'],
  ]) {
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', below!, '-F', 'qcow2', path.join(folder, name!));
  }
}

/** What e2fsck says after replaying the journal, as a mount does. */
async function expectClean(active: string): Promise<void> {
  expect((await qemuCheck(path.join(folder, active))).corruptions).toBe(0);
  const raw = path.join(folder, 'fs.raw');
  await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', path.join(folder, active), raw);
  const replayed = spawnSync('e2fsck', ['-fp', raw], { encoding: 'utf8' });
  expect(replayed.stdout + replayed.stderr).not.toMatch('UNEXPECTED');
  execFileSync('e2fsck', ['-fn', raw], { stdio: 'pipe' });
}

const LOAD =
  'while [ ! -e /tmp/stop ]; do i=$((i+1)); head -c 200000 /dev/urandom >/data/f$((i % 30)); [ $((i % 8)) = 0 ] && sync; done';
const SAME = "echo 3 >/proc/sys/vm/drop_caches; sha256sum </data/kept | cmp - /data/sum && echo sa''me";

test('a crash in the middle of a job leaves a clean file system, and the job goes on', {
  timeout: 600_000,
}, async () => {
  await threeLayers();
  let active = 'top.qcow2';
  const boot = async () => {
    const guest = new JobGuest(active);
    onTestFinished(() => guest.crash());
    await guest.boot();
    return guest;
  };
  let guest = await boot();
  guest.type('head -c 4000000 /dev/urandom >/data/kept; sha256sum </data/kept >/data/sum; sync; echo rea""dy\n');
  await guest.shows('ready');
  expect(await guest.bitmap({ action: 'add', name: 'backup' })).toMatchObject({ bitmaps: [{ trusted: true }] });
  for (const job of ['commit', 'compact', 'stream'] as const) {
    guest.type(`(${LOAD}) &\n`);
    await guest.shows(PROMPT);
    guest.start({ job, bytesPerSecond: 2 * MIB });
    const moved = () => guest.jobs.some(({ done, state }) => done > 0 && state === 'copying');
    await expect.poll(moved, { timeout: 60_000, interval: 20 }).toBe(true);
    await guest.crash();
    ({ active } = guest);
    await expectClean(active);
    guest = await boot();
    guest.type(`${SAME}\n`);
    await guest.shows(/same\r?\n/);
    const found = guest.interrupted.flatMap(({ jobs }) => jobs.map(({ kind }) => kind));
    expect(found).toEqual(job === 'compact' ? [] : [job]);
    expect(await guest.job('resume')).toMatchObject({ state: 'done', outcome: { resumed: found.length } });
    expect(readdirSync(folder).filter(name => /\.(job|partial)$/.test(name))).toEqual([]);
    guest.type(`${SAME}\n`);
    await guest.shows(/same\r?\n/);
  }
  expect(await guest.bitmap({ action: 'list' })).toMatchObject({ bitmaps: [{ name: 'backup', trusted: false }] });
  expect(await guest.bitmap({ action: 'clear', name: 'backup' })).toMatchObject({ bitmaps: [{ trusted: true }] });
  guest.type('head -c 1000000 /dev/urandom >/data/new; sync; echo writ""ten\n');
  await guest.shows('written');
  const { ranges = [] } = await guest.bitmap({ action: 'map', name: 'backup' });
  const dirty = ranges.reduce((sum, { length }) => sum + length, 0);
  expect(dirty).toBeGreaterThan(MIB / 2);
  expect(dirty).toBeLessThan(64 * MIB);
  expect(await guest.job('compact')).toMatchObject({ state: 'done', outcome: { freed: expect.any(Number) } });
  expect(await guest.job('overlay')).toMatchObject({ state: 'done' });
  const frozen = JSON.parse(await qemuImg('info', '-U', '--output=json', path.join(folder, guest.active)));
  const layer = frozen['backing-filename'] as string;
  expect(await guest.run({ job: 'copy', layer, to: 'copy.qcow2' })).toMatchObject({
    state: 'done',
    outcome: { method: expect.stringMatching(/shared|sparse/) },
  });
  expect(await guest.run({ job: 'check', layer })).toMatchObject({ outcome: { check: { corruptions: 0 } } });
  expect(await guest.run({ job: 'resize', size: 300 * MIB })).toMatchObject({
    state: 'done',
    outcome: { size: 300 * MIB },
  });
  guest.type('cat /sys/block/vda/size\n');
  await guest.shows(String((300 * MIB) / 512));
  guest.type(`${SAME}; poweroff\n`);
  await guest.exited;
  await expectClean(guest.active);
  expect((await qemuCheck(path.join(folder, 'copy.qcow2'))).corruptions).toBe(0);
});

test('commits and streams under load keep the file system clean', { timeout: 400_000 }, async () => {
  await threeLayers();
  const guest = new JobGuest('top.qcow2');
  try {
    await guest.boot();
    guest.type('head -c 4000000 /dev/urandom >/data/kept; sha256sum </data/kept >/data/sum; sync; echo rea""dy\n');
    await guest.shows('ready');
    guest.type(`(${LOAD}; echo load en""ded) &\n`);
    await guest.shows(PROMPT);
    expect(await guest.job('commit', 'middle.qcow2')).toMatchObject({ state: 'done' });
    expect(await guest.job('commit')).toMatchObject({ state: 'done' });
    expect(guest.active).toBe('base.qcow2');
    for (let round = 0; round < 3; round += 1) {
      expect(await guest.job('overlay')).toMatchObject({ state: 'done' });
      expect(['cancelled', 'done']).toContain(
        (await guest.job(round === 1 ? 'stream' : 'commit', undefined, true)).state,
      );
    }
    expect(await guest.job('overlay')).toMatchObject({ state: 'done' });
    expect(await guest.job('stream')).toMatchObject({ state: 'done' });
    guest.type('touch /tmp/stop\n');
    await guest.shows('load ended');
    guest.type(
      "echo 3 >/proc/sys/vm/drop_caches; sha256sum </data/kept | cmp - /data/sum && echo sa''me; dmesg | grep -c 'I/O error'\n",
    );
    await guest.shows(/same\r?\n0\r?\n/);
    guest.type('poweroff\n');
    await guest.exited;
  } finally {
    guest.client.kill();
    await guest.exited;
  }
  await expectClean(guest.active);
});
