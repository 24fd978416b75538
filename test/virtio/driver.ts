// The driver's side of virtio-mmio and split queues, as a guest's kernel plays it (virtio 1.2, sections 2.7, 3.1, 4.2).
import { type GuestPhys, guestPhys } from '../../engine/base/addresses.ts';
import type { GuestErrors, IrqLine, MmioDevice } from '../../engine/devices/device.ts';
import type { GuestRange } from '../../engine/devices/virtio/queue/chain.ts';
import {
  INTERRUPT,
  REGISTER,
  RING_EVENT_INDEX,
  RING_INDIRECT,
  STATUS,
} from '../../engine/devices/virtio/transport/registers.ts';
import { type FakeMemory, RAM_BASE } from './memory.ts';

/** The machine around a device: its interrupt line and the count of guest errors. */
export class Surroundings implements IrqLine, GuestErrors {
  level = false;
  rises = 0;
  readonly reports: string[] = [];
  #count = 0;

  get errorCount(): number {
    return this.#count;
  }

  set(level: boolean): void {
    if (level && !this.level) this.rises += 1;
    this.level = level;
  }

  report(device: string, what: string): void {
    this.#count += 1;
    // A hostile run reports without end.
    if (this.reports.length < 100) this.reports.push(`${device}: ${what}`);
  }
}

export interface DriverOptions {
  readonly indirect?: boolean;
  readonly eventIndex?: boolean;
  /** Device-specific features to accept; all that are offered unless said. */
  readonly features?: number;
  readonly queueSize?: number;
}

export interface Used {
  readonly head: number;
  readonly written: number;
}

export class TestDriver {
  readonly device: MmioDevice;
  readonly memory: FakeMemory;
  readonly queues: DriverQueue[] = [];
  readonly indirect: boolean;
  readonly eventIndex: boolean;
  readonly #options: DriverOptions;
  #next = RAM_BASE;

  constructor(device: MmioDevice, memory: FakeMemory, options: DriverOptions = {}) {
    this.device = device;
    this.memory = memory;
    this.#options = options;
    this.indirect = options.indirect ?? false;
    this.eventIndex = options.eventIndex ?? false;
  }

  get(register: number): number {
    return this.device.read(register, 4);
  }

  set(register: number, value: number): void {
    this.device.write(register, 4, value);
  }

  get status(): number {
    return this.get(REGISTER.STATUS);
  }

