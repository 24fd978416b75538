import {
  type GuestPhys,
  guestPhys,
  type MachineAddress,
  machineAddress,
  PAGE_SHIFT,
  PAGE_SIZE,
} from '../base/addresses.ts';
import type { GuestMemory, MemorySegment } from './guest-memory.ts';

/** Where frames are: the core's slow path, asked on the hart thread. Pages are counted from the start of RAM. */
export interface FrameSource {
  /** For reading. */
  frameOf(page: number): number;
  /** For writing: marks the page dirty, copies it when held, drops code cached from it. */
  frameForStore(page: number): number;
  /** A device has changed a frame's bytes: code decoded from them is out of date after the guest's next FENCE.I. */
  written?(frame: number): void;
}

export interface MachineMemoryParts {
  /** The whole shared WebAssembly.Memory. */
  readonly bytes: Uint8Array;
  readonly frames: FrameSource;
  /** Machine address of frame 0. */
  readonly framesAt: number;
  /** Guest-physical address and size of RAM in bytes. */
  readonly ramAt: GuestPhys;
  readonly ramSize: number;
  /** A count per frame of requests that are going to fill it, where other threads can see it (`Layout.DMA_PINS`). */
  readonly dmaPins?: Uint16Array;
}

/** Frames for the time of a read. */
export interface SpareFrames {
  takeSpare(): number | undefined;
  giveSpare(frame: number): void;
}

/** A read that is made again, for the pages that have left the frames of the first (C10). */
export interface ReadAgain {
  /** Where its bytes are to go: as many as in the first. */
  readonly segments: readonly MemorySegment[];
  /** To be called when it has ended, before the first is unpinned; after a failure the first's bytes count. */
  readonly ended: (succeeded: boolean) => void;
}

/** A pinned segment that a device is going to write. */
interface Landing {
  /** Guest-physical address. */
  readonly at: number;
  /** Frames that its pages have got since. */
  readonly copies: { readonly page: number; readonly frame: number }[];
  /** What the copies get instead of the segment's bytes. */
  again?: Uint8Array;
}

/** Guest RAM for devices and loaders, page by page through the frames. See GuestMemory for the rules. */
export class MachineMemory implements GuestMemory {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #frames: FrameSource;
  readonly #framesAt: number;
  readonly #ramAt: number;
  readonly #ramSize: number;
  /** How many requests hold a frame in place, by frame. */
  readonly #pins = new Map<number, number>();
  readonly #landings = new Map<MemorySegment, Landing>();
  readonly #dmaPins: Uint16Array | undefined;

  constructor(parts: MachineMemoryParts) {
    this.#bytes = parts.bytes;
    this.#view = new DataView(parts.bytes.buffer, parts.bytes.byteOffset, parts.bytes.byteLength);
    this.#frames = parts.frames;
    this.#framesAt = parts.framesAt;
    this.#ramAt = parts.ramAt;
    this.#ramSize = parts.ramSize;
    this.#dmaPins = parts.dmaPins;
  }

  /** Whether all of `[at, at + length)` is RAM. */
  contains(at: number, length: number): boolean {
    const offset = at - this.#ramAt;
    return offset >= 0 && length >= 0 && offset + length <= this.#ramSize;
  }

  isPinned(frame: number): boolean {
    return this.#pins.has(frame);
  }

  read(at: GuestPhys, into: Uint8Array): boolean {
    if (!this.contains(at, into.length)) return false;
    for (let done = 0; done < into.length; ) {
      const from = this.#forLoad(at + done);
      const length = Math.min(into.length - done, PAGE_SIZE - (from % PAGE_SIZE));
      into.set(this.#bytes.subarray(from, from + length), done);
      done += length;
    }
    return true;
  }

  write(at: GuestPhys, from: Uint8Array): boolean {
    if (!this.contains(at, from.length)) return false;
    for (let done = 0; done < from.length; ) {
      const to = this.#forStore(at + done);
      const length = Math.min(from.length - done, PAGE_SIZE - (to % PAGE_SIZE));
      this.#bytes.set(length === from.length ? from : from.subarray(done, done + length), to);
      done += length;
    }
    return true;
  }

  readU16(at: GuestPhys): number | undefined {
    if (!this.contains(at, 2)) return undefined;
    if (at % PAGE_SIZE > PAGE_SIZE - 2) return this.#readAcross(at, 2);
    return this.#view.getUint16(this.#forLoad(at), true);
  }

  readU32(at: GuestPhys): number | undefined {
    if (!this.contains(at, 4)) return undefined;
    if (at % PAGE_SIZE > PAGE_SIZE - 4) return this.#readAcross(at, 4);
    return this.#view.getUint32(this.#forLoad(at), true);
  }

  readU64(at: GuestPhys): number | undefined {
    if (!this.contains(at, 8)) return undefined;
    const low = this.readU32(at);
    const high = this.readU32(guestPhys(at + 4));
    if (low === undefined || high === undefined) return undefined;
    const value = high * 2 ** 32 + low;
    return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
  }

  writeU16(at: GuestPhys, value: number): boolean {
    if (!this.contains(at, 2)) return false;
    if (at % PAGE_SIZE > PAGE_SIZE - 2) return this.write(at, Uint8Array.of(value & 255, (value >>> 8) & 255));
    this.#view.setUint16(this.#forStore(at), value, true);
    return true;
  }

  writeU32(at: GuestPhys, value: number): boolean {
    if (!this.contains(at, 4)) return false;
    if (at % PAGE_SIZE > PAGE_SIZE - 4) {
      return this.write(at, Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24));
    }
    this.#view.setUint32(this.#forStore(at), value, true);
    return true;
  }

