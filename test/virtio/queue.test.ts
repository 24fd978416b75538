import { describe, expect, it } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import type { Chain, GuestRange } from '../../engine/devices/virtio/queue/chain.ts';
import { readRanges, sliceRanges, writeRanges } from '../../engine/devices/virtio/queue/chain.ts';
import type { SplitQueue } from '../../engine/devices/virtio/queue/queue.ts';
import { STATUS } from '../../engine/devices/virtio/transport/registers.ts';
import { VirtioTransport } from '../../engine/devices/virtio/transport/transport.ts';
import { type DriverOptions, type DriverQueue, Surroundings, TestDriver } from './driver.ts';
import { FakeMemory, RAM_BASE } from './memory.ts';

/** A device that leaves its chains to the test. */
class Bench {
  readonly memory = new FakeMemory(128, 5);
  readonly surroundings = new Surroundings();
  readonly driver: TestDriver;
  readonly queue: DriverQueue;
  readonly device: SplitQueue;
  readonly transport: VirtioTransport;
  notifications = 0;

  constructor(options: DriverOptions = {}) {
    this.transport = new VirtioTransport(
      { name: 'bench', memory: this.memory, irq: this.surroundings, errors: this.surroundings },
      { deviceId: 99, features: 0, queueSizes: [256], config: new Uint8Array(0) },
      {
        notified: () => {
          this.notifications += 1;
        },
        driverReset: () => {},
      },
    );
    this.driver = new TestDriver(this.transport, this.memory, { queueSize: 8, ...options });
    this.queue = this.driver.start(1)[0]!;
    this.device = this.transport.queues[0]!;
    this.notifications = 0;
  }

  /** Pushes a chain and reports whether that interrupted the driver. */
  finish(chain: Chain, written = 0): boolean {
    this.device.push(chain, written);
    this.driver.acknowledge();
    this.transport.signal(this.device);
    return this.driver.acknowledge().used;
  }

  popped(): Chain {
    const chain = this.device.pop();
    if (chain === undefined) throw new Error(`No chain: ${this.surroundings.reports.join('; ')}`);
    return chain;
  }
}

