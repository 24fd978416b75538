import { VirtioBlock } from '../../engine/devices/virtio/block/device.ts';
import { TYPE } from '../../engine/devices/virtio/block/protocol.ts';
import { type GuestRange, sliceRanges } from '../../engine/devices/virtio/queue/chain.ts';
import { ScriptedBackend } from './backend.ts';
import { type DriverOptions, type DriverQueue, Surroundings, TestDriver, type Used } from './driver.ts';
import { FakeMemory } from './memory.ts';

export interface Asked {
  readonly head: number;
  readonly data: GuestRange;
  readonly status: GuestRange;
}

const UNTOUCHED = 0xee;

/** A guest's block driver on its own memory, with the device and a scripted disk behind it. */
export class BlockDriver {
  readonly surroundings = new Surroundings();
  readonly memory: FakeMemory;
  readonly backend: ScriptedBackend;
  device: VirtioBlock;
  driver: TestDriver;
  queue: DriverQueue;
  readonly #options: DriverOptions;

  constructor(options: DriverOptions & { sectors?: number; readonly?: boolean; pages?: number } = {}) {
    this.#options = options;
    this.memory = new FakeMemory(options.pages ?? 256, 7);
    this.backend = new ScriptedBackend(this.memory, (options.sectors ?? 2048) * 512, options.readonly);
    this.device = new VirtioBlock(this.parts);
    this.driver = new TestDriver(this.device, this.memory, options);
    this.queue = this.driver.start(1)[0]!;
  }

  get parts() {
    const { memory, backend, surroundings } = this;
    return { name: 'disk0', memory, irq: surroundings, errors: surroundings, backend, serial: 'afterimage-0' };
  }

  /** A new life: resets the device and sets it up from the start of memory. */
  restart(): void {
    this.driver = new TestDriver(this.device, this.memory, this.#options);
    this.queue = this.driver.start(1)[0]!;
  }

  /** Replaces the device by one restored from its own state, in place. What the disk had of the former is gone. */
  restore(): void {
    for (const { request } of this.backend.waiting.splice(0)) this.memory.unpin(request.segments);
    this.device = VirtioBlock.restore(this.parts, this.device.save());
    // The queue object talks to the device through its driver.
    Object.defineProperty(this.driver, 'device', { value: this.device });
  }

  /** Adds a request; `data` bytes are cut into descriptors of at most `cut` bytes. */
  add(type: number, sector: number, data: number | Uint8Array, cut = 4096): Asked {
    const header = this.driver.range(16);
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, type, true);
    view.setBigUint64(8, BigInt(sector), true);
    this.driver.put(header, bytes);
    const status = this.driver.range(1);
    this.driver.put(status, Uint8Array.of(UNTOUCHED));
    const length = typeof data === 'number' ? data : data.length;
    const range = this.driver.range(length);
    if (typeof data !== 'number') this.driver.put(range, data);
    const pieces: GuestRange[] = [];
    for (let at = 0; at < length; at += cut) pieces.push(...sliceRanges([range], at, cut));
    const reads = type === TYPE.IN || type === TYPE.GET_ID;
    const head = reads ? this.queue.add([header], [...pieces, status]) : this.queue.add([header, ...pieces], [status]);
    return { head, data: range, status };
  }

  /** Adds, notifies, lets the disk finish everything and returns the status byte. */
  run(
    type: number,
    sector: number,
    data: number | Uint8Array = 0,
    cut?: number,
  ): { status: number; used: Used; data: Uint8Array } {
    const asked = this.add(type, sector, data, cut);
    this.queue.kick();
    this.backend.completeAll();
    const used = this.queue.collect().find(({ head }) => head === asked.head);
    if (used === undefined) throw new Error(`Request did not complete: ${this.surroundings.reports.join('; ')}`);
    return { status: this.status(asked), used, data: this.driver.take(asked.data) };
  }

  /** The request's status byte, undefined while the device has not written it. */
  status(asked: Asked): number {
    return this.driver.take(asked.status)[0]!;
  }

  pending(asked: Asked): boolean {
    return this.status(asked) === UNTOUCHED;
  }
}

export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) bytes[index] = (index * 31 + seed * 17 + (index >> 8)) & 0xff;
  return bytes;
}
