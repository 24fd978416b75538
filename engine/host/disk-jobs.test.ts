// Jobs on the disks of a running machine as its parent sees them, on real files.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { contentOf, Random, randomBytes } from '../../test/disk/qcow2/images.ts';
import { qemuCheck, qemuImg } from '../../test/disk/qcow2/qemu.ts';
import { temporaryFolder } from '../../test/host/temporary-folder.ts';
import type { DiskJobCommand, DiskJobEvent, RunningDiskJob } from '../api/disk.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import { DiskJobs } from './disk-jobs.ts';
import { openMachineDisk } from './disk-open.ts';

const MIB = 2 ** 20;
type Report = Extract<DiskJobEvent, { kind: 'disk-job' }>;

/** A machine's one disk, and a parent that records what it is told. */
class Parent {
  readonly folder = temporaryFolder();
  readonly reports: Report[] = [];
  readonly events: DiskJobEvent[] = [];
  readonly sizes: number[] = [];
  active = 'base.qcow2';
  /** It records nothing any more. */
  deaf = false;
  live!: LiveDisk;
  jobs!: DiskJobs;

  static async create(): Promise<Parent> {
    const parent = new Parent();
    await qemuImg('create', '-q', '-f', 'qcow2', parent.at('base.qcow2'), '64M');
    const disk = await openMachineDisk({
      path: parent.at('base.qcow2'),
      format: 'qcow2',
      readonly: false,
      temporary: false,
    });
    if (!(disk instanceof LiveDisk)) throw new Error('The disk is no chain');
    parent.live = disk;
    parent.jobs = new DiskJobs(
      [disk],
      event => parent.#hear(event),
      (_, size) => parent.sizes.push(size),
    );
    onTestFinished(async () => {
      await parent.jobs.finish();
      await disk.close();
    });
    return parent;
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  #hear(event: DiskJobEvent): void {
    this.events.push(event);
    if (event.kind === 'disk-job') this.reports.push(event);
    if (event.kind !== 'disk-active' || this.deaf) return;
    this.active = event.file;
    this.jobs.obey({ kind: 'disk-recorded', disk: 0 });
  }

  start(work: Omit<RunningDiskJob, 'disk' | 'keep'> & { keep?: readonly string[] }): void {
    this.reports.length = 0;
    this.jobs.obey({ kind: 'disk-job', disk: 0, keep: [], ...work });
  }

  async ended(): Promise<Report> {
    const end = () => this.reports.find(({ state }) => ['done', 'failed', 'cancelled'].includes(state));
    await expect.poll(end, { timeout: 30_000, interval: 5 }).toBeDefined();
    return end()!;
  }

  async run(work: Omit<RunningDiskJob, 'disk' | 'keep'> & { keep?: readonly string[] }): Promise<Report> {
    this.start(work);
    return await this.ended();
  }

  async fill(mebibytes: number, seed = 1): Promise<void> {
    await this.live.write(0, [randomBytes(new Random(seed), mebibytes * MIB)]);
  }
}

it('does every job, says what came of it, and the content stays', async () => {
  const parent = await Parent.create();
  await parent.fill(8);
  expect(await parent.run({ job: 'overlay' })).toMatchObject({ state: 'done' });
  await parent.fill(4, 2);
  expect(await parent.run({ job: 'overlay' })).toMatchObject({ state: 'done' });
  await parent.live.write(0, [new Uint8Array(512)]);
  const content = await contentOf(parent.live, 0, 16 * MIB);
  const middle = parent.live.active.backing!.path;
  expect(await parent.run({ job: 'check', layer: middle })).toMatchObject({
    outcome: { check: { corruptions: 0, leaks: 0, repaired: false } },
  });
  const copied = await parent.run({ job: 'copy', layer: middle, to: 'copy.qcow2' });
  expect(copied).toMatchObject({ state: 'done', outcome: { method: expect.stringMatching(/^(shared|sparse)$/) } });
  expect(await qemuImg('compare', parent.at('copy.qcow2'), parent.at('copy.qcow2'))).toMatch('identical');
  expect(await parent.run({ job: 'copy', to: 'active.qcow2' })).toMatchObject({
    state: 'failed',
    error: { kind: 'state' },
  });
  // The copy stands on the base too, and would be damaged.
  expect(await parent.run({ job: 'commit', layer: middle })).toMatchObject({
    state: 'failed',
    error: { kind: 'state', message: expect.stringContaining('copy.qcow2') },
  });
  await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', '', parent.at('copy.qcow2'));
  expect(await parent.run({ job: 'commit', layer: middle, keep: ['base.qcow2'] })).toMatchObject({
    state: 'failed',
    error: { kind: 'state' },
  });
  const committed = await parent.run({ job: 'commit', layer: middle });
  expect(committed).toMatchObject({ state: 'done', done: 4 * MIB, total: 4 * MIB });
  expect(await parent.run({ job: 'compact', compress: true })).toMatchObject({ state: 'done' });
  expect(await parent.run({ job: 'resize', size: 80 * MIB })).toMatchObject({ outcome: { size: 80 * MIB } });
  expect(parent.sizes).toEqual([80 * MIB]);
  expect(await parent.run({ job: 'resize', size: 64 * MIB })).toMatchObject({
    state: 'failed',
    error: { kind: 'usage' },
  });
  expect(await parent.run({ job: 'stream' })).toMatchObject({ outcome: { unused: ['base.qcow2'] } });
  expect(Buffer.from(await contentOf(parent.live, 0, 16 * MIB)).equals(content)).toBe(true);
  expect(await parent.run({ job: 'resume' })).toMatchObject({ state: 'done', outcome: { resumed: 0 } });
  expect(readdirSync(parent.folder).filter(name => /\.(job|partial)/.test(name))).toEqual([]);
  await parent.live.flush();
  expect(await qemuCheck(parent.at('base.qcow2'))).toMatchObject({ corruptions: 0, leaks: 0 });
});

