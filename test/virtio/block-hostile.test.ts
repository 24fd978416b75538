import { describe, expect, it } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { RESULT, TYPE } from '../../engine/devices/virtio/block/protocol.ts';
import type { GuestRange } from '../../engine/devices/virtio/queue/chain.ts';
import { STATUS } from '../../engine/devices/virtio/transport/registers.ts';
import { BlockDriver, pattern } from './block-driver.ts';

function headerOf(block: BlockDriver, type: number): GuestRange {
  const header = block.driver.range(16);
  block.driver.put(header, Uint8Array.of(type));
  return header;
}

describe('virtio-blk and a driver that breaks rules, resets or is left behind', () => {
  it('ends when its reads keep the ring going', () => {
    const block = new BlockDriver({ queueSize: 4 });
    block.add(TYPE.FLUSH, 0, 0);
    let index = 1;
    // What a read into the available ring would do when the disk answers at once.
    block.backend.submit = (_request, done) => {
      index += 1;
      block.queue.setAvailableIndex(index);
      done('ok');
    };
    for (let slot = 0; slot < 4; slot += 1) {
      block.memory.writeU16(guestPhys(block.queue.available + 4 + 2 * slot), 0);
    }
    block.queue.setAvailableIndex(1);
    block.queue.writeDescriptor(block.queue.descriptors, 0, headerOf(block, TYPE.FLUSH), 1, 1);
    block.queue.writeDescriptor(block.queue.descriptors, 1, block.driver.range(1), 2, 0);
    block.queue.notify();
    expect(block.surroundings.reports).toEqual(['disk0: Queue is overwritten by its own requests']);
    expect(block.device.outstanding).toBe(0);
  });

  it.each([
    ['no header', (b: BlockDriver) => b.queue.add([b.driver.range(15)], [b.driver.range(1)]), 'no header'],
    ['no room for a status', (b: BlockDriver) => b.queue.add([b.driver.range(16)], []), 'no room'],
    [
      'a header outside RAM',
      (b: BlockDriver) => b.queue.add([{ address: guestPhys(0), length: 16 }], [b.driver.range(1)]),
      'outside RAM',
    ],
    [
      'data partly outside RAM',
      (b: BlockDriver) => {
        const header = b.driver.range(16);
        b.driver.put(header, Uint8Array.of(TYPE.IN));
        const end = guestPhys(0x80000000 + b.memory.size - 512);
        b.queue.add([header], [b.driver.range(512), { address: end, length: 1024 }, b.driver.range(1)]);
      },
      'outside RAM',
    ],
    [
      'a status outside RAM',
      (b: BlockDriver) => {
        const header = b.driver.range(16);
        b.driver.put(header, Uint8Array.of(TYPE.FLUSH));
        b.queue.add([header], [{ address: guestPhys(0x7fffffff), length: 1 }]);
      },
      'outside RAM',
    ],
  ])('needs a reset after a request with %s', (_what, attack, message) => {
    const block = new BlockDriver();
    attack(block);
    block.queue.kick();
    block.backend.completeAll();
    expect(block.surroundings.reports).toHaveLength(1);
    expect(block.surroundings.reports[0]).toContain(message);
    expect(block.driver.status & STATUS.NEEDS_RESET).toBe(STATUS.NEEDS_RESET);
    expect(block.memory.pinnedPages).toBe(0);
    expect(block.queue.collect()).toEqual([]);
    block.restart();
    expect(block.run(TYPE.FLUSH, 0).status).toBe(RESULT.OK);
  });

  it('leaves the rings of a new life alone when old requests complete', () => {
    const block = new BlockDriver();
    const old = [block.add(TYPE.IN, 0, 4096), block.add(TYPE.OUT, 8, pattern(512, 1)), block.add(TYPE.FLUSH, 0, 0)];
    block.queue.kick();
    const pinned = block.memory.pinnedPages;
    expect(pinned).toBeGreaterThan(0);
    const stale = [...block.backend.waiting];
    block.backend.waiting.length = 0;
    block.restart();
    expect(block.device.outstanding).toBe(3);
    expect(block.device.inFlight).toEqual([]);
    expect(block.memory.pinnedPages).toBe(pinned);
    const fresh = block.add(TYPE.IN, 16, 512);
    block.queue.kick();
    const before = block.memory.machine.slice();
    block.surroundings.rises = 0;
    for (const waiting of stale) waiting.finish('io-error');
    expect(block.memory.machine).toEqual(before);
    expect(block.surroundings.rises).toBe(0);
    expect(block.device.outstanding).toBe(1);
    block.backend.completeAll();
    expect(block.status(fresh)).toBe(RESULT.OK);
    expect(block.queue.collect()).toEqual([{ head: fresh.head, written: 513 }]);
    expect(block.memory.pinnedPages).toBe(0);
    expect(old.map(asked => asked.head)).toContain(fresh.head);
  });

  it('keeps quiet when requests complete after the driver broke the rules', () => {
    const block = new BlockDriver();
    const asked = block.add(TYPE.IN, 0, 512);
    block.queue.kick();
    block.queue.offer(300);
    block.queue.notify();
    expect(block.driver.status & STATUS.NEEDS_RESET).toBe(STATUS.NEEDS_RESET);
    block.driver.acknowledge();
    block.backend.completeAll();
    expect(block.pending(asked)).toBe(true);
    expect(block.queue.collect()).toEqual([]);
    expect(block.surroundings.level).toBe(false);
    expect(block.memory.pinnedPages).toBe(0);
  });

  it('does not care about a disk that completes twice', () => {
    const block = new BlockDriver();
    block.backend.content.fill(3);
    block.add(TYPE.FLUSH, 0, 0);
    block.queue.kick();
    const flush = block.backend.waiting[0]!;
    block.backend.complete();
    block.queue.collect();
    const asked = block.add(TYPE.IN, 0, 512);
    block.queue.kick();
    flush.finish('io-error');
    expect(block.pending(asked)).toBe(true);
    expect(block.device.outstanding).toBe(1);
    block.backend.complete();
    expect(block.status(asked)).toBe(RESULT.OK);
    expect(block.queue.collect()).toHaveLength(1);
  });
});
