import { type GuestPhys, guestPhys } from '../../../base/addresses.ts';
import type { GuestMemory } from '../../../memory/guest-memory.ts';
import { refuseState } from '../../../state/section.ts';
import { Chain } from './chain.ts';
import type { QueueState } from './state.ts';

/** Largest queue we offer, and so the longest chain: what Linux gets from other monitors too. */
export const LARGEST_QUEUE = 256;

const DESCRIPTOR_BYTES = 16;
const USED_BYTES = 8;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const NO_INTERRUPT = 1;
// Addresses from 2^53 on cannot be RAM and would not fit a number.
const HIGH_LIMIT = 2 ** 21;
const ADDRESS_LIMIT = 2 ** 53;
// Section 2.7.5.2: all buffers of one chain together.
const TOTAL_LIMIT = 2 ** 32;

export type QueueArea = 'descriptors' | 'driver' | 'device';
const AREAS: readonly QueueArea[] = ['descriptors', 'driver', 'device'];
const ALIGNMENT = { descriptors: 16, driver: 2, device: 4 } as const;

/**
 * A split virtqueue (virtio 1.2, section 2.7) in guest memory. Everything in it is hostile: what breaks the rules is
 * told to `fail` and yields nothing; the owner then stops every queue until the guest resets the device.
 */
export class SplitQueue {
  readonly maximum: number;
  readonly #memory: GuestMemory;
  readonly #fail: (what: string) => void;
  readonly #scratch = new Uint8Array(DESCRIPTOR_BYTES);
  readonly #view = new DataView(this.#scratch.buffer);
  readonly #usedEntry = this.#scratch.subarray(0, USED_BYTES);
  readonly #taken: Uint8Array;
  // Low and high words as the registers have them.
  readonly #words = { descriptors: [0, 0], driver: [0, 0], device: [0, 0] };

  #size: number;
  #ready = false;
  #stopped = false;
  #indirect = false;
  #eventIndex = false;
  #descriptors = 0;
  #driver = 0;
  #device = 0;
  #life = 0;
  #nextAvailable = 0;
  #used = 0;
  #signalled = 0;

  constructor(memory: GuestMemory, maximum: number, fail: (what: string) => void) {
    this.#memory = memory;
    this.maximum = maximum;
    this.#fail = fail;
    this.#size = maximum;
    this.#taken = new Uint8Array(maximum);
  }

