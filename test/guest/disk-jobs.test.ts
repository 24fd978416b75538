// Debian writes to its disk while the layers below it are committed, streamed and cancelled: its file system is clean.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ensureGuest } from '../../assets/guest/guest.ts';
import type { DiskJobEvent, EngineEvent } from '../../engine/api/messages.ts';
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
    this.jobs.length = 0;
    this.client.send({ kind: 'disk-job', disk: 0, job, keep: [], ...(layer === undefined ? {} : { layer }) });
    if (cancel) this.client.send({ kind: 'disk-job-cancel', disk: 0 });
    const ended = () => this.jobs.find(({ state }) => ['done', 'failed', 'cancelled'].includes(state));
    await expect.poll(ended, { timeout: 120_000, interval: 20 }).toBeDefined();
    return ended()!;
  }
}

test('commits and streams under load keep the file system clean', { timeout: 400_000 }, async () => {
  const base = path.join(folder, 'base.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', base, '256M');
  for (const [name, below] of [
    ['middle.qcow2', 'base.qcow2'],
    ['top.qcow2', 'middle.qcow2'],
  ]) {
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', below!, '-F', 'qcow2', path.join(folder, name!));
  }
  const guest = new JobGuest('top.qcow2');
  try {
    await guest.boot();
    guest.type('head -c 4000000 /dev/urandom >/data/kept; sha256sum </data/kept >/data/sum; sync; echo rea""dy\n');
    await guest.shows('ready');
    const load =
      'while [ ! -e /tmp/stop ]; do i=$((i+1)); head -c 200000 /dev/urandom >/data/f$((i % 30)); [ $((i % 8)) = 0 ] && sync; done';
    guest.type(`(${load}; echo load en""ded) &\n`);
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
  const active = path.join(folder, guest.active);
  expect((await qemuCheck(active)).corruptions).toBe(0);
  const raw = path.join(folder, 'fs.raw');
  await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', active, raw);
  execFileSync('e2fsck', ['-fn', raw], { stdio: 'pipe' });
  expect(spawnSync('e2fsck', ['-fp', raw]).status).toBe(0);
});
