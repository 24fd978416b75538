import { describe, expect, it } from 'vitest';
import { guestPhys } from '../../engine/base/addresses.ts';
import { VirtioConsole } from '../../engine/devices/virtio/console/device.ts';
import { consoleSection } from '../../engine/devices/virtio/console/state.ts';
import { REGISTER, STATUS } from '../../engine/devices/virtio/transport/registers.ts';
import { deviceContract } from '../contract/device.ts';
import { Random } from '../contract/random.ts';
import { pattern } from './block-driver.ts';
import { type DriverOptions, type DriverQueue, Surroundings, TestDriver } from './driver.ts';
import { FakeMemory, RAM_BASE } from './memory.ts';
import { TestPort } from './port.ts';

function parts() {
  const memory = new FakeMemory(512, 2);
  const surroundings = new Surroundings();
  return { name: 'console0', memory, irq: surroundings, errors: surroundings, port: new TestPort() };
}

class Guest {
  readonly parts = parts();
  readonly port = this.parts.port;
  readonly errors = this.parts.errors;
  device = new VirtioConsole(this.parts);
  readonly driver: TestDriver;
  input: DriverQueue;
  output: DriverQueue;

  constructor(options: DriverOptions = {}) {
    this.driver = new TestDriver(this.device, this.parts.memory, options);
    [this.input, this.output] = this.driver.start(2) as [DriverQueue, DriverQueue];
  }

  restart(): void {
    [this.input, this.output] = this.driver.start(2) as [DriverQueue, DriverQueue];
  }

  restore(): void {
    this.device = VirtioConsole.restore(this.parts, this.device.save());
    Object.defineProperty(this.driver, 'device', { value: this.device });
  }

  print(bytes: Uint8Array, cut = bytes.length): void {
    const range = this.driver.range(bytes.length);
    this.driver.put(range, bytes);
    const pieces = [];
    for (let at = 0; at < bytes.length; at += cut) {
      pieces.push({ address: guestPhys(range.address + at), length: Math.min(cut, bytes.length - at) });
    }
    this.output.add(pieces, []);
    this.output.kick();
  }
}

const memories = new WeakMap<VirtioConsole, FakeMemory>();

deviceContract('virtio-console', {
  section: consoleSection,
  window: 0x1000,
  make: () => {
    const surroundings = parts();
    const device = new VirtioConsole(surroundings);
    memories.set(device, surroundings.memory);
    return device;
  },
  restore: state => VirtioConsole.restore(parts(), state),
  disturb: device => {
    const driver = new TestDriver(device, memories.get(device)!, { eventIndex: true });
    const [input, output] = driver.start(2) as [DriverQueue, DriverQueue];
    input.add([], [driver.range(100)]);
    input.kick();
    output.add([driver.range(10), driver.range(20)], []);
    output.kick();
  },
  offsets: Array.from({ length: 0x44 }, (_, index) => index * 4),
});

