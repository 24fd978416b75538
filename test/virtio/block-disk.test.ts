import { expect, it } from 'vitest';
import { VirtioBlock } from '../../engine/devices/virtio/block/device.ts';
import { RESULT, TYPE } from '../../engine/devices/virtio/block/protocol.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { RawDisk } from '../../engine/disk/raw.ts';
import { TemporaryDisk } from '../../engine/disk/temporary.ts';
import { Random } from '../contract/random.ts';
import { DelayedFile } from '../disk/delayed-file.ts';
import { pattern } from './block-driver.ts';
import { DiskBackend } from './disk-backend.ts';
import { Surroundings, TestDriver } from './driver.ts';
import { FakeMemory } from './memory.ts';

const SECTORS = 600;

interface Pending {
  check(): void;
}

it.each([
  ['raw', 1],
  ['raw', 2],
  ['temporary', 3],
  ['temporary', 4],
] as const)(
  'a guest sees one disk: virtio-blk over a %s disk, overlapping requests in flight (seed %i)',
  async (kind, seed) => {
    const random = new Random(seed);
    const memory = new FakeMemory(1024, seed);
    const surroundings = new Surroundings();
    const content = pattern(SECTORS * 512, seed);
    const file = new DelayedFile(new MemoryFile('disk', content, kind === 'temporary'), random);
    const raw = await RawDisk.open(file);
    const disk = kind === 'raw' ? raw : new TemporaryDisk(raw);
    const backend = new DiskBackend(disk, memory);
    const device = new VirtioBlock({
      name: 'disk0',
      memory,
      irq: surroundings,
      errors: surroundings,
      backend,
      serial: 'disk0',
    });
    const driver = new TestDriver(device, memory, { eventIndex: true });
    const queue = driver.start(1)[0]!;
    const model = content.slice();
    const pending = new Map<number, Pending>();
    // Buffers are used again and again, each by one request at a time.
    const buffers = Array.from({ length: 24 }, () => ({
      header: driver.range(16),
      data: driver.range(16 * 512),
      status: driver.range(1),
    }));

    for (let step = 0; step < 3000 || pending.size > 0; step += 1) {
      if (step < 3000 && random.below(3) > 0) submit(step);
      if (buffers.length === 0 || step >= 3000 || random.below(4) === 0) await backend.next();
      collect();
    }
    expect(file.mostPending).toBeGreaterThan(5);
    expect(memory.pinnedPages).toBe(0);
    expect(surroundings.errorCount).toBe(0);

    function submit(step: number): void {
      const buffer = buffers.pop();
      if (buffer === undefined) return;
      const { header, status } = buffer;
      const type = random.pick([TYPE.IN, TYPE.IN, TYPE.OUT, TYPE.OUT, TYPE.FLUSH, TYPE.WRITE_ZEROES]);
      const sectors = 1 + random.below(16);
      // Close together, so that many overlap.
      const sector = random.below(2) === 0 ? random.below(40) : random.below(SECTORS - sectors);
      const data = { address: buffer.data.address, length: type === TYPE.WRITE_ZEROES ? 16 : sectors * 512 };
      driver.put(header, Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, sector & 0xff, sector >> 8));
      const from = sector * 512;
      const to = from + sectors * 512;
      let expected: Uint8Array | undefined;
      if (type === TYPE.IN) {
        expected = model.slice(from, to);
      } else if (type === TYPE.OUT) {
        const bytes = pattern(data.length, step);
        driver.put(data, bytes);
        model.set(bytes, from);
      } else if (type === TYPE.WRITE_ZEROES) {
        const bytes = new Uint8Array(16);
        bytes.set([sector & 0xff, sector >> 8, 0, 0, 0, 0, 0, 0, sectors]);
        driver.put(data, bytes);
        driver.put(header, Uint8Array.of(type));
        model.fill(0, from, to);
      }
      const head =
        type === TYPE.IN
          ? queue.add([header], [data, status])
          : queue.add(type === TYPE.FLUSH ? [header] : [header, data], [status]);
      pending.set(head, {
        check() {
          buffers.push(buffer);
          if (driver.take(status)[0] !== RESULT.OK) expect.fail(`step ${step}: status ${driver.take(status)[0]}`);
          if (expected !== undefined && !Buffer.from(driver.take(data)).equals(expected)) {
            expect.fail(`step ${step}: wrong data at sector ${sector}`);
          }
        },
      });
      queue.kick();
    }

    function collect(): void {
      if (!driver.acknowledge().used) return;
      for (const { head } of queue.collect()) {
        pending.get(head)!.check();
        pending.delete(head);
      }
    }
  },
);
