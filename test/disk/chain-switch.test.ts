import { expect, it } from 'vitest';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { layersFrom, openChain } from '../../engine/disk/chain/open.ts';
import { createOverlay } from '../../engine/disk/chain/overlay.ts';
import type { HostFile } from '../../engine/disk/disk.ts';
import { MemoryFolder } from './memory-folder.ts';
import { contentOf, firstDifference, Random, randomBytes } from './qcow2/images.ts';
import { codecs } from './qcow2/qemu.ts';

const SIZE = 1024 * 1024;

/** Holds back what is written to one file until the gate is opened. */
class Gate {
  closed = false;
  waiting = 0;
  #open: (() => void)[] = [];

  wrap = (file: HostFile): HostFile => {
    if (!file.name.startsWith('base')) return file;
    return new Proxy(file, {
      get: (target, name) => {
        if (name === 'write')
          return (at: number, from: readonly Uint8Array[]) => this.#pass(() => target.write(at, from));
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };

  open(): void {
    this.closed = false;
    for (const resolve of this.#open.splice(0)) resolve();
  }

  async #pass(step: () => Promise<void>): Promise<void> {
    if (this.closed) {
      this.waiting += 1;
      await new Promise<void>(resolve => this.#open.push(resolve));
    }
    await step();
  }
}

async function machine(): Promise<{ folder: MemoryFolder; live: LiveDisk; gate: Gate; content: Uint8Array }> {
  const gate = new Gate();
  const folder = new MemoryFolder(gate.wrap);
  const content = randomBytes(new Random(1), SIZE);
  folder.add('base.raw', content);
  const live = new LiveDisk(await openChain(folder, { path: 'base.raw', format: 'raw' }, { access: 'write', codecs }));
  return { folder, live, gate, content };
}

it('a pending write reaches both disks, a new one only the ongoing (C6)', async () => {
  const { live, gate, content, folder } = await machine();
  gate.closed = true;
  const pendingData = randomBytes(new Random(2), 8192);
  const pending = live.write(4096, [pendingData]);
  const overlay = await createOverlay(live.active, 'one.qcow2');
  const { moment, frozen } = live.switchTo(overlay);
  expect(moment.pending()).toEqual([{ kind: 'write', offset: 4096, length: 8192, epoch: 0 }]);
  expect(live.active).toBe(overlay);

  const newData = randomBytes(new Random(3), 4096);
  await live.write(65_536, [newData]);
  expect(overlay.backing!.frozen).toBe(false);
  gate.open();
  await pending;
  await frozen;
  expect(moment.pending()).toEqual([]);

  const parent = content.slice();
  parent.set(pendingData, 4096);
  expect(firstDifference(folder.content('base.raw'), parent)).toBe(-1);
  const ongoing = parent.slice();
  ongoing.set(newData, 65_536);
  expect(firstDifference(await contentOf(live), ongoing)).toBe(-1);
  await expect(overlay.backing!.write(0, [newData])).rejects.toMatchObject({ kind: 'state' });
});

it('a fault on a block group waits for a pending write that overlaps it (C5, C7)', async () => {
  const { live, gate, content } = await machine();
  gate.closed = true;
  const pendingData = randomBytes(new Random(4), 1024);
  const pending = live.write(2048, [pendingData]);
  const overlay = await createOverlay(live.active, 'one.qcow2', { extendedL2: false });
  live.switchTo(overlay);
  const newData = randomBytes(new Random(5), 512);
  let faulted = false;
  // In the same group, but not where the pending write goes.
  const fault = live.write(512, [newData]).then(() => {
    faulted = true;
  });
  let read = false;
  const reading = contentOf(live, 2048, 1024).then(bytes => {
    read = true;
    return bytes;
  });
  // What does not touch that group goes ahead.
  await live.write(131_072, [newData]);
  expect([faulted, read]).toEqual([false, false]);
  gate.open();
  await Promise.all([pending, fault]);
  expect(firstDifference(await reading, pendingData)).toBe(-1);
  const expected = content.slice();
  expected.set(pendingData, 2048);
  expected.set(newData, 512);
  expected.set(newData, 131_072);
  expect(firstDifference(await contentOf(live), expected)).toBe(-1);
});

it('writes of a page into a fresh overlay read nothing from below (C5)', async () => {
  const { live } = await machine();
  const overlay = await createOverlay(live.active, 'one.qcow2');
  await live.switchTo(overlay).frozen;
  let reads = 0;
  const base = overlay.backing!;
  const read = base.read.bind(base);
  base.read = (offset, into) => {
    reads += 1;
    return read(offset, into);
  };
  for (let page = 0; page < 16; page += 1) await live.write(page * 8192, [new Uint8Array(4096).fill(page)]);
  expect(reads).toBe(0);
});

it('moments number the requests, whoever waits', async () => {
  const { live, gate } = await machine();
  gate.closed = true;
  const first = live.write(0, [new Uint8Array(512)]);
  const one = live.beginMoment();
  const second = live.write(512, [new Uint8Array(512)]);
  const two = live.beginMoment();
  expect(one.pending().map(request => request.epoch)).toEqual([0]);
  expect(two.pending().map(request => request.epoch)).toEqual([0, 1]);
  gate.open();
  await Promise.all([first, second, one.settled, two.settled]);
  expect(two.pending()).toEqual([]);
});

it('a flush covers what was written before the switch', async () => {
  const { live, folder } = await machine();
  let flushed = 0;
  const { file } = folder.inode('base.raw');
  const flush = file.flush.bind(file);
  file.flush = () => {
    flushed += 1;
    return flush();
  };
  await live.write(0, [new Uint8Array(512).fill(9)]);
  const overlay = await createOverlay(live.active, 'one.qcow2');
  const { frozen } = live.switchTo(overlay);
  await live.flush();
  expect(flushed).toBeGreaterThan(0);
  await frozen;
});

it('many switches with requests in flight lose nothing', async () => {
  const { live, content, folder } = await machine();
  const random = new Random(7);
  const running: Promise<void>[] = [];
  const frozen: Promise<void>[] = [];
  for (let round = 0; round < 12; round += 1) {
    const overlay = await createOverlay(live.active, `o${round}.qcow2`, {
      clusterSize: random.pick([512, 4096, 65_536]),
    });
    for (let count = 0; count < 20; count += 1) {
      const offset = 512 * random.below(SIZE / 512 - 64);
      const data = randomBytes(random, 512 * (1 + random.below(64)));
      content.set(data, offset);
      running.push(live.write(offset, [data]));
      if (count === 10) frozen.push(live.switchTo(overlay).frozen);
    }
  }
  await Promise.all([...running, ...frozen]);
  expect(firstDifference(await contentOf(live), content)).toBe(-1);
  expect(layersFrom(live.active)).toHaveLength(13);
  await live.close();
  expect(folder.opened).toBe(0);
});