describe('virtio-console', () => {
  it('prints at once what the port has room for', () => {
    const guest = new Guest();
    guest.port.room = 1000;
    guest.print(pattern(300, 1), 128);
    guest.print(pattern(200, 2));
    expect(guest.port.printed).toEqual([...pattern(300, 1), ...pattern(200, 2)]);
    expect(guest.output.collect()).toMatchObject([{ written: 0 }, { written: 0 }]);
    guest.device.poll();
    expect(guest.driver.acknowledge().used).toBe(true);
    expect(guest.parts.memory.pinnedPages).toBe(0);
  });

  it('holds output that does not fit and goes on when there is room', () => {
    const guest = new Guest({ eventIndex: true });
    guest.port.room = 100;
    guest.print(pattern(250, 1), 33);
    guest.print(pattern(5, 2));
    expect(guest.port.printed).toEqual([...pattern(250, 1).subarray(0, 100)]);
    expect(guest.output.collect()).toEqual([]);
    expect(guest.errors.level).toBe(false);
    guest.device.poll();
    guest.port.room = 149;
    guest.device.poll();
    expect(guest.output.collect()).toEqual([]);
    guest.port.room = 3;
    guest.device.poll();
    expect(guest.output.collect()).toHaveLength(1);
    guest.port.room = 100;
    guest.device.poll();
    expect(guest.output.collect()).toHaveLength(1);
    expect(guest.port.printed).toEqual([...pattern(250, 1), ...pattern(5, 2)]);
    expect(guest.parts.memory.pinnedPages).toBe(0);
  });

  it('does not interrupt a driver that saw its output returned before the slice ended', () => {
    const guest = new Guest({ eventIndex: true });
    guest.port.room = 1000;
    for (let line = 0; line < 10; line += 1) {
      guest.print(pattern(5, line));
      expect(guest.errors.level).toBe(false);
      // Linux's console waits for the buffer right after the notification.
      expect(guest.output.collect()).toHaveLength(1);
      guest.device.poll();
    }
    expect(guest.errors.rises).toBe(0);
    guest.print(pattern(5, 10));
    guest.restore();
    guest.device.poll();
    expect(guest.errors.rises).toBe(1);
  });

  it('leaves input in the port until the driver has a buffer', () => {
    const guest = new Guest();
    guest.port.type(pattern(150, 3));
    guest.device.poll();
    expect(guest.port.available).toBe(150);
    const buffers = [guest.driver.range(64), guest.driver.range(64), guest.driver.range(64)];
    guest.input.add([], buffers.slice(0, 1));
    guest.input.kick();
    expect(guest.input.collect()).toMatchObject([{ written: 64 }]);
    expect(guest.driver.acknowledge().used).toBe(true);
    guest.input.add([], buffers.slice(1));
    guest.input.kick();
    expect(guest.input.collect()).toMatchObject([{ written: 86 }]);
    const bytes = buffers.flatMap(buffer => [...guest.driver.take(buffer)]);
    expect(bytes.slice(0, 150)).toEqual([...pattern(150, 3)]);
    guest.input.add([], buffers.slice(0, 1));
    guest.input.kick();
    expect(guest.input.collect()).toEqual([]);
    guest.port.type(Uint8Array.of(65));
    guest.device.poll();
    expect(guest.input.collect()).toMatchObject([{ written: 1 }]);
    expect(guest.parts.memory.preparedPages.size).toBeGreaterThan(0);
  });

  it.each([1, 2, 3])('loses nothing either way under random back-pressure (seed %i)', seed => {
    const random = new Random(seed);
    const guest = new Guest({ indirect: seed > 1, eventIndex: seed > 2 });
    const sent: number[] = [];
    const typed: number[] = [];
    const received: number[] = [];
    const buffers = Array.from({ length: 16 }, () => guest.driver.range(16 + random.below(100)));
    const waiting = new Map<number, (typeof buffers)[number]>();
    const offer = () => {
      const buffer = buffers.pop();
      if (buffer === undefined) return;
      waiting.set(guest.input.add([], [buffer]), buffer);
      guest.input.kick();
    };
    const take = () => {
      for (const { head, written } of guest.input.collect()) {
        const buffer = waiting.get(head)!;
        waiting.delete(head);
        received.push(...guest.driver.take(buffer).subarray(0, written));
        buffers.push(buffer);
      }
      guest.output.collect();
    };
    for (let step = 0; step < 2000; step += 1) {
      const bytes = pattern(1 + random.below(200), random.below(256));
      switch (random.below(6)) {
        case 0:
          if (guest.output.freeDescriptors < 8) break;
          sent.push(...bytes);
          guest.print(bytes, 40);
          break;
        case 1:
          typed.push(...bytes);
          guest.port.type(bytes);
          guest.device.poll();
          break;
        case 2:
          guest.port.room += random.below(300);
          guest.device.poll();
          break;
        case 3:
          offer();
          break;
        case 4:
          guest.restore();
          break;
        default:
          take();
      }
    }
    guest.port.room = Number.MAX_SAFE_INTEGER;
    while (guest.port.available > 0) {
      take();
      offer();
      guest.device.poll();
    }
    guest.device.poll();
    take();
    expect(Buffer.from(guest.port.printed).equals(Buffer.from(sent))).toBe(true);
    expect(Buffer.from(received).equals(Buffer.from(typed))).toBe(true);
    expect(sent.length).toBeGreaterThan(10_000);
    expect(guest.errors.errorCount).toBe(0);
    expect(guest.parts.memory.pinnedPages).toBe(0);
  });

  it('tells the guest a new size of the terminal, once', () => {
    const guest = new Guest();
    expect(guest.driver.get(REGISTER.CONFIG)).toBe(0);
    guest.device.resize(132, 43);
    expect(guest.driver.acknowledge()).toEqual({ used: false, config: true });
    expect(guest.device.read(REGISTER.CONFIG, 2)).toBe(132);
    expect(guest.device.read(REGISTER.CONFIG + 2, 2)).toBe(43);
    expect(guest.driver.get(REGISTER.CONFIG_GENERATION)).toBe(1);
    guest.device.resize(132, 43);
    expect(guest.driver.acknowledge().config).toBe(false);
    expect(guest.driver.get(REGISTER.CONFIG_GENERATION)).toBe(1);
    guest.restore();
    guest.device.resize(132, 43);
    expect(guest.driver.acknowledge().config).toBe(false);
    guest.device.resize(1e9, 24);
    expect(guest.driver.get(REGISTER.CONFIG)).toBe(0xffff + 24 * 2 ** 16);
  });

  it('keeps the size over resets and tells none before the driver is ready', () => {
    const surroundings = parts();
    const device = new VirtioConsole({ ...surroundings, columns: 80, rows: 25 });
    expect(device.read(REGISTER.CONFIG, 4)).toBe(80 + 25 * 2 ** 16);
    device.resize(90, 30);
    expect(surroundings.errors.level).toBe(false);
    device.reset();
    expect(device.read(REGISTER.CONFIG, 4)).toBe(90 + 30 * 2 ** 16);
  });

  it('forgets held output when the driver resets it', () => {
    const guest = new Guest();
    guest.print(pattern(10, 1));
    guest.restart();
    guest.port.room = 100;
    guest.device.poll();
    expect(guest.port.printed).toEqual([]);
    guest.print(pattern(10, 2));
    expect(guest.port.printed).toEqual([...pattern(10, 2)]);
    expect(guest.output.collect()).toHaveLength(1);
  });

  it('drops held output of a queue that was disabled', () => {
    const guest = new Guest();
    guest.print(pattern(10, 1));
    guest.driver.set(REGISTER.QUEUE_SELECT, 1);
    guest.driver.set(REGISTER.QUEUE_READY, 0);
    expect(guest.device.save().held).toBeUndefined();
    guest.restore();
    guest.port.room = 100;
    guest.device.poll();
    expect(guest.port.printed).toEqual([]);
  });

  it('does not go on with output held for a queue that was set up anew', () => {
    const guest = new Guest();
    guest.print(pattern(10, 1));
    guest.driver.set(REGISTER.QUEUE_SELECT, 1);
    guest.driver.set(REGISTER.QUEUE_READY, 0);
    guest.driver.queues.pop();
    guest.output = guest.driver.addQueue();
    guest.port.room = 100;
    guest.print(pattern(10, 2));
    expect(guest.port.printed).toEqual([...pattern(10, 2)]);
    expect(guest.output.collect()).toHaveLength(1);
  });

  it('gets along with a port that takes less than it has room for', () => {
    const guest = new Guest();
    guest.port.room = 1000;
    const take = guest.port.write.bind(guest.port);
    guest.port.write = from => take(from.subarray(0, 7));
    guest.print(pattern(50, 1), 20);
    while (guest.port.printed.length < 50) {
      expect(guest.parts.memory.pinnedPages).toBe(0);
      guest.device.poll();
    }
    expect(guest.port.printed).toEqual([...pattern(50, 1)]);
    expect(guest.output.collect()).toHaveLength(1);
  });

  it('ends when its output keeps the ring going, in a state that can be restored', () => {
    const guest = new Guest({ queueSize: 2 });
    const { output, driver, port } = guest;
    output.writeDescriptor(output.descriptors, 0, driver.range(1), 2, 0);
    output.offer(0);
    let index = 1;
    const push = guest.parts.memory.writeU16.bind(guest.parts.memory);
    // As if the used ring lay over the available ring.
    guest.parts.memory.writeU16 = (at, value) => {
      index += 1;
      push(guestPhys(output.available + 2), index & 0xffff);
      return push(at, value);
    };
    port.room = 100;
    output.notify();
    expect(guest.errors.reports).toEqual(['console0: Queue is overwritten by its own requests']);
    expect(guest.device.save().held).toBeUndefined();
    guest.restore();
  });

  it('returns chains for the other direction as they are', () => {
    const guest = new Guest();
    guest.output.add([], [guest.driver.range(8)]);
    guest.output.kick();
    expect(guest.output.collect()).toMatchObject([{ written: 0 }]);
    guest.port.type(Uint8Array.of(1));
    guest.input.add([guest.driver.range(8)], []);
    guest.input.kick();
    expect(guest.input.collect()).toMatchObject([{ written: 0 }]);
    expect(guest.port.available).toBe(1);
  });

  it.each(['input', 'output'] as const)('needs a reset after %s outside RAM, and loses no input', way => {
    const guest = new Guest();
    guest.port.room = 10;
    guest.port.type(Uint8Array.of(1, 2, 3));
    const outside = { address: guestPhys(RAM_BASE - 100), length: 8 };
    if (way === 'input') guest.input.add([], [outside]);
    else guest.output.add([outside], []);
    guest[way].kick();
    expect(guest.errors.reports).toEqual(['console0: Buffer is outside RAM']);
    expect(guest.driver.status & STATUS.NEEDS_RESET).toBe(STATUS.NEEDS_RESET);
    guest.device.poll();
    guest.restart();
    const buffer = guest.driver.range(8);
    guest.input.add([], [buffer]);
    guest.input.kick();
    expect([...guest.driver.take(buffer).subarray(0, 3)]).toEqual([1, 2, 3]);
    guest.print(Uint8Array.of(7));
    expect(guest.port.printed).toEqual([7]);
    expect(guest.parts.memory.pinnedPages).toBe(0);
  });

  it('refuses a state whose held output cannot be', () => {
    const guest = new Guest();
    guest.port.room = 4;
    guest.print(pattern(10, 1));
    const state = guest.device.save();
    expect(state.held).toMatchObject({ done: 4 });
    const held = state.held!;
    for (const change of [{ done: 10 }, { done: 11 }, { ranges: [], done: 0 }, { head: 64 }]) {
      expect(() => VirtioConsole.restore(guest.parts, { ...state, held: { ...held, ...change } })).toThrow(/damaged/);
    }
  });
});