describe('split queue', () => {
  it.each([false, true])('takes chains and returns them, many times around (indirect: %s)', indirect => {
    const bench = new Bench({ indirect });
    const [first, second, third] = [bench.driver.range(10), bench.driver.range(20), bench.driver.range(5000)];
    const table = bench.driver.allocate(0);
    for (let round = 0; round < (indirect ? 1000 : 70_000); round += 1) {
      if (indirect && round === 1) expect(bench.driver.allocate(0)).toBeGreaterThan(table);
      const head = bench.queue.add([first, second], [third]);
      const chain = bench.popped();
      expect(bench.device.pop()).toBeUndefined();
      if (round % 1000 === 0) {
        expect(chain.readable).toEqual([first, second]);
        expect(chain.writable).toEqual([third]);
        expect([chain.readableLength, chain.writableLength]).toEqual([30, 5000]);
      }
      bench.device.push(chain, round % 5000);
      const used = bench.queue.collect();
      if (used.length !== 1 || used[0]?.head !== head || used[0].written !== round % 5000)
        expect.fail(`round ${round}`);
    }
    expect(bench.surroundings.errorCount).toBe(0);
  });

  it('returns chains in any order', () => {
    const bench = new Bench();
    const heads = [1, 2, 3, 4].map(length => bench.queue.add([], [bench.driver.range(length)]));
    const chains = heads.map(() => bench.popped());
    for (const index of [2, 0, 3, 1]) bench.device.push(chains[index]!, index);
    expect(bench.queue.collect()).toEqual([2, 0, 3, 1].map(index => ({ head: heads[index], written: index })));
  });

  it('takes an indirect table after direct descriptors', () => {
    const bench = new Bench({ indirect: true });
    const { driver, queue } = bench;
    const [direct, inner, last] = [driver.range(4), driver.range(5), driver.range(6)];
    const table = { address: driver.allocate(32), length: 32 };
    queue.writeDescriptor(table.address, 0, inner, 1, 1);
    queue.writeDescriptor(table.address, 1, last, 2, 0);
    queue.writeDescriptor(queue.descriptors, 6, direct, 1, 3);
    // The write flag of a descriptor that refers to a table is to be ignored.
    queue.writeDescriptor(queue.descriptors, 3, table, 4 | 2, 0);
    queue.offer(6);
    const chain = bench.popped();
    expect(chain).toMatchObject({ head: 6, readable: [direct, inner], writable: [last] });
  });

  it('takes an indirect chain longer than the queue, up to 256 buffers', () => {
    const bench = new Bench({ indirect: true });
    const buffer = bench.driver.range(1);
    const many = (count: number) => Array.from({ length: count }, () => buffer);
    bench.queue.add([], many(256));
    expect(bench.popped().writable).toHaveLength(256);
    bench.queue.add([], many(257));
    expect(bench.device.pop()).toBeUndefined();
    expect(bench.surroundings.reports).toEqual(['bench: Chain is longer than its queue']);
  });

  it('interrupts unless the driver asks not to', () => {
    const bench = new Bench();
    const add = () => bench.queue.add([], [bench.driver.range(4)]);
    add();
    expect(bench.finish(bench.popped())).toBe(true);
    bench.queue.suppressInterrupts(true);
    add();
    expect(bench.finish(bench.popped())).toBe(false);
    bench.queue.suppressInterrupts(false);
    expect(bench.queue.collect()).toHaveLength(2);
    bench.transport.signal(bench.device);
    expect(bench.surroundings.level).toBe(false);
  });

  it('interrupts at the event index only, also across the wrap', () => {
    const bench = new Bench({ eventIndex: true });
    const buffer = bench.driver.range(4);
    let wanted = 0;
    // 13 does not divide 65536, so the wrap falls inside a group.
    for (let group = 0; group < 5100; group += 1) {
      bench.queue.wantInterruptAt(13);
      for (let member = 1; member <= 13; member += 1) {
        bench.queue.add([], [buffer]);
        const interrupted = bench.finish(bench.popped());
        if (interrupted !== (member === 13)) expect.fail(`group ${group}, member ${member}: ${interrupted}`);
        if (interrupted) wanted += 1;
        if (member % 8 === 0) collectKeepingEvent(bench.queue, 13 - 8);
      }
      bench.queue.collect();
    }
    expect(wanted).toBe(5100);
  });

  it('does not interrupt again for an event index that is passed', () => {
    const bench = new Bench({ eventIndex: true });
    const buffer = bench.driver.range(4);
    const finish = () => {
      bench.queue.add([], [buffer]);
      return bench.finish(bench.popped());
    };
    bench.queue.wantInterruptAt(2);
    expect([finish(), finish(), finish(), finish()]).toEqual([false, true, false, false]);
  });

  it('stays stopped in a restored device', () => {
    const bench = new Bench();
    bench.queue.add([], [bench.driver.range(4)]);
    bench.transport.fail('Test');
    const model = { notified: () => {}, driverReset: () => {} };
    const shape = { deviceId: 99, features: 0, queueSizes: [256], config: new Uint8Array(0) };
    const parts = { name: 'bench', memory: bench.memory, irq: bench.surroundings, errors: bench.surroundings };
    const restored = new VirtioTransport(parts, shape, model);
    restored.load(bench.transport.save(), 'bench');
    expect(restored.running).toBe(false);
    expect(restored.queues[0]?.pop()).toBeUndefined();
    expect(bench.surroundings.errorCount).toBe(1);
  });

  it('interrupts once for a batch that passes the event index', () => {
    const bench = new Bench({ eventIndex: true });
    for (let count = 0; count < 6; count += 1) bench.queue.add([], [bench.driver.range(1)]);
    const chains = Array.from({ length: 6 }, () => bench.popped());
    bench.queue.wantInterruptAt(4);
    bench.device.push(chains[0]!, 0);
    bench.device.push(chains[1]!, 0);
    bench.transport.signal(bench.device);
    expect(bench.driver.acknowledge().used).toBe(false);
    for (const chain of chains.slice(2)) bench.device.push(chain, 0);
    bench.transport.signal(bench.device);
    expect(bench.driver.acknowledge().used).toBe(true);
    bench.transport.signal(bench.device);
    expect(bench.driver.acknowledge().used).toBe(false);
  });

  it('asks for a notification only when it waits for the next chain', () => {
    const bench = new Bench({ eventIndex: true });
    const buffer = bench.driver.range(4);
    const add = () => {
      bench.queue.add([], [buffer]);
      return bench.queue.kick();
    };
    expect(add()).toBe(true);
    // The device has not looked yet: it will find these itself.
    expect([add(), add()]).toEqual([false, false]);
    const chains = [bench.popped(), bench.popped()];
    expect(add()).toBe(false);
    chains.push(bench.popped(), bench.popped());
    expect(bench.device.pop()).toBeUndefined();
    expect(add()).toBe(true);
    expect(add()).toBe(false);
    expect(bench.notifications).toBe(2);
    for (let round = 0; round < 70_000; round += 1) {
      for (let chain = bench.device.pop(); chain !== undefined; chain = bench.device.pop()) chains.push(chain);
      for (const chain of chains.splice(0)) bench.device.push(chain, 0);
      bench.queue.collect();
      if (!add()) expect.fail(`round ${round}: no notification`);
    }
    expect(bench.surroundings.errorCount).toBe(0);
  });

  it('forgets chains of a former life', () => {
    const bench = new Bench();
    bench.queue.add([], [bench.driver.range(4)]);
    const old = bench.popped();
    const queue = bench.driver.start(1)[0]!;
    queue.add([], [bench.driver.range(4)]);
    const chain = bench.popped();
    expect(chain.head).toBe(old.head);
    bench.device.push(old, 9);
    expect(queue.collect()).toEqual([]);
    bench.device.push(chain, 3);
    expect(queue.collect()).toEqual([{ head: chain.head, written: 3 }]);
  });
});

