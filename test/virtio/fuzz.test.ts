/**
 * Hostile drivers: random descriptors, rings, registers and memory, then proof that the device still works. A failure
 * names its seed; AFTERIMAGE_FUZZ_SEED=<seed> AFTERIMAGE_FUZZ_CASES=1 replays just that case, and more cases make a
 * longer run.
 */
import { expect, it } from 'vitest';
import { type GuestPhys, guestPhys } from '../../engine/base/addresses.ts';
import type { MmioDevice } from '../../engine/devices/device.ts';
import { VirtioBlock } from '../../engine/devices/virtio/block/device.ts';
import { RESULT, TYPE } from '../../engine/devices/virtio/block/protocol.ts';
import { blockSection } from '../../engine/devices/virtio/block/state.ts';
import { VirtioConsole } from '../../engine/devices/virtio/console/device.ts';
import { consoleSection } from '../../engine/devices/virtio/console/state.ts';
import { VirtioRng } from '../../engine/devices/virtio/rng/device.ts';
import { rngSection } from '../../engine/devices/virtio/rng/state.ts';
import { REGISTER, STATUS } from '../../engine/devices/virtio/transport/registers.ts';
import { decode, encode, type Saves, type Section } from '../../engine/state/section.ts';
import { Random } from '../contract/random.ts';
import { ScriptedBackend } from './backend.ts';
import { type DriverQueue, Surroundings, TestDriver } from './driver.ts';
import { FakeMemory, RAM_BASE } from './memory.ts';
import { TestPort } from './port.ts';

const cases = Number(process.env.AFTERIMAGE_FUZZ_CASES ?? 7000);
const firstSeed = Number(process.env.AFTERIMAGE_FUZZ_SEED ?? 1);

const PAGES = 64;
const END = RAM_BASE + PAGES * 4096;
const DISK = 512 * 512;
// One register write or poll: the chains of one visit, each as long as it may be and spread over all of memory.
const MOST_WORK = 4 * 256 * 260 * 4;

/** One device under attack: what it has behind it, and a request that must succeed after a reset. */
interface Target {
  readonly device: MmioDevice;
  readonly queues: number;
  /** Something happens on the host's side. */
  disturb(random: Random): void;
  /** Puts the device through its own saved state. */
  reload(): void;
  /** Ends what the host still has in hand. */
  settle(): void;
  prove(driver: TestDriver, queues: readonly DriverQueue[]): void;
}

type Make = (memory: FakeMemory, surroundings: Surroundings) => Target;

function reloaded<S, D extends Saves<S>>(device: D, section: Section<S>, restore: (state: S) => D): D {
  return restore(decode(section, encode(section, device.save())));
}

const block: Make = (memory, surroundings) => {
  const backend = new ScriptedBackend(memory, DISK);
  const parts = { name: 'block', memory, irq: surroundings, errors: surroundings, backend, serial: 'x' };
  let device = new VirtioBlock(parts);
  return {
    get device() {
      return device;
    },
    queues: 1,
    disturb(random) {
      backend.immediate = random.below(8) === 0;
      const status = random.pick(['ok', 'ok', 'io-error', 'unsupported'] as const);
      if (backend.waiting.length > 0) backend.complete(random.below(backend.waiting.length), status);
    },
    reload() {
      for (const { request } of backend.waiting.splice(0)) memory.unpin(request.segments);
      device = reloaded(device, blockSection, state => VirtioBlock.restore(parts, state));
      for (const { id } of device.inFlight) {
        if (id % 2 === 0) device.settle(id, 'ok');
        else device.reissue(id);
      }
    },
    settle() {
      backend.immediate = false;
      backend.completeAll();
      expect(device.outstanding).toBe(0);
    },
    prove(driver, [queue]) {
      const header = driver.range(16);
      driver.put(header, Uint8Array.of(TYPE.IN, 0, 0, 0, 0, 0, 0, 0, 9));
      const answer = driver.range(1025);
      backend.content.fill(0x5a, 9 * 512, 11 * 512);
      queue!.add([header], [answer]);
      queue!.kick();
      backend.completeAll();
      expect(queue!.collect()).toMatchObject([{ written: 1025 }]);
      expect(driver.take(answer)).toEqual(new Uint8Array(1025).fill(0x5a, 0, 1024).fill(RESULT.OK, 1024));
    },
  };
};

const rng: Make = (memory, surroundings) => {
  const parts = {
    name: 'rng',
    memory,
    irq: surroundings,
    errors: surroundings,
    entropy: (into: Uint8Array) => into.fill(0xa5),
  };
  let device = new VirtioRng(parts);
  return {
    get device() {
      return device;
    },
    queues: 1,
    disturb: () => {},
    reload() {
      device = reloaded(device, rngSection, state => VirtioRng.restore(parts, state));
    },
    settle: () => {},
    prove(driver, [queue]) {
      const answer = driver.range(40);
      queue!.add([], [answer]);
      queue!.kick();
      expect(queue!.collect()).toMatchObject([{ written: 40 }]);
      expect(driver.take(answer)).toEqual(new Uint8Array(40).fill(0xa5));
    },
  };
};

