// The I/O thread's side of checkpoints that follow each other, with a hart that does what the test says (@req C8).
import { expect, test } from 'vitest';
import { AfterimageError } from '../../engine/base/errors.ts';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import type { HartPort, TakenMoment } from '../../engine/host/hart-port.ts';
import { LiveCheckpoints } from '../../engine/host/live-checkpoint.ts';
import { MACHINE, plain } from '../checkpoint/content.ts';
import { World } from '../checkpoint/world.ts';
import { coreModule } from '../framework/bare-machine.ts';
import { buildRig } from '../memory/rig.ts';

type Settled = Awaited<TakenMoment['settled']>;

/** A machine without disks. */
async function machine() {
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
  const live = new LiveCheckpoints({ disks: [], hart, tables: manager.tables, foldBack: async () => undefined });
  const take = (signal: AbortSignal = new AbortController().signal, full = true) =>
    live.take({
      tree,
      store: 'file',
      full,
      about: { name: 'one', note: '', origin: 'manual', machine: '{}', writer: 'test' },
      pending: 'copy',
      layers: {
        fresh: async () => 'none',
        record: async () => undefined,
        inMachine: (_, layer) => layer,
        isTemporary: () => false,
      },
      onProgress: () => undefined,
      signal,
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
