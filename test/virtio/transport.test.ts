import { describe, expect, it } from 'vitest';
import { VirtioBlock } from '../../engine/devices/virtio/block/device.ts';
import { EmptySlot } from '../../engine/devices/virtio/transport/empty-slot.ts';
import { REGISTER, STATUS } from '../../engine/devices/virtio/transport/registers.ts';
import { ScriptedBackend } from './backend.ts';
import { BlockDriver } from './block-driver.ts';
import { Surroundings, TestDriver } from './driver.ts';
import { FakeMemory } from './memory.ts';

function disk() {
  const memory = new FakeMemory(64, 3);
  const surroundings = new Surroundings();
  const backend = new ScriptedBackend(memory, 1024 * 512);
  const parts = { name: 'disk0', memory, irq: surroundings, errors: surroundings, backend, serial: 's' };
  const device = new VirtioBlock(parts);
  return { memory, surroundings, backend, device, driver: new TestDriver(device, memory) };
}

describe('virtio transport', () => {
  it('shows what a Linux probe looks for', () => {
    const { driver } = disk();
    expect(driver.get(0)).toBe(0x74726976);
    expect(driver.get(4)).toBe(2);
    expect(driver.get(8)).toBe(2);
    expect(driver.get(0xc)).not.toBe(0);
    driver.set(REGISTER.DEVICE_FEATURES_SELECT, 1);
    expect(driver.get(REGISTER.DEVICE_FEATURES)).toBe(1);
    driver.set(REGISTER.DEVICE_FEATURES_SELECT, 0);
    const ring = 2 ** 28 + 2 ** 29;
    // Segments, block size, flush, discard, write zeroes.
    expect(driver.get(REGISTER.DEVICE_FEATURES)).toBe(ring + (1 << 2) + (1 << 6) + (1 << 9) + (1 << 13) + (1 << 14));
    driver.set(REGISTER.DEVICE_FEATURES_SELECT, 2);
    expect(driver.get(REGISTER.DEVICE_FEATURES)).toBe(0);
    expect(driver.get(REGISTER.QUEUE_SIZE_MAX)).toBe(256);
    driver.set(REGISTER.QUEUE_SELECT, 1);
    expect(driver.get(REGISTER.QUEUE_SIZE_MAX)).toBe(0);
    expect(driver.get(REGISTER.QUEUE_READY)).toBe(0);
    // A region of shared memory that does not exist has length -1.
    expect(driver.get(0xb0)).toBe(0xffffffff);
    expect(driver.get(0xb4)).toBe(0xffffffff);
  });

  it('shows an empty slot as device 0', () => {
    const slot = new EmptySlot('virtio7');
    const words = [0, 4, 8, 0x10, 0x34, 0x70, 0xfc, 0x100].map(offset => slot.read(offset, 4));
    expect(words).toEqual([0x74726976, 2, 0, 0, 0, 0, 0, 0]);
    slot.write();
    slot.reset();
    expect(slot.read(0, 1)).toBe(0);
  });

  it('settles features, then keeps them', () => {
    const { driver, surroundings } = disk();
    driver.negotiate();
    expect(driver.status).toBe(STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.FEATURES_OK);
    driver.set(REGISTER.DRIVER_FEATURES, 0);
    expect(surroundings.reports).toEqual(['disk0: Features written after they were settled']);
    driver.addQueue();
    driver.set(REGISTER.STATUS, driver.status | STATUS.DRIVER_OK);
    expect(driver.status).toBe(15);
  });

  it.each([
    ['a feature that is not offered', 2 ** 24, 1],
    ['no VERSION_1', 0, 0],
    ['an unknown high feature', 0, 3],
  ])('refuses FEATURES_OK with %s', (_what, low, high) => {
    const { driver } = disk();
    driver.set(REGISTER.STATUS, 3);
    driver.set(REGISTER.DRIVER_FEATURES_SELECT, 1);
    driver.set(REGISTER.DRIVER_FEATURES, high);
    driver.set(REGISTER.DRIVER_FEATURES_SELECT, 0);
    driver.set(REGISTER.DRIVER_FEATURES, low);
    driver.set(REGISTER.STATUS, 11);
    expect(driver.status).toBe(3);
    driver.set(REGISTER.DRIVER_FEATURES_SELECT, 1);
    driver.set(REGISTER.DRIVER_FEATURES, 1);
    driver.set(REGISTER.DRIVER_FEATURES_SELECT, 0);
    driver.set(REGISTER.DRIVER_FEATURES, 0);
    driver.set(REGISTER.STATUS, 11);
    expect(driver.status).toBe(11);
  });

  it('needs a reset when the driver is ready without features', () => {
    const { driver, surroundings } = disk();
    driver.set(REGISTER.STATUS, 7);
    expect(driver.status).toBe(STATUS.NEEDS_RESET);
    expect(surroundings.errorCount).toBe(1);
    expect(surroundings.level).toBe(false);
    driver.start(1);
    expect(driver.status).toBe(15);
  });

  it('never loses status bits, and resets only when 0 is written', () => {
    const { driver } = disk();
    driver.start(1);
    driver.set(REGISTER.STATUS, 1);
    expect(driver.status).toBe(15);
    driver.set(REGISTER.STATUS, 0x10);
    driver.set(REGISTER.STATUS, 0x100);
    expect(driver.status).toBe(15);
    driver.set(REGISTER.STATUS, STATUS.NEEDS_RESET);
    expect(driver.status).toBe(15);
    driver.set(REGISTER.STATUS, STATUS.FAILED);
    expect(driver.status).toBe(15 | STATUS.FAILED);
    driver.set(REGISTER.STATUS, 0);
    expect(driver.status).toBe(0);
    expect(driver.get(REGISTER.QUEUE_READY)).toBe(0);
  });

  it('disables a queue at once, as Linux checks when it unbinds', () => {
    const { driver } = disk();
    driver.start(1);
    driver.set(REGISTER.QUEUE_SELECT, 0);
    expect(driver.get(REGISTER.QUEUE_READY)).toBe(1);
    driver.set(REGISTER.QUEUE_READY, 0);
    expect(driver.get(REGISTER.QUEUE_READY)).toBe(0);
  });

  it.each([
    ['a size that is no power of two', REGISTER.QUEUE_SIZE, 100],
    ['a size of zero', REGISTER.QUEUE_SIZE, 0],
    ['a size above the maximum', REGISTER.QUEUE_SIZE, 512],
    ['a huge size', REGISTER.QUEUE_SIZE, 2 ** 31],
    ['descriptors at an odd address', REGISTER.DESCRIPTORS_LOW, 8],
    ['a driver area at an odd address', REGISTER.DRIVER_LOW, 1],
    ['a device area at an odd address', REGISTER.DEVICE_LOW, 2],
    ['an address beyond all memory', REGISTER.DEVICE_HIGH, 2 ** 31],
  ])('refuses a queue with %s', (_what, register, value) => {
    const { driver, surroundings } = disk();
    driver.negotiate();
    driver.set(REGISTER.QUEUE_SELECT, 0);
    driver.set(register, value);
    driver.set(REGISTER.QUEUE_READY, 1);
    expect(driver.get(REGISTER.QUEUE_READY)).toBe(0);
    expect(driver.status & STATUS.NEEDS_RESET).toBe(STATUS.NEEDS_RESET);
    expect(surroundings.errorCount).toBe(1);
    driver.start(1);
    expect(driver.status).toBe(15);
  });

  it('takes register accesses of one word only', () => {
    const { device, driver, surroundings } = disk();
    for (const width of [1, 2, 8] as const) expect(device.read(0, width)).toBe(0);
    expect(device.read(2, 4)).toBe(0);
    device.write(REGISTER.STATUS, 1, 1);
    device.write(REGISTER.STATUS + 1, 4, 1);
    expect(driver.status).toBe(0);
    expect(surroundings.errorCount).toBe(6);
  });

  it('reads configuration in bytes, halves and words, at any offset', () => {
    const { device } = disk();
    expect(device.read(0x100, 4)).toBe(1024);
    expect(device.read(0x100, 2)).toBe(1024);
    expect(device.read(0x101, 1)).toBe(4);
    expect(device.read(0x104, 4)).toBe(0);
    expect(device.read(0x10c, 4)).toBe(254);
    expect(device.read(0x114, 4)).toBe(512);
    expect(device.read(0x100, 8)).toBe(0);
    expect(device.read(0x13a, 4)).toBe(0);
    expect(device.read(0xfff, 4)).toBe(0);
    device.write(0x100, 4, 7);
    expect(device.read(0x100, 4)).toBe(1024);
  });

  it('keeps the interrupt line up until every reason is acknowledged', () => {
    const block = new BlockDriver();
    const { driver, surroundings } = block;
    block.run(4, 0);
    expect(surroundings.level).toBe(true);
    driver.set(REGISTER.INTERRUPT_ACK, 2);
    expect(surroundings.level).toBe(true);
    expect(driver.acknowledge()).toEqual({ used: true, config: false });
    expect(surroundings.level).toBe(false);
    expect(driver.get(REGISTER.INTERRUPT_STATUS)).toBe(0);
  });

  it('consumes nothing before DRIVER_OK and everything added by then at that moment', () => {
    const { driver, backend } = disk();
    driver.negotiate();
    const queue = driver.addQueue();
    const header = driver.range(16);
    driver.put(header, Uint8Array.of(4));
    queue.add([header], [driver.range(1)]);
    queue.notify();
    expect(backend.log).toEqual([]);
    driver.set(REGISTER.STATUS, driver.status | STATUS.DRIVER_OK);
    expect(backend.log.map(request => request.kind)).toEqual(['flush']);
  });

  it('reports notifications for queues that do not exist and goes on', () => {
    const block = new BlockDriver();
    block.driver.set(REGISTER.QUEUE_NOTIFY, 1);
    block.driver.set(REGISTER.QUEUE_NOTIFY, 0xffffffff);
    expect(block.surroundings.errorCount).toBe(2);
    expect(block.run(4, 0).status).toBe(0);
  });
});
