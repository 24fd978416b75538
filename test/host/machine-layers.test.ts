// @req C16: layers go when nobody needs them, and never before. Random trees of checkpoints against a model.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import type { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import { runDiskCommand } from '../../engine/host/disk-commands.ts';
import { HostFolder } from '../../engine/host/disk-folder.ts';
import { createMachineFolder, freshLayer, MachineFolder } from '../../engine/host/machine-folder.ts';
import { MachineLayers } from '../../engine/host/machine-layers.ts';
import { newIdentity } from '../../engine/host/machine-record.ts';
import { MachineStores } from '../../engine/host/machine-stores.ts';
import { putOverlay } from '../../engine/host/new-disk.ts';
import { temporaryFolder } from './temporary-folder.ts';

const SEQUENCES = Number(process.env.AFTERIMAGE_LAYER_SEQUENCES ?? 4);
const FIRST_SEED = Number(process.env.AFTERIMAGE_LAYER_SEED ?? 1);
const STEPS = 40;
const DISKS = 2;
const PAGE = 4096;

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A machine without a machine: its folder, tree and layers, and what should be there. */
class World {
  readonly folder: MachineFolder;
  readonly tree: CheckpointTree;
  readonly layers: MachineLayers;
  readonly backing = new Map<string, string>();
  readonly checkpoints = new Map<string, readonly string[]>();
  active: string[] = [];

  constructor(folder: MachineFolder, tree: CheckpointTree) {
    this.folder = folder;
    this.tree = tree;
    this.layers = new MachineLayers(
      folder,
      async () => tree,
      () => [],
    );
    this.active = folder.record.disks.map(({ file }) => file);
  }

  static async create(): Promise<World> {
    const place = path.join(temporaryFolder(), 'machine');
    await createMachineFolder(place, async unfinished => {
      const disks = [];
      for (let disk = 0; disk < DISKS; disk += 1) {
        const file = freshLayer(disk);
        const made = {
          kind: 'create',
          file: path.join(unfinished, file),
          format: 'qcow2',
          size: PAGE,
          options: {},
        } as const;
        await runDiskCommand(made, () => undefined);
        disks.push({ file, format: 'qcow2', mode: 'persistent' } as const);
      }
      const boot = { kind: 'guest' } as const;
      const record = { id: newIdentity(), createdAt: 1, name: 'm', memory: 2 ** 23, boot, automatic: USUAL_AUTOMATIC };
      return { ...record, disks, process: {} };
    });
    const folder = await MachineFolder.open(place);
    onTestFinished(() => folder.close());
    const stores = await MachineStores.open(folder);
    return new World(folder, await stores.openTree());
  }

  /** As `Engine.checkpoint` with its layers. */
  async take(): Promise<void> {
    const frozen = this.active;
    await this.#overlays(frozen);
    const draft = await this.tree.take({ store: 'file', spaces: [{ kind: 'memory', name: 'ram', bytes: PAGE }] });
    draft.writer.writeZeroes(0, 0, 1);
    const about = {
      name: 'c',
      note: '',
      takenAt: 1,
      origin: 'manual',
      pauseMicroseconds: 1,
      pendingRequests: 0,
    } as const;
    const disks = frozen.map((layer, index) => {
      const facts = { format: 'qcow2' as const, size: PAGE, ownCopy: false, temporary: false, space: undefined };
      return { device: `disk${index}`, layer, ...facts };
    });
    await draft.complete({ about: { ...about, machine: '', writer: '' }, disks: { disks } });
    this.checkpoints.set(draft.id, frozen);
  }

  /** As `MachineRuns.restore`. */
  async restore(id: string): Promise<void> {
    const left: string[] = [];
    for (const layer of this.active) left.push(...(await this.layers.chain(layer)));
    await this.layers.suspect(left);
    await this.#overlays(this.checkpoints.get(id)!);
    await this.tree.setCurrent(id);
    await this.layers.collect();
  }

  async delete(id: string): Promise<void> {
    const going: string[] = [];
    for (const layer of this.checkpoints.get(id)!) going.push(...(await this.layers.chain(layer)));
    await this.layers.suspect(going);
    await this.tree.delete(id);
    this.checkpoints.delete(id);
    await this.layers.collect();
  }

  get needed(): Set<string> {
    const needed = new Set<string>();
    for (const top of [...this.active, ...[...this.checkpoints.values()].flat()]) {
      for (let at: string | undefined = top; at !== undefined; at = this.backing.get(at)) needed.add(at);
    }
    return needed;
  }