  /** What the driver last wrote; a valid size once the queue is ready. */
  get size(): number {
    return this.#size;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Both setters are without effect while the queue is ready. */
  setSize(size: number): void {
    if (!this.#ready) this.#size = size;
  }

  setAddress(area: QueueArea, half: 0 | 1, word: number): void {
    if (!this.#ready) this.#words[area][half] = word;
  }

  /** What the driver accepted of the ring features. */
  negotiate(indirect: boolean, eventIndex: boolean): void {
    this.#indirect = indirect;
    this.#eventIndex = eventIndex;
  }

  /** Makes the queue usable from index 0. The result says what is wrong with its size or addresses, if anything. */
  enable(): string | undefined {
    const wrong = this.#whatIsWrong();
    if (wrong !== undefined) return wrong;
    this.disable();
    this.#locate();
    this.#ready = true;
    return undefined;
  }

  /** Chains that are still with the device lose their queue: `push` ignores them. */
  disable(): void {
    this.#ready = false;
    this.#life += 1;
    this.#nextAvailable = 0;
    this.#used = 0;
    this.#signalled = 0;
    this.#taken.fill(0);
  }

  /** Takes and returns nothing any more, until `reset`. */
  stop(): void {
    this.#stopped = true;
  }

  reset(): void {
    this.disable();
    this.#stopped = false;
    this.#size = this.maximum;
    for (const area of AREAS) this.#words[area].fill(0);
    this.negotiate(false, false);
  }

  /**
   * The next chain of the driver, or undefined when there is none. Then the driver has been asked to notify us of the
   * next one.
   */
  pop(): Chain | undefined {
    if (!this.#ready || this.#stopped) return undefined;
    let pending = this.#pending();
    if (pending === 0 && this.#eventIndex) {
      if (!this.#memory.writeU16(this.#at(this.#device + 4 + this.#size * USED_BYTES), this.#nextAvailable)) {
        return this.#refuse('Used ring is outside RAM');
      }
      // The driver may have added a chain before it could see the request.
      pending = this.#pending();
    }
    if (pending === 0) return undefined;
    if (pending > this.#size) return this.#refuse('Available index jumped ahead by more than the queue size');
    const slot = this.#nextAvailable & (this.#size - 1);
    const head = this.#memory.readU16(this.#at(this.#driver + 4 + 2 * slot));
    if (head === undefined) return this.#refuse('Available ring is outside RAM');
    if (head >= this.#size) return this.#refuse('Available ring names a descriptor outside the table');
    if (this.#taken[head] !== 0) return this.#refuse('Available ring names a chain that is still in use');
    const chain = this.#walk(head);
    if (chain === undefined) return undefined;
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    this.#taken[head] = 1;
    return chain;
  }

  /** False for a chain of a former life of the queue. */
  owns(chain: Chain): boolean {
    return this.#ready && chain.life === this.#life;
  }

  /** `owns` as it is now, whatever becomes of the queue. */
  owner(): (chain: Chain) => boolean {
    const ready = this.#ready;
    const life = this.#life;
    return chain => ready && chain.life === life;
  }

  /** Returns a chain to the driver with the number of bytes written to it. */
  push(chain: Chain, written: number): void {
    if (this.#stopped || !this.owns(chain)) return;
    this.#taken[chain.head] = 0;
    this.#view.setUint32(0, chain.head, true);
    this.#view.setUint32(4, written, true);
    const at = this.#device + 4 + (this.#used & (this.#size - 1)) * USED_BYTES;
    this.#used = (this.#used + 1) & 0xffff;
    if (
      !this.#memory.write(this.#at(at), this.#usedEntry) ||
      !this.#memory.writeU16(this.#at(this.#device + 2), this.#used)
    ) {
      this.#refuse('Used ring is outside RAM');
    }
  }

  /** True when the driver wants an interrupt for the chains pushed since the last call (sections 2.7.7, 2.7.10). */
  takeSignal(): boolean {
    const before = this.#signalled;
    const now = this.#used;
    if (before === now || this.#stopped) return false;
    this.#signalled = now;
    const offset = this.#eventIndex ? 4 + 2 * this.#size : 0;
    const word = this.#memory.readU16(this.#at(this.#driver + offset));
    if (word === undefined) {
      this.#refuse('Available ring is outside RAM');
      return false;
    }
    if (!this.#eventIndex) return (word & NO_INTERRUPT) === 0;
    return ((now - word - 1) & 0xffff) < ((now - before) & 0xffff);
  }

  save(): QueueState {
    return {
      size: this.#size,
      ready: this.#ready,
      descriptors: wideAddress(this.#words.descriptors),
      driver: wideAddress(this.#words.driver),
      device: wideAddress(this.#words.device),
      nextAvailable: this.#nextAvailable,
      used: this.#used,
      signalled: this.#signalled,
    };
  }

  /** For a queue that was just made. Chains with the device are told by their owners through `adopt`. */
  load(state: QueueState, sectionName: string): void {
    this.#size = state.size;
    for (const area of AREAS) this.#words[area] = [Number(state[area] & 0xffffffffn), Number(state[area] >> 32n)];
    this.#ready = state.ready;
    this.#nextAvailable = state.nextAvailable;
    this.#used = state.used;
    this.#signalled = state.signalled;
    if (state.ready) {
      const wrong = this.#whatIsWrong();
      if (wrong !== undefined) refuseState({ name: sectionName }, 'queue', `is ready but wrong: ${wrong}`);
      this.#locate();
    } else if (state.nextAvailable !== 0 || state.used !== 0 || state.signalled !== 0) {
      refuseState({ name: sectionName }, 'queue', 'has indices without being ready');
    }
  }

  /** A chain that was with the device when the state was saved; undefined when that cannot be. */
  adopt(head: number): Chain | undefined {
    if (!this.#ready || head >= this.#size || this.#taken[head] !== 0) return undefined;
    this.#taken[head] = 1;
    return new Chain(head, this.#life);
  }

  #walk(head: number): Chain | undefined {
    const chain = new Chain(head, this.#life);
    const view = this.#view;
    let table = this.#descriptors;
    let entries = this.#size;
    let limit = this.#size;
    let index = head;
    let indirect = false;
    let total = 0;
    for (let segments = 0; ; ) {
      if (!this.#memory.read(this.#at(table + index * DESCRIPTOR_BYTES), this.#scratch)) {
        return this.#refuse('Descriptor is outside RAM');
      }
      const address = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
      const length = view.getUint32(8, true);
      const flags = view.getUint16(12, true);
      if (address + length >= ADDRESS_LIMIT) return this.#refuse('Buffer is outside RAM');
      if ((flags & INDIRECT) !== 0) {
        if (!this.#indirect) return this.#refuse('Indirect descriptor was not negotiated');
        if (indirect) return this.#refuse('Indirect descriptor inside an indirect table');
        if ((flags & NEXT) !== 0) return this.#refuse('Indirect descriptor has a successor');
        if (length === 0 || length % DESCRIPTOR_BYTES !== 0) return this.#refuse('Indirect table has an odd length');
        indirect = true;
        table = address;
        entries = length / DESCRIPTOR_BYTES;
        limit = LARGEST_QUEUE;
        index = 0;
        continue;
      }
      if (length === 0) return this.#refuse('Buffer is empty');
      if (segments === limit) return this.#refuse('Chain is longer than its queue');
      segments += 1;
      total += length;
      if (total >= TOTAL_LIMIT) return this.#refuse('Chain has 4 GiB or more');
      if ((flags & WRITE) !== 0) {
        chain.writable.push({ address: guestPhys(address), length });
        chain.writableLength += length;
      } else {
        if (chain.writable.length > 0) return this.#refuse('Readable buffer after a writable one');
        chain.readable.push({ address: guestPhys(address), length });
        chain.readableLength += length;
      }
      if ((flags & NEXT) === 0) return chain;
      index = view.getUint16(14, true);
      if (index >= entries) return this.#refuse('Descriptor names a successor outside its table');
    }
  }

  #pending(): number {
    const index = this.#memory.readU16(this.#at(this.#driver + 2));
    if (index === undefined) {
      this.#refuse('Available ring is outside RAM');
      return 0;
    }
    return (index - this.#nextAvailable) & 0xffff;
  }

  #whatIsWrong(): string | undefined {
    const size = this.#size;
    if (size === 0 || size > this.maximum || (size & (size - 1)) !== 0)
      return 'Queue size is not a power of two in range';
    for (const area of AREAS) {
      const [low = 0, high = 0] = this.#words[area];
      if (high >= HIGH_LIMIT) return 'Queue address is outside RAM';
      if (low % ALIGNMENT[area] !== 0) return 'Queue address is not aligned';
    }
    return undefined;
  }

  #locate(): void {
    const address = ([low = 0, high = 0]: readonly number[]) => high * 2 ** 32 + low;
    this.#descriptors = address(this.#words.descriptors);
    this.#driver = address(this.#words.driver);
    this.#device = address(this.#words.device);
  }

  // Sums stay exact: every base is below 2^53 and what lies beyond is not RAM in any case.
  #at(address: number): GuestPhys {
    return guestPhys(address);
  }

  #refuse(what: string): undefined {
    if (!this.#stopped) this.#fail(what);
    return undefined;
  }
}

function wideAddress([low = 0, high = 0]: readonly number[]): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