const consoleDevice: Make = (memory, surroundings) => {
  const port = new TestPort();
  const parts = { name: 'console', memory, irq: surroundings, errors: surroundings, port };
  let device = new VirtioConsole(parts);
  return {
    get device() {
      return device;
    },
    queues: 2,
    disturb(random) {
      if (random.below(2) === 0) port.type(new Uint8Array(random.below(600)).fill(1));
      if (random.below(2) === 0) port.room = random.below(3000);
      if (random.below(8) === 0) device.resize(random.below(300), random.below(300));
      device.poll();
    },
    reload() {
      device = reloaded(device, consoleSection, state => VirtioConsole.restore(parts, state));
    },
    settle() {
      port.read(new Uint8Array(port.available));
      port.printed.length = 0;
    },
    prove(driver, [input, output]) {
      port.room = 100;
      const line = driver.range(5);
      driver.put(line, Uint8Array.of(1, 2, 3, 4, 5));
      output!.add([line], []);
      output!.kick();
      expect(port.printed).toEqual([1, 2, 3, 4, 5]);
      const buffer = driver.range(64);
      input!.add([], [buffer]);
      input!.kick();
      port.type(Uint8Array.of(9, 8));
      device.poll();
      expect(input!.collect()).toMatchObject([{ written: 2 }]);
      expect(output!.collect()).toHaveLength(1);
    },
  };
};

/** Numbers of what a run met, so that a fuzz that no longer reaches anything is noticed. */
const met = { stopped: 0, healthy: 0, interrupted: 0 };

class Attack {
  readonly #random: Random;
  readonly #memory: FakeMemory;
  readonly #target: Target;
  readonly #driver: TestDriver;
  readonly #queues: readonly DriverQueue[];

  constructor(random: Random, memory: FakeMemory, target: Target) {
    this.#random = random;
    this.#memory = memory;
    this.#target = target;
    this.#driver = new TestDriver(target.device, memory, {
      indirect: random.below(2) === 0,
      eventIndex: random.below(2) === 0,
      queueSize: 2 ** random.below(7),
    });
    this.#queues = this.#driver.start(target.queues);
    // Block headers that lead somewhere, at an address that descriptors like to use.
    for (let slot = 0; slot < 16; slot += 1) {
      const type = random.pick([TYPE.IN, TYPE.OUT, TYPE.FLUSH, TYPE.GET_ID, TYPE.DISCARD, TYPE.WRITE_ZEROES, 99]);
      memory.write(
        guestPhys(END - 4096 + slot * 16),
        Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, random.below(256), random.below(3), 0, 0, 0, 0, 0, 0),
      );
    }
  }

  run(): void {
    // Most devices stop at the first offence, so the first steps matter most and many steps add little.
    for (let steps = 1 + this.#random.below(24); steps > 0; steps -= 1) {
      const before = this.#memory.work;
      this.#step();
      const work = this.#memory.work - before;
      if (work > MOST_WORK) throw new Error(`One step did ${work} accesses`);
    }
  }

  #step(): void {
    const random = this.#random;
    const queue = random.pick(this.#queues);
    switch (random.below(12)) {
      case 0:
        this.#descriptor(queue.descriptors, random.below(queue.size + 1));
        return;
      case 1:
        for (let at = 0; at < 8; at += 1) this.#descriptor(guestPhys(END - 8192), at);
        this.#write(queue.descriptors, random.below(queue.size), END - 8192, 16 * (1 + random.below(8)), 4, 0);
        return;
      case 2:
      case 3:
        this.#plausible(queue);
        return;
      case 4:
        queue.offer(random.below(3) === 0 ? random.below(0x10000) : random.below(queue.size));
        queue.notify();
        return;
      case 5:
        if (random.below(4) === 0) queue.setAvailableIndex(random.below(0x10000));
        queue.notify();
        return;
      case 6:
        this.#register();
        return;
      case 7:
        this.#corrupt(queue);
        return;
      case 8:
        this.#target.reload();
        Object.defineProperty(this.#driver, 'device', { value: this.#target.device });
        return;
      case 9:
        this.#driver.acknowledge();
        return;
      default:
        this.#target.disturb(random);
    }
  }

  #address(): number {
    const random = this.#random;
    const place = random.pick([
      RAM_BASE,
      END - 4096,
      END - 8192,
      END - 1,
      END,
      0,
      2 ** 32 - 8,
      2 ** 53 - 16,
      2 ** 53,
      2 ** 63,
      ...this.#queues.flatMap(queue => [queue.descriptors, queue.available, queue.used]),
    ]);
    return random.below(2) === 0 ? place : place + random.below(64) * 16;
  }

  #length(): number {
    return this.#random.pick([0, 1, 2, 15, 16, 17, 32, 512, 513, 1024, 4096, 65536, 2 ** 31, 2 ** 32 - 1]);
  }

  #descriptor(table: GuestPhys, at: number): void {
    const random = this.#random;
    this.#write(table, at, this.#address(), this.#length(), random.below(8), random.below(10));
  }

  #write(table: GuestPhys, at: number, address: number, length: number, flags: number, next: number): void {
    this.#queues[0]!.writeDescriptor(table, at, { address: guestPhys(address), length }, flags, next);
  }

  /** A chain that is right or nearly: header, data, status. */
  #plausible(queue: DriverQueue): void {
    const random = this.#random;
    const parts = 1 + random.below(4);
    const first = random.below(queue.size);
    const writableFrom = random.below(parts + 1);
    for (let part = 0; part < parts; part += 1) {
      const at = (first + part) % queue.size;
      const header = part === 0 && random.below(4) > 0;
      const inside = RAM_BASE + 0x8000 + random.below(0x20000);
      const address = header ? END - 4096 + random.below(16) * 16 : random.below(8) > 0 ? inside : this.#address();
      const length = header ? 16 : random.below(4) > 0 ? random.pick([1, 512, 1024, 4096]) : this.#length();
      const flags = (part + 1 < parts ? 1 : 0) + (part >= writableFrom ? 2 : 0);
      this.#write(queue.descriptors, at, address, length, flags, (at + 1) % queue.size);
    }
    queue.offer(first);
    if (random.below(3) > 0) queue.notify();
  }

  #register(): void {
    const random = this.#random;
    for (let count = 1 + random.below(4); count > 0; count -= 1) {
      const offset = random.below(4) > 0 ? random.pick(Object.values(REGISTER)) : random.below(0x1000);
      const width = random.below(4) > 0 ? 4 : random.pick([1, 2, 8] as const);
      const value = random.pick([0, 1, 2, 4, 8, 15, 64, 255, 256, RAM_BASE, 0xffffffff, random.word()]);
      if (random.below(3) === 0) this.#target.device.read(offset, width);
      else this.#target.device.write(offset, width, width === 8 ? value : value % 2 ** (8 * width));
    }
  }

  #corrupt(queue: DriverQueue): void {
    const random = this.#random;
    const base = random.pick([queue.descriptors, queue.available, queue.used, END - 4096]);
    for (let count = 1 + random.below(8); count > 0; count -= 1) {
      this.#memory.write(guestPhys(base + random.below(128)), Uint8Array.of(random.below(256)));
    }
  }
}