  /** Guest memory that nobody else in this test uses; a page boundary lies inside whenever it is long enough. */
  allocate(length: number, alignment = 16): GuestPhys {
    const at = Math.ceil(this.#next / alignment) * alignment;
    this.#next = at + length;
    if (this.#next > RAM_BASE + this.memory.size) throw new Error('Test memory is full');
    return guestPhys(at);
  }

  /** Steps 1 to 6 of section 3.1.1: up to FEATURES_OK, which is refused when the status says so. */
  negotiate(): void {
    this.set(REGISTER.STATUS, 0);
    this.set(REGISTER.STATUS, STATUS.ACKNOWLEDGE);
    this.set(REGISTER.STATUS, STATUS.ACKNOWLEDGE | STATUS.DRIVER);
    this.set(REGISTER.DEVICE_FEATURES_SELECT, 1);
    const high = this.get(REGISTER.DEVICE_FEATURES);
    this.set(REGISTER.DEVICE_FEATURES_SELECT, 0);
    const offered = this.get(REGISTER.DEVICE_FEATURES);
    let low = offered & (this.#options.features ?? 0xffffff);
    if (this.indirect) low += offered & RING_INDIRECT;
    if (this.eventIndex) low += offered & RING_EVENT_INDEX;
    this.set(REGISTER.DRIVER_FEATURES_SELECT, 1);
    this.set(REGISTER.DRIVER_FEATURES, high & 1);
    this.set(REGISTER.DRIVER_FEATURES_SELECT, 0);
    this.set(REGISTER.DRIVER_FEATURES, low >>> 0);
    this.set(REGISTER.STATUS, this.status | STATUS.FEATURES_OK);
  }

  addQueue(): DriverQueue {
    const queue = new DriverQueue(this, this.queues.length, this.#options.queueSize);
    this.queues.push(queue);
    return queue;
  }

  /** The whole set-up with `count` queues. Forgets queues of a former life. */
  start(count: number): readonly DriverQueue[] {
    this.queues.length = 0;
    this.negotiate();
    if ((this.status & STATUS.FEATURES_OK) === 0) throw new Error('Features were refused');
    for (let index = 0; index < count; index += 1) this.addQueue();
    this.set(REGISTER.STATUS, this.status | STATUS.DRIVER_OK);
    return this.queues;
  }

  /** What a driver's interrupt handler does first. */
  acknowledge(): { used: boolean; config: boolean } {
    const status = this.get(REGISTER.INTERRUPT_STATUS);
    this.set(REGISTER.INTERRUPT_ACK, status);
    return { used: (status & INTERRUPT.USED_BUFFER) !== 0, config: (status & INTERRUPT.CONFIG) !== 0 };
  }

  range(length: number): GuestRange {
    return { address: this.allocate(length), length };
  }

  put(range: GuestRange, bytes: Uint8Array): void {
    if (!this.memory.write(range.address, bytes)) throw new Error('Test wrote outside its memory');
  }

  take(range: GuestRange): Uint8Array {
    const bytes = new Uint8Array(range.length);
    if (!this.memory.read(range.address, bytes)) throw new Error('Test read outside its memory');
    return bytes;
  }
}

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

/** One queue as the driver sees it. */
export class DriverQueue {
  readonly index: number;
  readonly size: number;
  readonly descriptors: GuestPhys;
  readonly available: GuestPhys;
  readonly used: GuestPhys;
  readonly #driver: TestDriver;
  readonly #free: number[] = [];
  /** Descriptors of each chain that the device has, by head. */
  readonly #chains = new Map<number, number[]>();
  #availableIndex = 0;
  #kicked = 0;
  #seen = 0;

  constructor(driver: TestDriver, index: number, size?: number) {
    this.index = index;
    this.#driver = driver;
    driver.set(REGISTER.QUEUE_SELECT, index);
    if (driver.get(REGISTER.QUEUE_READY) !== 0) throw new Error('Queue is in use already');
    this.size = size ?? driver.get(REGISTER.QUEUE_SIZE_MAX);
    this.descriptors = driver.allocate(16 * this.size, 16);
    this.available = driver.allocate(6 + 2 * this.size, 2);
    this.used = driver.allocate(6 + 8 * this.size, 4);
    for (const [at, length] of [
      [this.descriptors, 16 * this.size],
      [this.available, 6 + 2 * this.size],
      [this.used, 6 + 8 * this.size],
    ] as const) {
      driver.memory.write(at, new Uint8Array(length));
    }
    driver.set(REGISTER.QUEUE_SIZE, this.size);
    for (const [low, address] of [
      [REGISTER.DESCRIPTORS_LOW, this.descriptors],
      [REGISTER.DRIVER_LOW, this.available],
      [REGISTER.DEVICE_LOW, this.used],
    ] as const) {
      driver.set(low, address % 2 ** 32);
      driver.set(low + 4, Math.floor(address / 2 ** 32));
    }
    driver.set(REGISTER.QUEUE_READY, 1);
    for (let descriptor = this.size - 1; descriptor >= 0; descriptor -= 1) this.#free.push(descriptor);
  }

  get freeDescriptors(): number {
    return this.#free.length;
  }

  get outstanding(): number {
    return this.#chains.size;
  }

  /** Adds a chain without telling the device; returns its head. */
  add(readable: readonly GuestRange[], writable: readonly GuestRange[]): number {
    const segments = [
      ...readable.map(range => ({ range, flags: 0 })),
      ...writable.map(range => ({ range, flags: WRITE })),
    ];
    const taken: number[] = [];
    if (this.#driver.indirect && segments.length > 1) {
      const table = this.#driver.allocate(16 * segments.length);
      for (const [at, { range, flags }] of segments.entries()) {
        const last = at === segments.length - 1;
        this.writeDescriptor(table, at, range, last ? flags : flags | NEXT, last ? 0 : at + 1);
      }
      taken.push(this.#claim());
      const whole = { address: table, length: 16 * segments.length };
      this.writeDescriptor(this.descriptors, taken[0]!, whole, INDIRECT, 0);
    } else {
      for (const _ of segments) taken.push(this.#claim());
      for (const [at, { range, flags }] of segments.entries()) {
        const next = taken[at + 1];
        this.writeDescriptor(this.descriptors, taken[at]!, range, next === undefined ? flags : flags | NEXT, next ?? 0);
      }
    }
    const head = taken[0]!;
    this.#chains.set(head, taken);
    this.offer(head);
    return head;
  }

  /** Puts a head into the available ring, whatever it is. */
  offer(head: number): void {
    const { memory } = this.#driver;
    memory.writeU16(guestPhys(this.available + 4 + 2 * (this.#availableIndex % this.size)), head);
    this.setAvailableIndex(this.#availableIndex + 1);
  }

  setAvailableIndex(index: number): void {
    this.#availableIndex = index & 0xffff;
    this.#driver.memory.writeU16(guestPhys(this.available + 2), this.#availableIndex);
  }

  /** Notifies the device if it wants that (sections 2.7.10, 2.7.13.3.1); true when it did. */
  kick(): boolean {
    const { memory, eventIndex } = this.#driver;
    const before = this.#kicked;
    const now = this.#availableIndex;
    this.#kicked = now;
    if (before === now) return false;
    if (eventIndex) {
      const event = memory.readU16(guestPhys(this.used + 4 + 8 * this.size))!;
      if (((now - event - 1) & 0xffff) >= ((now - before) & 0xffff)) return false;
    }
    this.notify();
    return true;
  }

  notify(): void {
    this.#driver.set(REGISTER.QUEUE_NOTIFY, this.index);
  }

  /** Asks for an interrupt at the `count`th chain from what was collected, with the event index; 1 is the next. */
  wantInterruptAt(count: number): void {
    this.#driver.memory.writeU16(guestPhys(this.available + 4 + 2 * this.size), (this.#seen + count - 1) & 0xffff);
  }

  /** Without the event index: whether interrupts are wanted at all. */
  suppressInterrupts(suppress: boolean): void {
    this.#driver.memory.writeU16(this.available, suppress ? 1 : 0);
  }

  /** What the device returned since the last call, in its order; each must be a chain that it had. */
  collect(): Used[] {
    const { memory } = this.#driver;
    const index = memory.readU16(guestPhys(this.used + 2))!;
    const result: Used[] = [];
    for (; this.#seen !== index; this.#seen = (this.#seen + 1) & 0xffff) {
      const at = this.used + 4 + 8 * (this.#seen % this.size);
      const head = memory.readU32(guestPhys(at))!;
      const written = memory.readU32(guestPhys(at + 4))!;
      const descriptors = this.#chains.get(head);
      if (descriptors === undefined) throw new Error(`Device returned chain ${head}, which it did not have`);
      this.#chains.delete(head);
      this.#free.push(...descriptors);
      result.push({ head, written });
    }
    if (this.#driver.eventIndex) this.wantInterruptAt(1);
    return result;
  }

  writeDescriptor(table: GuestPhys, at: number, range: GuestRange, flags: number, next: number): void {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, range.address % 2 ** 32, true);
    view.setUint32(4, Math.floor(range.address / 2 ** 32), true);
    view.setUint32(8, range.length, true);
    view.setUint16(12, flags, true);
    view.setUint16(14, next, true);
    this.#driver.memory.write(guestPhys(table + 16 * at), bytes);
  }

  #claim(): number {
    const descriptor = this.#free.pop();
    if (descriptor === undefined) throw new Error('Queue is full');
    return descriptor;
  }
}