  pin(at: GuestPhys, length: number, purpose: 'device-reads' | 'device-writes'): MemorySegment[] | undefined {
    if (!this.contains(at, length)) return undefined;
    const segments: { address: MachineAddress; length: number }[] = [];
    for (let done = 0; done < length; ) {
      const from = purpose === 'device-writes' ? this.#forStore(at + done) : this.#forLoad(at + done);
      const part = Math.min(length - done, PAGE_SIZE - (from % PAGE_SIZE));
      const last = segments.at(-1);
      if (last !== undefined && last.address + last.length === from) last.length += part;
      else {
        const segment = { address: machineAddress(from), length: part };
        segments.push(segment);
        if (purpose === 'device-writes') this.#landings.set(segment, { at: at + done, copies: [] });
      }
      done += part;
    }
    for (const segment of segments) this.#count(segment, 1);
    return segments;
  }

  /**
   * Lets go of pinned segments, the objects that `pin` returned. What a device wrote is also in the frames that their
   * pages have got since: a checkpoint's original and the running machine's copy both have the result (C6, C10).
   */
  unpin(segments: readonly MemorySegment[]): void {
    for (const segment of segments) {
      const landing = this.#landings.get(segment);
      if (landing !== undefined) this.#land(segment, landing);
      this.#count(segment, -1);
      this.#landings.delete(segment);
    }
  }

  /** A page that a device is going to fill has left its frame: what arrives in the old one is to be copied to the new one. */
  follow(page: number, from: number, to: number): void {
    for (const [segment, { at, copies }] of this.#landings) {
      const offset = this.#ramAt + page * PAGE_SIZE - at;
      if (offset <= -PAGE_SIZE || offset >= segment.length) continue;
      const original = Math.floor((segment.address + offset - this.#framesAt) / PAGE_SIZE);
      if (original !== from && !copies.some(copy => copy.page === page && copy.frame === from)) continue;
      copies.push({ page, frame: to });
      this.#countFrame(to, 1, true);
    }
  }

  /**
   * Prepares reading once more what these pinned segments were filled with, when pages have left their frames since; what
   * they get then is that instead of a copy. Undefined when no page has, or no frame is free for it.
   */
  readAgain(segments: readonly MemorySegment[], spare: SpareFrames): ReadAgain | undefined {
    if (!segments.some(segment => (this.#landings.get(segment)?.copies.length ?? 0) > 0)) return undefined;
    const length = segments.reduce((sum, segment) => sum + segment.length, 0);
    const frames: number[] = [];
    const give = () => {
      for (const frame of frames) spare.giveSpare(frame);
    };
    while (frames.length * PAGE_SIZE < length) {
      const frame = spare.takeSpare();
      if (frame === undefined) {
        give();
        return undefined;
      }
      frames.push(frame);
    }
    const bounce = frames.map((frame, index): MemorySegment => {
      const address = machineAddress(this.#framesAt + frame * PAGE_SIZE);
      return { address, length: Math.min(PAGE_SIZE, length - index * PAGE_SIZE) };
    });
    const ended = (succeeded: boolean) => {
      if (succeeded) {
        const bytes = new Uint8Array(length);
        for (const [index, segment] of bounce.entries()) bytes.set(this.bytes(segment), index * PAGE_SIZE);
        let at = 0;
        for (const segment of segments) {
          const landing = this.#landings.get(segment);
          if (landing !== undefined) landing.again = bytes.subarray(at, at + segment.length);
          at += segment.length;
        }
      }
      give();
    };
    return { segments: bounce, ended };
  }

  bytes(segment: MemorySegment): Uint8Array {
    return this.#bytes.subarray(segment.address, segment.address + segment.length);
  }

  #land(segment: MemorySegment, { at, copies, again }: Landing): void {
    for (const { page, frame } of copies) {
      const pageAt = this.#ramAt + page * PAGE_SIZE;
      const start = Math.max(at, pageAt);
      const length = Math.min(at + segment.length, pageAt + PAGE_SIZE) - start;
      const from = start - at;
      const source = again ?? this.bytes(segment);
      this.#bytes.set(source.subarray(from, from + length), this.#framesAt + frame * PAGE_SIZE + start - pageAt);
      this.#frames.written?.(frame);
      this.#countFrame(frame, -1, true);
    }
    // The guest may have executed what was there before since the request began.
    for (const frame of this.#framesOf(segment)) this.#frames.written?.(frame);
  }

  #framesOf({ address, length }: MemorySegment): number[] {
    const first = (address - this.#framesAt) >>> PAGE_SHIFT;
    const last = (address + length - 1 - this.#framesAt) >>> PAGE_SHIFT;
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  }

  #count(segment: MemorySegment, change: number): void {
    const written = this.#landings.has(segment);
    for (const frame of this.#framesOf(segment)) this.#countFrame(frame, change, written);
  }

  #countFrame(frame: number, change: number, written: boolean): void {
    if (written && this.#dmaPins !== undefined) this.#dmaPins[frame] = this.#dmaPins[frame]! + change;
    const count = (this.#pins.get(frame) ?? 0) + change;
    if (count > 0) this.#pins.set(frame, count);
    else this.#pins.delete(frame);
  }

  #forLoad(at: number): number {
    const offset = at - this.#ramAt;
    return this.#framesAt + this.#frames.frameOf(Math.floor(offset / PAGE_SIZE)) * PAGE_SIZE + (offset % PAGE_SIZE);
  }

  #forStore(at: number): number {
    const offset = at - this.#ramAt;
    return (
      this.#framesAt + this.#frames.frameForStore(Math.floor(offset / PAGE_SIZE)) * PAGE_SIZE + (offset % PAGE_SIZE)
    );
  }

  #readAcross(at: GuestPhys, width: 2 | 4): number {
    const bytes = new Uint8Array(width);
    this.read(at, bytes);
    return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
  }
}