function attack(make: Make, memory: FakeMemory, seed: number): void {
  const surroundings = new Surroundings();
  memory.machine.fill(0);
  const target = make(memory, surroundings);
  new Attack(new Random(seed), memory, target).run();
  const stopped = (target.device.read(REGISTER.STATUS, 4) & STATUS.NEEDS_RESET) !== 0;
  if (stopped && surroundings.errorCount === 0) throw new Error('Device stopped without a report');
  met[stopped ? 'stopped' : 'healthy'] += 1;
  if (surroundings.rises > 0) met.interrupted += 1;

  target.device.write(REGISTER.STATUS, 4, 0);
  target.settle();
  if (memory.pinnedPages !== 0) throw new Error(`${memory.pinnedPages} pages are still pinned`);
  expect(surroundings.level).toBe(false);
  const driver = new TestDriver(target.device, memory, { eventIndex: seed % 2 === 0, indirect: seed % 3 === 0 });
  const errors = surroundings.errorCount;
  target.prove(driver, driver.start(target.queues));
  expect(surroundings.errorCount).toBe(errors);
  expect(surroundings.level).toBe(true);
  if (memory.pinnedPages !== 0) throw new Error(`${memory.pinnedPages} pages are still pinned at the end`);
}

it.each([
  ['virtio-blk', block],
  ['virtio-rng', rng],
  ['virtio-console', consoleDevice],
] as const)(
  '%s survives hostile drivers and works after a reset',
  (name, make) => {
    console.log(`${name}: seeds ${firstSeed} to ${firstSeed + cases - 1}`);
    const memory = new FakeMemory(PAGES, 3);
    met.stopped = 0;
    met.healthy = 0;
    met.interrupted = 0;
    for (let seed = firstSeed; seed < firstSeed + cases; seed += 1) {
      try {
        attack(make, memory, seed);
      } catch (error) {
        throw new Error(`${name}, seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
    if (cases < 1000) return;
    // Both ends of the scale are reached, or the attack has gone blunt.
    expect(met.stopped).toBeGreaterThan(cases / 5);
    expect(met.healthy).toBeGreaterThan(cases / 20);
    expect(met.interrupted).toBeGreaterThan(cases / 20);
  },
  // Longer runs are asked for by hand.
  Math.max(60_000, cases * 20),
);
