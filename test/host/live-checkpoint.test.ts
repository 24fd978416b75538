// Checkpoints of the default guest while it runs (C1-C8, C10, C11, C15, C17), and what happens when they fail.
import { execFileSync } from 'node:child_process';
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { DiskSettings } from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { Folder } from '../../engine/checkpoint/folder.ts';
import { openMachineDisk } from '../../engine/host/disk-open.ts';
import { LiveMachine, type LiveMachineOptions } from '../framework/live-machine.ts';
import { openSlowDisk } from '../framework/slow-disk.ts';
import { installWitness, witnessDisk } from '../guest/witness/witness.ts';
import { temporaryFolder } from './temporary-folder.ts';

const MIB = 2 ** 20;
let machine: LiveMachine | undefined;

afterEach(async () => {
  await machine?.stop();
  machine = undefined;
});

function emptyDisk(folder: string, name: string, bytes = 32 * MIB): DiskSettings {
  const file = path.join(folder, name);
  writeFileSync(file, '');
  truncateSync(file, bytes);
  return { path: file, format: 'raw', readonly: false, temporary: false };
}

async function start(
  change: Partial<LiveMachineOptions> & { disks?: readonly DiskSettings[] } = {},
): Promise<LiveMachine> {
  machine = await LiveMachine.start({ folder: temporaryFolder(), memory: 128 * MIB, ...change });
  await machine.prompt();
  return machine;
}

async function withWitness(workers = 8, change: Partial<LiveMachineOptions> = {}): Promise<LiveMachine> {
  const folder = temporaryFolder();
  const disks = [witnessDisk(), emptyDisk(folder, 'a.raw'), emptyDisk(folder, 'b.raw')];
  const live = await start({ folder, disks, ...change });
  await live.run(installWitness('vda'));
  live.type(`witness check /dev/vdb /dev/vdc ${workers}\n`);
  await live.link.until('the witness to work', () => /witness [1-9]\d* ok/.test(live.link.output));
  return live;
}

/** The witness goes on for a while, and has not complained. */
async function witnessIsWell(live: LiveMachine): Promise<void> {
  const from = live.link.output.length;
  await live.link.until('the witness', () => /(witness \d+ ok[\s\S]*){3}|BROKEN/.test(live.link.output.slice(from)));
  expect(live.link.output).not.toContain('BROKEN');
}

describe('a checkpoint of a running machine', () => {
  test('is memory as it was at the moment, page by page', async () => {
    const live = await start();
    live.link.command({ kind: 'pause' });
    const first = await live.take();
    expect(await live.differences(first.id)).toEqual({ count: 0, first: undefined });
    live.link.command({ kind: 'resume' });
    await live.run('dd if=/dev/urandom of=/tmp/x bs=64k count=64 2>/dev/null');
    live.link.command({ kind: 'pause' });
    const second = await live.take();
    expect(second).toMatchObject({ parent: first.id, incremental: true });
    expect(second.pages).toBeGreaterThan(1024);
    expect(second.bytes).toBeLessThan(1.1 * 4096 * second.pages + 65_536);
    expect(await live.differences(second.id)).toEqual({ count: 0, first: undefined });
    // The first one is as it was.
    expect((await live.differences(first.id)).count).toBeGreaterThan(1024);
    const full = await live.take({ full: true });
    expect(full).toMatchObject({ parent: second.id, incremental: false });
    expect(await live.differences(full.id)).toEqual({ count: 0, first: undefined });
    expect((await live.tree.verify()).sound).toBe(true);
  });

  test('disturbs neither memory, code, page cache nor disks under load, forty times', async () => {
    const live = await withWitness();
    let pending = 0;
    for (let round = 0; round < 40; round += 1) pending += (await live.take()).pendingRequests;
    await witnessIsWell(live);
    expect(pending).toBeGreaterThan(0);
    expect((await live.tree.verify()).sound).toBe(true);
    expect(live.tree.nodes).toHaveLength(40);
    const folder = path.dirname(witnessDisk().path);
    expect(folder).not.toBe('');
  });

  test.each(['copy', 'wait'] as const)('with many requests pending on a slow disk: %s', async pending => {
    const folder = temporaryFolder();
    const disk = emptyDisk(folder, 'slow.raw');
    const slow = openSlowDisk(100);
    const openDisk = (settings: DiskSettings) =>
      settings.path === disk.path ? slow(settings) : openMachineDisk(settings);
    const live = await start({ folder, disks: [witnessDisk(), disk], parts: { openDisk } });
    await live.run(installWitness('vda'));
    await live.run('witness pending /dev/vdb 32 & sleep 1');
    let taken = await live.take({ pending });
    // On a busy host its threads may take a while to begin.
    for (let round = 0; round < 40 && taken.pendingRequests <= 16; round += 1) {
      await live.run('sleep 0.2');
      taken = await live.take({ pending });
    }
    expect(taken.pendingRequests).toBeGreaterThan(16);
    if (pending === 'wait') expect(taken.pauseMicroseconds).toBeGreaterThan(1000);
    else expect(taken.pauseMicroseconds).toBeLessThan(100_000);
    expect(await live.run('echo still here')).toContain('still here');
    const reader = await live.tree.open(taken.id);
    const { requestsTable } = await import('../../engine/checkpoint/about.ts');
    const { requests } = (await reader.table(requestsTable))!;
    await reader.close();
    expect(requests).toHaveLength(taken.pendingRequests);
    expect(new Set(requests.map(({ status }) => status))).toEqual(new Set([0]));
  });

  test('is kept in memory at first, and persisted later', async () => {
    const live = await start();
    const file = await live.take();
    const ram = await live.take({ store: 'ram' });
    expect(ram).toMatchObject({ parent: file.id, incremental: true });
    // A kept one cannot build on one in memory.
    const kept = await live.take();
    expect(kept.incremental).toBe(true);
    expect(live.tree.node(kept.id)).toMatchObject({ base: file.id, parent: ram.id });
    await live.tree.persist(ram.id, 'file');
    expect(live.tree.node(ram.id)).toMatchObject({ store: 'file', durable: true });
    expect((await live.tree.verify()).sound).toBe(true);
  });

  test('builds on one that was deleted from the list', async () => {
    const live = await start();
    const first = await live.take();
    await live.tree.delete(first.id);
    live.link.command({ kind: 'pause' });
    const second = await live.take();
    expect(second.incremental).toBe(true);
    expect(await live.differences(second.id)).toEqual({ count: 0, first: undefined });
  });

  test('is completed although the guest switches itself off meanwhile', async () => {
    const live = await start();
    live.type('poweroff -f\n');
    // Wherever the moment falls, it is complete or it says that there is no machine.
    const taken = await live.take().catch((thrown: AfterimageError) => thrown);
    if (taken instanceof AfterimageError) expect(taken.kind).toBe('state');
    else expect(live.tree.nodes.map(({ id }) => id)).toEqual([taken.id]);
    await live.link.until('the end', () => live.link.events.some(({ kind }) => kind === 'stopped'));
  });
});

