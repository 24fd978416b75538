// The I/O thread's side of checkpoints that follow each other, with a hart that does what the test says (@req C8).
import { expect, test } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { openChain } from '../../engine/disk/chain/open.ts';
import type { HartPort, TakenMoment } from '../../engine/host/hart-port.ts';
import { LiveCheckpoints, type TakeRequest } from '../../engine/host/live-checkpoint.ts';
import { MACHINE, plain } from '../checkpoint/content.ts';
import { World } from '../checkpoint/world.ts';
import { MemoryFolder } from '../disk/memory-folder.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig } from '../memory/rig.ts';

type Settled = Awaited<TakenMoment['settled']>;

/** A machine with the disks that are given. */
async function machine(disks: readonly LiveDisk[] = []) {
  const { manager } = buildRig(await coreModule());
  const world = new World();
  world.record = false;
  const tree = await CheckpointTree.open({
    folder: world.folder,
    stores: new Map([['file', new FileStore(world.folder)]]),
    machine: MACHINE,
    codecs: plain,
    random: count => crypto.getRandomValues(new Uint8Array(count)),
  });
  const asked: PromiseWithResolvers<Settled>[] = [];
  const hart = {
    take: ({ since }: { since: number }): TakenMoment => {
      const settled = Promise.withResolvers<Settled>();
      asked.push(settled);
      const epoch = manager.hold(since);
      const moment = {
        kind: 'moment',
        epoch,
        state: new Uint8Array(1),
        pauseMicroseconds: 1,
        pendingRequests: 1,
      } as const;
      live.reachMoment();
      return { moment: Promise.resolve({ ...moment, instructions: 0 }), settled: settled.promise };
    },
    call: async () => {
      manager.release();
    },
  } as unknown as HartPort;
  const live = new LiveCheckpoints({ disks, hart, tables: manager.tables, foldBack: async () => undefined });
  let layers = 0;
  const take = (signal: AbortSignal = new AbortController().signal, full = true, change: Partial<TakeRequest> = {}) =>
    live.take({
      tree,
      store: 'file',
      full,
      about: { name: 'one', note: '', origin: 'manual', machine: '{}', writer: 'test' },
      pending: 'copy',
      layers: {
        fresh: async () => `fresh${layers++}.qcow2`,
        record: async () => undefined,
        inMachine: (_, layer) => layer,
        isTemporary: () => false,
      },
      onProgress: () => undefined,
      signal,
      ...change,
    });
  return { manager, world, tree, asked, take };
}

test('a checkpoint after one that was cancelled waits for the requests that were pending then, and counts its own', async () => {
  const { manager, tree, asked, take } = await machine();
  const cancel = new AbortController();
  const first = take(cancel.signal);
  await expect.poll(() => asked.length).toBe(1);
  cancel.abort(new AfterimageError('state', 'Cancelled by the test'));
  await expect(first).rejects.toThrow('Cancelled by the test');
  expect(manager.holding).toBe(false);
  // Whoever waits can be cancelled, too.
  const impatient = new AbortController();
  const waiting = take(impatient.signal);
  impatient.abort(new AfterimageError('state', 'Cancelled again'));
  await expect(waiting).rejects.toThrow('Cancelled again');
  const second = take();
  for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve));
  expect(asked).toHaveLength(1);
  asked[0]!.resolve({ kind: 'settled', results: [{ disk: 0, request: 7, status: 'io-error' }] });
  await expect.poll(() => asked.length).toBe(2);
  asked[1]!.resolve({ kind: 'settled', results: [] });
  const { id } = await second;
  expect(tree.nodes.map(node => node.id)).toEqual([id]);
  expect(manager.audit()).toEqual([]);
});

test.each(['removed', 'cut off', 'replaced'])(
  'what builds on a file that was %s would be lost, too: all is saved then',
  async how => {
    const { manager, world, tree, asked, take } = await machine();
    const next = async (full: boolean) => {
      const taking = take(undefined, full);
      const before = asked.length;
      await expect.poll(() => asked.length).toBe(before + 1);
      asked.at(-1)!.resolve({ kind: 'settled', results: [] });
      return await taking;
    };
    const first = await next(true);
    const second = await next(false);
    expect(second.incremental).toBe(true);
    const file = `${first.id}.checkpoint`;
    if (how === 'removed') world.names.delete(file);
    else if (how === 'cut off') world.put(file, world.content(file).slice(0, -1));
    else world.put(file, world.content(`${second.id}.checkpoint`));
    const third = await next(false);
    expect(third.incremental).toBe(false);
    await (await tree.open(third.id)).close();
    expect((await next(false)).incremental).toBe(true);
    expect(world.open).toBe(0);
    expect(manager.audit()).toEqual([]);
  },
);

test('copies of disks go with the checkpoint that they were made for', async () => {
  const folder = new MemoryFolder();
  const disks: LiveDisk[] = [];
  for (const name of ['a.raw', 'b.raw']) {
    folder.add(name, new Uint8Array(65_536).fill(name.charCodeAt(0)));
    disks.push(new LiveDisk(await openChain(folder, { path: name, format: 'raw' }, { access: 'write' })));
  }
  const { world, asked, take } = await machine(disks);
  const taking = take(undefined, true, {
    copyDisks: true,
    onProgress: ({ phase }) => {
      if (phase !== 'completing') return;
      world.failAfter = 1;
      world.stuck = true;
    },
  });
  taking.catch(() => undefined);
  await expect.poll(() => asked.length).toBe(1);
  asked[0]!.resolve({ kind: 'settled', results: [] });
  await expect(taking).rejects.toMatchObject({ kind: 'no-space' });
  // The overlays are the machine's, until they are folded back.
  expect([...folder.paths].sort()).toEqual(['a.raw', 'b.raw', 'fresh0.qcow2', 'fresh1.qcow2']);
  for (const disk of disks) await disk.close();
});
