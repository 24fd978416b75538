import { type GuestPhys, machineAddress, PAGE_SIZE } from '../../engine/base/addresses.ts';
import type { GuestMemory, MemorySegment } from '../../engine/memory/guest-memory.ts';
import { Random } from '../contract/random.ts';

/** Where guest RAM begins, as in the real machine. */
export const RAM_BASE = 0x80000000;

/**
 * Guest memory in one array. With a seed, guest pages lie in frames in random order, so that a guest range is not one
 * machine range. Counts pins, and refuses to unpin what is not pinned.
 */
export class FakeMemory implements GuestMemory {
  readonly size: number;
  readonly machine: Uint8Array<ArrayBuffer>;
  readonly #frames: Uint32Array;
  readonly #view: DataView;
  readonly #pins = new Map<number, number>();
  /** Pages pinned for a device to write, since the test last cleared it. */
  readonly preparedPages = new Set<number>();
  /** Calls and pages visited by them: a measure of work. */
  work = 0;

  constructor(pages: number, seed?: number) {
    this.size = pages * PAGE_SIZE;
    this.machine = new Uint8Array(this.size);
    this.#view = new DataView(this.machine.buffer);
    this.#frames = Uint32Array.from({ length: pages }, (_, page) => page);
    if (seed === undefined) return;
    const random = new Random(seed);
    for (let page = pages - 1; page > 0; page -= 1) {
      const other = random.below(page + 1);
      const frame = this.#frames[page]!;
      this.#frames[page] = this.#frames[other]!;
      this.#frames[other] = frame;
    }
  }

  /** Pages with at least one pin. */
  get pinnedPages(): number {
    return this.#pins.size;
  }

  read(at: GuestPhys, into: Uint8Array): boolean {
    return this.#each(at, into.length, (machine, done, length) => {
      into.set(this.machine.subarray(machine, machine + length), done);
    });
  }

  write(at: GuestPhys, from: Uint8Array): boolean {
    return this.#each(at, from.length, (machine, done, length) => {
      this.machine.set(from.subarray(done, done + length), machine);
    });
  }

  readU16(at: GuestPhys): number | undefined {
    const place = this.#place(at, 2);
    return place === undefined ? undefined : this.#view.getUint16(place, true);
  }

  readU32(at: GuestPhys): number | undefined {
    const place = this.#place(at, 4);
    return place === undefined ? undefined : this.#view.getUint32(place, true);
  }

  readU64(at: GuestPhys): number | undefined {
    const place = this.#place(at, 8);
    if (place === undefined) return undefined;
    const value = Number(this.#view.getBigUint64(place, true));
    return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
  }

  writeU16(at: GuestPhys, value: number): boolean {
    const place = this.#place(at, 2);
    if (place !== undefined) this.#view.setUint16(place, value, true);
    return place !== undefined;
  }

  writeU32(at: GuestPhys, value: number): boolean {
    const place = this.#place(at, 4);
    if (place !== undefined) this.#view.setUint32(place, value, true);
    return place !== undefined;
  }

  pin(at: GuestPhys, length: number, purpose: 'device-reads' | 'device-writes'): MemorySegment[] | undefined {
    const segments: { address: number; length: number }[] = [];
    const inside = this.#each(at, length, (machine, _done, part) => {
      const last = segments.at(-1);
      if (last !== undefined && last.address + last.length === machine) last.length += part;
      else segments.push({ address: machine, length: part });
    });
    if (!inside) return undefined;
    const result = segments.map(segment => ({
      address: machineAddress(segment.address),
      length: segment.length,
    }));
    for (const frame of this.#framesOf(result)) this.#pins.set(frame, (this.#pins.get(frame) ?? 0) + 1);
    if (purpose === 'device-writes') {
      for (const frame of this.#framesOf(result)) this.preparedPages.add(frame);
    }
    return result;
  }

  unpin(segments: readonly MemorySegment[]): void {
    for (const frame of this.#framesOf(segments)) {
      const count = this.#pins.get(frame);
      if (count === undefined) throw new Error(`Frame ${frame} is not pinned`);
      if (count === 1) this.#pins.delete(frame);
      else this.#pins.set(frame, count - 1);
    }
  }

  bytes(segment: MemorySegment): Uint8Array {
    for (const frame of this.#framesOf([segment])) {
      if (!this.#pins.has(frame)) throw new Error(`Frame ${frame} is used without being pinned`);
    }
    return this.machine.subarray(segment.address, segment.address + segment.length);
  }

  *#framesOf(segments: readonly MemorySegment[]): Iterable<number> {
    for (const { address, length } of segments) {
      const last = Math.floor((address + length - 1) / PAGE_SIZE);
      for (let frame = Math.floor(address / PAGE_SIZE); frame <= last; frame += 1) yield frame;
    }
  }

  #each(at: number, length: number, visit: (machine: number, done: number, length: number) => void): boolean {
    const start = at - RAM_BASE;
    this.work += 1;
    if (!(start >= 0 && start + length <= this.size)) return false;
    for (let done = 0; done < length; ) {
      this.work += 1;
      const offset = (start + done) % PAGE_SIZE;
      const part = Math.min(PAGE_SIZE - offset, length - done);
      visit(this.#frames[(start + done - offset) / PAGE_SIZE]! * PAGE_SIZE + offset, done, part);
      done += part;
    }
    return true;
  }

  // Rings and fields of descriptors never cross a page in these tests.
  #place(at: number, width: number): number | undefined {
    const start = at - RAM_BASE;
    this.work += 1;
    if (!(start >= 0 && start + width <= this.size)) return undefined;
    const offset = start % PAGE_SIZE;
    if (offset + width > PAGE_SIZE) return undefined;
    return this.#frames[(start - offset) / PAGE_SIZE]! * PAGE_SIZE + offset;
  }
}