/** Collects without moving the event: what `left` chains from now asks for stays asked for. */
function collectKeepingEvent(queue: DriverQueue, left: number): void {
  queue.collect();
  queue.wantInterruptAt(left);
}

describe('a hostile driver', () => {
  const somewhere = guestPhys(RAM_BASE + 0x40000);
  const ok: GuestRange = { address: somewhere, length: 64 };
  const raw = (bench: Bench, at: number, range: GuestRange, flags: number, next = 0) =>
    bench.queue.writeDescriptor(bench.queue.descriptors, at, range, flags, next);

  const attacks: readonly [string, (bench: Bench) => void, string, DriverOptions?][] = [
    ['a loop', b => [raw(b, 0, ok, 1, 1), raw(b, 1, ok, 1, 0), b.queue.offer(0)], 'longer than its queue'],
    ['a chain that is its own successor', b => [raw(b, 5, ok, 1, 5), b.queue.offer(5)], 'longer than its queue'],
    ['a head outside the table', b => b.queue.offer(8), 'outside the table'],
    ['a head far outside', b => b.queue.offer(0xffff), 'outside the table'],
    ['a successor outside the table', b => [raw(b, 0, ok, 1, 8), b.queue.offer(0)], 'successor outside'],
    ['an index jump', b => b.queue.setAvailableIndex(9), 'jumped ahead'],
    ['an index that goes back', b => b.queue.setAvailableIndex(0xffff), 'jumped ahead'],
    ['an empty buffer', b => [raw(b, 0, { address: somewhere, length: 0 }, 0), b.queue.offer(0)], 'is empty'],
    [
      '4 GiB in one chain',
      b => {
        raw(b, 0, { address: somewhere, length: 0xffffffff }, 1, 1);
        raw(b, 1, { address: somewhere, length: 1 }, 0);
        b.queue.offer(0);
      },
      '4 GiB',
    ],
    [
      'an address beyond 2^53',
      b => [raw(b, 0, { address: guestPhys(2 ** 60), length: 1 }, 0), b.queue.offer(0)],
      'outside RAM',
    ],
    [
      'an end at 2^53',
      b => [raw(b, 0, { address: guestPhys(2 ** 53 - 64), length: 64 }, 0), b.queue.offer(0)],
      'outside RAM',
    ],
    // In doubles 2^53 + 1 is 2^53 again.
    [
      'an address at 2^53',
      b => [raw(b, 0, { address: guestPhys(2 ** 53), length: 1 }, 0), b.queue.offer(0)],
      'outside RAM',
    ],
    [
      'an end beyond 2^53',
      b => [raw(b, 0, { address: guestPhys(2 ** 53 - 8), length: 64 }, 0), b.queue.offer(0)],
      'outside RAM',
    ],
    [
      'a readable buffer after a writable',
      b => [raw(b, 0, ok, 3, 1), raw(b, 1, ok, 0), b.queue.offer(0)],
      'after a writable',
    ],
    [
      'the same chain twice',
      b => [raw(b, 0, ok, 0), b.queue.offer(0), b.device.pop(), b.queue.offer(0)],
      'still in use',
    ],
    ['an indirect table without the feature', b => [raw(b, 0, ok, 4), b.queue.offer(0)], 'not negotiated'],
    [
      'a nested indirect table',
      b => indirectIn(b, { address: somewhere, length: 16 }, 4, 0),
      'inside an indirect',
      { indirect: true },
    ],
    [
      'an indirect table that goes on',
      b => [raw(b, 0, ok, 5, 1), b.queue.offer(0)],
      'has a successor',
      { indirect: true },
    ],
    [
      'an indirect table of an odd length',
      b => [raw(b, 0, { address: somewhere, length: 24 }, 4), b.queue.offer(0)],
      'odd length',
      { indirect: true },
    ],
    [
      'an empty indirect table',
      b => [raw(b, 0, { address: somewhere, length: 0 }, 4), b.queue.offer(0)],
      'odd length',
      { indirect: true },
    ],
    [
      'an indirect table outside RAM',
      b => [raw(b, 0, { address: guestPhys(16), length: 16 }, 4), b.queue.offer(0)],
      'outside RAM',
      { indirect: true },
    ],
    ['an indirect successor outside', b => indirectIn(b, ok, 1, 4), 'successor outside', { indirect: true }],
    ['an indirect loop', b => indirectIn(b, ok, 1, 0), 'longer than its queue', { indirect: true }],
  ];

  function indirectIn(bench: Bench, range: GuestRange, flags: number, next: number): void {
    bench.queue.writeDescriptor(somewhere, 0, range, flags, next);
    raw(bench, 0, ok, 4);
    bench.queue.offer(0);
  }

  it.each(attacks)('with %s stops the device until it is reset', (_what, attack, message, options) => {
    const bench = new Bench(options);
    attack(bench);
    expect(bench.device.pop()).toBeUndefined();
    expect(bench.surroundings.reports).toHaveLength(1);
    expect(bench.surroundings.reports[0]).toContain(message);
    expect(bench.driver.status & STATUS.NEEDS_RESET).toBe(STATUS.NEEDS_RESET);
    expect(bench.driver.acknowledge()).toEqual({ used: false, config: true });
    // Nothing more is taken or counted.
    bench.queue.notify();
    expect(bench.device.pop()).toBeUndefined();
    expect(bench.notifications).toBe(0);
    expect(bench.surroundings.errorCount).toBe(1);
    const queue = bench.driver.start(1)[0]!;
    queue.add([ok], []);
    bench.device.push(bench.popped(), 0);
    expect(queue.collect()).toHaveLength(1);
  });

  it('with rings outside RAM stops the device', () => {
    for (const area of ['descriptors', 'driver', 'device'] as const) {
      for (const eventIndex of [false, true]) {
        const bench = new Bench({ eventIndex });
        bench.queue.add([ok], []);
        bench.device.disable();
        bench.device.setAddress(area, 0, 0x1000);
        bench.device.enable();
        const chain = bench.device.pop();
        if (chain !== undefined) bench.device.push(chain, 0);
        expect(bench.surroundings.errorCount, `${area}, ${eventIndex}`).toBe(1);
      }
    }
  });
});

