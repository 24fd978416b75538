import { describe, expect, it } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { VirtioRng } from '../../engine/devices/virtio/rng/device.ts';
import { rngSection } from '../../engine/devices/virtio/rng/state.ts';
import { STATUS } from '../../engine/devices/virtio/transport/registers.ts';
import { deviceContract } from '../contract/device.ts';
import { type DriverOptions, Surroundings, TestDriver } from './driver.ts';
import { FakeMemory, RAM_BASE } from './memory.ts';

function parts() {
  const memory = new FakeMemory(64, 2);
  const surroundings = new Surroundings();
  let next = 0;
  const entropy = (into: Uint8Array) => {
    for (let index = 0; index < into.length; index += 1) {
      next = (next % 255) + 1;
      into[index] = next;
    }
  };
  return { name: 'rng', memory, irq: surroundings, errors: surroundings, entropy };
}

function guest(options: DriverOptions = {}) {
  const surroundings = parts();
  const device = new VirtioRng(surroundings);
  const driver = new TestDriver(device, surroundings.memory, options);
  return { ...surroundings, device, driver, queue: driver.start(1)[0]! };
}

const memories = new WeakMap<VirtioRng, FakeMemory>();

deviceContract('virtio-rng', {
  section: rngSection,
  window: 0x1000,
  make: () => {
    const surroundings = parts();
    const device = new VirtioRng(surroundings);
    memories.set(device, surroundings.memory);
    return device;
  },
  restore: state => VirtioRng.restore(parts(), state),
  disturb: device => {
    const driver = new TestDriver(device, memories.get(device)!, { eventIndex: true });
    const queue = driver.start(1)[0]!;
    queue.add([], [driver.range(8)]);
    queue.kick();
  },
  offsets: Array.from({ length: 0x44 }, (_, index) => index * 4),
});

describe('virtio-rng', () => {
  it.each([{}, { indirect: true, eventIndex: true }])('fills buffers in order %o', options => {
    const { driver, queue, errors } = guest(options);
    const buffers = [driver.range(64), driver.range(3), driver.range(100)];
    queue.add([], [buffers[0]!]);
    queue.add([], buffers.slice(1));
    queue.kick();
    expect(queue.collect().map(({ written }) => written)).toEqual([64, 103]);
    const bytes = buffers.flatMap(buffer => [...driver.take(buffer)]);
    expect(bytes).toEqual(Array.from({ length: 167 }, (_, index) => index + 1));
    expect(driver.acknowledge()).toEqual({ used: true, config: false });
    expect(errors.errorCount).toBe(0);
  });

  it('gives part of what is asked when that is very much', () => {
    const { driver, queue } = guest();
    const buffer = driver.range(10_000);
    queue.add([], [buffer]);
    queue.kick();
    expect(queue.collect()[0]?.written).toBe(4096);
    const bytes = driver.take(buffer);
    expect(bytes.subarray(0, 4096).every(byte => byte !== 0)).toBe(true);
    expect(bytes.subarray(4096).every(byte => byte === 0)).toBe(true);
  });

  it('returns a chain without room as it is', () => {
    const { driver, queue } = guest();
    queue.add([driver.range(8)], []);
    queue.kick();
    expect(queue.collect()[0]?.written).toBe(0);
  });

  it('needs a reset after a buffer outside RAM', () => {
    const { driver, queue, errors } = guest();
    queue.add([], [{ address: guestPhys(RAM_BASE - 4), length: 8 }]);
    queue.kick();
    expect(driver.status & STATUS.NEEDS_RESET).toBe(STATUS.NEEDS_RESET);
    expect(errors.reports).toEqual(['rng: Buffer is outside RAM']);
    const again = driver.start(1)[0]!;
    again.add([], [driver.range(8)]);
    again.kick();
    expect(again.collect()[0]?.written).toBe(8);
  });

  it('ends when its bytes keep the ring going', () => {
    const surroundings = parts();
    // The buffer is the available index itself, and the source counts it up as the attacker would want it.
    let index = 1;
    const entropy = (into: Uint8Array) => {
      index += 1;
      into.set([index & 0xff, (index >> 8) & 0xff]);
    };
    const driver = new TestDriver(new VirtioRng({ ...surroundings, entropy }), surroundings.memory, { queueSize: 2 });
    const queue = driver.start(1)[0]!;
    const target = { address: guestPhys(queue.available + 2), length: 2 };
    queue.writeDescriptor(queue.descriptors, 0, target, 2, 0);
    queue.offer(0);
    queue.notify();
    expect(surroundings.errors.reports).toEqual(['rng: Queue is overwritten by its own requests']);
  });
});