it('ends with the machine, however far the switch to another layer has come', async () => {
  for (let rounds = 0; rounds < 8; rounds++) {
    const parent = await Parent.create();
    await parent.run({ job: 'overlay' });
    parent.deaf = true;
    parent.start({ job: 'commit' });
    // Each round a little later.
    for (let turn = 0; turn < rounds * 3; turn++) await new Promise(resolve => setImmediate(resolve));
    await parent.jobs.finish();
    expect(['failed', 'cancelled']).toContain((await parent.ended()).state);
  }
});

it('is as slow as it is told, says how fast it goes, and can be cancelled', async () => {
  const parent = await Parent.create();
  await parent.fill(8);
  await parent.run({ job: 'overlay' });
  await parent.fill(8, 2);
  const content = await contentOf(parent.live, 0, 8 * MIB);
  parent.start({ job: 'commit', bytesPerSecond: 2 * MIB });
  const speeds = () => parent.reports.flatMap(({ bytesPerSecond }) => bytesPerSecond ?? []);
  await expect.poll(speeds, { timeout: 30_000, interval: 20 }).not.toEqual([]);
  // Pieces of 1 MiB go before the limit counts.
  expect(speeds()[0]).toBeLessThan(16 * MIB);
  expect(parent.reports.at(-1)!.done).toBeLessThan(8 * MIB);
  parent.jobs.obey({ kind: 'disk-job', disk: 0, job: 'stream', keep: [] });
  expect(parent.reports.at(-1)).toMatchObject({
    state: 'failed',
    error: { message: 'A job on this disk runs already' },
  });
  parent.reports.length = 0;
  parent.jobs.obey({ kind: 'disk-job-cancel', disk: 0 });
  expect(await parent.ended()).toMatchObject({ state: 'cancelled' });
  // The base is half committed: that is known, and the same job goes on.
  expect(existsSync(parent.at(`${parent.live.active.backing!.path}.job`))).toBe(true);
  await parent.jobs.tellInterrupted();
  expect(parent.events.at(-1)).toMatchObject({ kind: 'disk-interrupted', jobs: [{ kind: 'commit' }] });
  parent.start({ job: 'resume', bytesPerSecond: 1 });
  parent.jobs.obey({ kind: 'disk-job-limit', disk: 0 });
  expect(await parent.ended()).toMatchObject({ state: 'done', outcome: { resumed: 1 } });
  expect(Buffer.from(await contentOf(parent.live, 0, 8 * MIB)).equals(content)).toBe(true);
});

it('answers what it cannot understand', async () => {
  const parent = await Parent.create();
  const wrong = [
    { kind: 'disk-job', disk: 0, job: 'burn', keep: [] },
    { kind: 'disk-job', disk: 7, job: 'overlay', keep: [] },
    { kind: 'disk-job', disk: 0, job: 'commit', layer: '../../etc/passwd', keep: [] },
    { kind: 'disk-job', disk: 0, job: 'commit', layer: 'nothing', keep: [] },
    { kind: 'disk-job', disk: 0, job: 'resize', size: 513, keep: [] },
  ] as unknown as DiskJobCommand[];
  for (const command of wrong) {
    parent.reports.length = 0;
    parent.jobs.obey(command);
    expect(await parent.ended()).toMatchObject({ state: 'failed', error: { kind: expect.any(String) } });
  }
  const before = readFileSync(parent.at('base.qcow2'));
  parent.jobs.obey({ kind: 'disk-bitmap', disk: 0, request: 3, does: { action: 'map', name: 'none' } });
  await expect.poll(() => parent.events.at(-1)).toMatchObject({ request: 3, error: { kind: 'missing' } });
  expect(readFileSync(parent.at('base.qcow2')).equals(before)).toBe(true);
});