  get present(): string[] {
    return readdirSync(this.folder.inside('disks'), { withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => `disks/${entry.name}`);
  }

  async #overlays(below: readonly string[]): Promise<void> {
    const host = new HostFolder(this.folder.path);
    const next: string[] = [];
    for (const [disk, layer] of below.entries()) {
      const overlay = await putOverlay(host, disk, { layer, format: 'qcow2' });
      this.backing.set(overlay, layer);
      next.push(overlay);
    }
    this.active = next;
    await this.folder.change(({ disks }) => ({
      configuration: { disks: disks.map((disk, index) => ({ ...disk, file: next[index]! })) },
    }));
  }
}

it.each(Array.from({ length: SEQUENCES }, (_, index) => FIRST_SEED + index))(
  'deletes exactly the layers that nobody needs, seed %d',
  async seed => {
    const next = random(seed);
    const world = await World.create();
    // What is not ours stays, whatever happens.
    for (const name of ['mine.qcow2', 'disk0-notes.txt', 'disk9.raw'])
      writeFileSync(world.folder.inside(`disks/${name}`), '');
    for (let step = 0; step < STEPS; step += 1) {
      const ids = [...world.checkpoints.keys()];
      const some = ids[Math.floor(next() * ids.length)];
      const what = next();
      if (some === undefined || what < 0.45) await world.take();
      else if (what < 0.7) await world.restore(some);
      else await world.delete(some);
      const own = world.present.filter(name => /-[0-9a-f]{10}\.qcow2$/.test(name));
      expect(new Set(own), `seed ${seed}, step ${step}`).toEqual(world.needed);
    }
    for (const name of ['mine.qcow2', 'disk0-notes.txt', 'disk9.raw']) {
      expect(existsSync(world.folder.inside(`disks/${name}`))).toBe(true);
    }
    expect(world.folder.process.garbage).toBeUndefined();
  },
);

it('deletes nothing while a checkpoint cannot be read, and all that can go afterwards', async () => {
  const world = await World.create();
  await world.take();
  await world.take();
  const [first, second] = [...world.checkpoints.keys()];
  const file = world.folder.inside(`checkpoints/${second}.checkpoint`);
  await rename(file, `${file}.away`);
  const before = world.present;
  // A process that has not looked into it before.
  const layers = new MachineLayers(
    world.folder,
    async () => world.tree,
    () => [],
  );
  await layers.suspect(before);
  await world.tree.delete(first!, { merge: 'later' });
  expect(await layers.collect()).toEqual([]);
  expect(world.present).toEqual(before);
  await rename(`${file}.away`, file);
  await layers.collect();
  expect(new Set(world.present)).toEqual(world.needed);
});

it('lets nothing be committed while it cannot be known what a checkpoint stands on', async () => {
  const world = await World.create();
  await world.take();
  await world.take();
  const [, second] = [...world.checkpoints.keys()];
  await world.delete([...world.checkpoints.keys()][0]!);
  const file = world.folder.inside(`checkpoints/${second}.checkpoint`);
  const looked = () => {
    // A process that has not looked into it before.
    const layers = new MachineLayers(
      world.folder,
      async () => world.tree,
      () => [],
    );
    return layers;
  };
  const [layer] = world.checkpoints.get(second!)!;
  const [active] = world.active;
  expect(await looked().may(layer!)).toMatchObject({ commit: { allowed: false } });
  await rename(file, `${file}.away`);
  for (const { path: one, may } of await looked().model()) {
    expect(may, one).toMatchObject({ commit: { allowed: false }, delete: { allowed: false } });
  }
  expect(await looked().may(layer!)).toMatchObject({ commit: { allowed: false }, resize: { allowed: false } });
  expect(await looked().may(active!)).toMatchObject({ resize: { allowed: true } });
  const kept = await looked().kept();
  expect(kept).toContain(layer);
  expect(kept).not.toContain(active);
  await rename(`${file}.away`, file);
  expect(await looked().kept()).toEqual(world.checkpoints.get(second!));
  await world.delete(second!);
  expect(await looked().may(active!)).toMatchObject({ commit: { allowed: true } });
});

it('remembers no more suspects than the record has room for', async () => {
  const world = await World.create();
  const names = Array.from({ length: 5000 }, (_, index) => `disks/disk0-${index.toString(16).padStart(10, '0')}.qcow2`);
  await world.layers.suspect(names);
  expect(world.folder.process.garbage?.at(-1)).toBe(names.at(-1));
  // The machine goes on: its record can be changed.
  await world.folder.change({ configuration: { name: 'other' } });
  await world.layers.collect();
  expect(world.folder.process.garbage).toBeUndefined();
});
