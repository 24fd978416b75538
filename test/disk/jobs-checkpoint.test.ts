// Checkpoints that are taken while a layer is being committed or compacted, at every place of it (@req C13, C16): what a
// checkpoint stands on stays, with the content that it had at its moment.
import { expect, test } from 'vitest';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { closeChain, layersFrom, openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import { commit } from '../../engine/disk/jobs/commit.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { compactRunning } from '../../engine/disk/jobs/running.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { MemoryFolder } from './memory-folder.ts';
import { contentOf } from './qcow2/images.ts';
import { codecs } from './qcow2/qemu.ts';

const SIZE = 3 * 2 ** 20;
const clusterSize = 4096;
const clock = { now: () => 0, wait: async () => undefined };

/** A disk of two layers, each with something of its own. */
class Machine {
  readonly folder = new MemoryFolder();
  /** As at each checkpoint's moment, by the layer that it stands on. */
  readonly checkpoints = new Map<string, Uint8Array>();
  live!: LiveDisk;
  expected = new Uint8Array(SIZE);
  active = 'base.qcow2';
  #names = 0;

  static async create(): Promise<Machine> {
    const machine = new Machine();
    const file = await machine.folder.create('base.qcow2');
    await createImage(file, { size: SIZE, clusterSize });
    await file.close();
    const place = { path: 'base.qcow2', format: 'qcow2' } as const;
    machine.live = new LiveDisk(await openChain(machine.folder, place, { access: 'write', codecs }));
    await machine.write(0, 64, 1);
    await machine.putOverlay();
    await machine.write(32, 64, 2);
    return machine;
  }

  newName = (): string => {
    this.#names += 1;
    return `o${this.#names}.qcow2`;
  };

  record = async (path: string): Promise<void> => {
    this.active = path;
  };

  async write(first: number, count: number, value: number): Promise<void> {
    const bytes = new Uint8Array(count * clusterSize).fill(value);
    await this.live.write(first * clusterSize, [bytes]);
    this.expected.set(bytes, first * clusterSize);
  }

  async putOverlay(): Promise<void> {
    const overlay = await createOverlay(this.live.active, this.newName(), { clusterSize });
    await this.record(overlay.path);
    await this.live.switchTo(overlay).frozen;
  }

  async checkpoint(): Promise<void> {
    await this.live.exclusively(async () => {
      this.checkpoints.set(this.live.active.path, this.expected.slice());
      await this.putOverlay();
    });
  }

  parts(job: Job) {
    const { live, newName, record } = this;
    const needed = (path: string) => (this.checkpoints.has(path) ? 'a checkpoint needs it' : undefined);
    return { live, job, newName, record, needed, overlay: { clusterSize } };
  }

  async verify(what: string): Promise<void> {
    expect(Buffer.compare(await contentOf(this.live, 0, SIZE), this.expected), what).toBe(0);
    await this.live.close();
    const after = this.folder.copy();
    for (const [path, content] of [...this.checkpoints, [this.active, this.expected] as const]) {
      const chain = await openChain(after, { path, format: 'qcow2' }, { access: 'read', codecs });
      expect(Buffer.compare(await contentOf(chain, 0, SIZE), content), `${what}: ${path}`).toBe(0);
      await closeChain(chain);
    }
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

const jobs = {
  'committing the active layer': (machine: Machine, job: Job) => commit(machine.parts(job), machine.live.active),
  'compacting the active layer': (machine: Machine, job: Job) =>
    compactRunning(machine.parts(job), machine.live.active, {}),
};

test.each(Object.entries(jobs))('%s beside a checkpoint', async (name, work) => {
  let during = 0;
  let refused = 0;
  for (let at = 0; ; at += 1 + Math.floor(at / 16)) {
    const machine = await Machine.create();
    const job = new Job('commit', clock, () => undefined);
    let over = false;
    const ended = job
      .run(async () => void (await work(machine, job)))
      .catch(thrown => {
        expect(String(thrown)).toContain('cannot be committed');
        refused += 1;
      })
      .finally(() => {
        over = true;
      });
    // More than what is folded in with the machine's requests waiting: mostly after the job has put an overlay on top.
    await turns(at >> 1);
    await machine.write(128, 300, 3);
    await turns(at - (at >> 1));
    const late = over;
    await machine.checkpoint();
    await machine.write(200, 8, 4);
    await ended;
    await machine.write(8, 8, 5);
    await machine.verify(`${name}, after ${at} turns`);
    expect(layersFrom(machine.live.active).length).toBeGreaterThan(0);
    if (late) break;
    during += 1;
  }
  expect(during).toBeGreaterThan(40);
  expect(refused).toBeLessThan(during);
});