describe('guest ranges', () => {
  const memory = new FakeMemory(4, 1);
  const ranges = [0x10, 0x1ffe, 0x100].map((at, index) => ({ address: guestPhys(RAM_BASE + at), length: 3 + index }));

  it('slice anywhere', () => {
    expect(sliceRanges(ranges, 0, 100)).toEqual(ranges);
    expect(sliceRanges(ranges, 12, 5)).toEqual([]);
    expect(sliceRanges(ranges, 2, 3)).toEqual([
      { address: RAM_BASE + 0x12, length: 1 },
      { address: RAM_BASE + 0x1ffe, length: 2 },
    ]);
    expect(sliceRanges(ranges, 3, 0)).toEqual([]);
  });

  it('read back what was written, and say when they end or leave RAM', () => {
    const bytes = Uint8Array.from({ length: 12 }, (_, index) => index + 1);
    expect(writeRanges(memory, ranges, 0, bytes)).toBe(true);
    for (let start = 0; start < 12; start += 1) {
      const into = new Uint8Array(12 - start);
      expect(readRanges(memory, ranges, start, into)).toBe(true);
      expect(into).toEqual(bytes.subarray(start));
      expect(readRanges(memory, ranges, start, new Uint8Array(13 - start))).toBe(false);
    }
    const outside = [{ address: guestPhys(RAM_BASE + memory.size - 1), length: 2 }];
    expect(readRanges(memory, outside, 0, new Uint8Array(2))).toBe(false);
    expect(writeRanges(memory, outside, 0, new Uint8Array(2))).toBe(false);
  });
});