describe('a checkpoint that fails', () => {
  test('because it is cancelled leaves the machine on its disk, and nothing else', async () => {
    const live = await withWitness(4);
    const before = live.active.join();
    for (const phase of ['preparing', 'saving', 'completing'] as const) {
      const cancel = new AbortController();
      const reason = new AfterimageError('state', 'Cancelled by the test');
      const taking = live.take({
        full: true,
        signal: cancel.signal,
        onProgress: progress => {
          if (progress.phase === phase) cancel.abort(reason);
        },
      });
      await expect(taking, phase).rejects.toBe(reason);
    }
    await witnessIsWell(live);
    expect(live.tree.nodes).toEqual([]);
    await live.link.until('the overlays to be folded back', () => live.active.join() === before);
    const taken = await live.take();
    expect(live.tree.nodes.map(({ id }) => id)).toEqual([taken.id]);
    await witnessIsWell(live);
  });

  test.each(['create', 'write', 'flush', 'rename'])(
    'because the store fails to %s is not listed, and the next one works',
    async step => {
      let failing = false;
      const fail = () => {
        if (failing) throw new AfterimageError('no-space', 'The test has no room', { step });
      };
      const wrap = (folder: Folder): Folder => ({
        ...folder,
        create: async name => {
          if (step === 'create' && name !== 'tree.json.partial') fail();
          const file = await folder.create(name);
          return {
            ...file,
            write: async (at, from) => {
              if (step === 'write' && at > MIB) fail();
              await file.write(at, from);
            },
            flush: async () => {
              if (step === 'flush') fail();
              await file.flush();
            },
          };
        },
        rename: async (from, to) => {
          if (step === 'rename') fail();
          await folder.rename(from, to);
        },
      });
      const live = await start({ wrap });
      failing = true;
      await expect(live.take()).rejects.toMatchObject({ kind: 'no-space' });
      expect(live.tree.nodes).toEqual([]);
      failing = false;
      await live.run('true');
      const taken = await live.take();
      expect(live.tree.nodes.map(({ id }) => id)).toEqual([taken.id]);
      expect((await live.tree.verify()).sound).toBe(true);
    },
  );
});

test('two hundred checkpoints in a row leave no file open and no memory behind', async () => {
  const folder = temporaryFolder();
  const live = await start({ folder, disks: [emptyDisk(folder, 'a.raw')] });
  const openFiles = () => readdirSync('/proc/self/fd').length;
  await live.take();
  const before = openFiles();
  for (let round = 0; round < 200; round += 1) {
    await live.take({ store: round % 10 === 9 ? 'ram' : 'file' });
    for (const { id } of live.tree.nodes.slice(0, -4)) await live.tree.delete(id);
  }
  // Each layer of the disk's chain is a file, and its lock another.
  expect(openFiles() - before).toBeLessThanOrEqual(2 * 201);
  expect(await live.run('echo well')).toContain('well');
  expect((await live.tree.verify()).sound).toBe(true);
  expect(readdirSync(path.join(folder, 'checkpoints')).length).toBeLessThan(16);
  const last = path.join(folder, live.active[0]!);
  await live.stop();
  expect(execFileSync('qemu-img', ['check', last], { encoding: 'utf8' })).toContain('No errors');
});
