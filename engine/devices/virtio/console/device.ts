import { guestPhys } from '../../../base/addresses.ts';
import { refuseState, type Saves } from '../../../state/section.ts';
import type { ConsolePort } from '../../console-port.ts';
import type { AccessWidth, MmioDevice } from '../../device.ts';
import { type Chain, sliceRanges } from '../queue/chain.ts';
import type { SplitQueue } from '../queue/queue.ts';
import { type VirtioModel, type VirtioParts, VirtioTransport } from '../transport/transport.ts';
import { type ConsoleState, consoleSection, type HeldState } from './state.ts';

export interface ConsoleParts extends VirtioParts {
  readonly port: ConsolePort;
  readonly columns?: number;
  readonly rows?: number;
}

const CONSOLE_DEVICE = 3;
const FEATURE_SIZE = 1;
const CONFIG_BYTES = 12;
const QUEUE_SIZE = 64;
const INPUT = 0;
// Entries can only appear during one visit to the queue when the guest's own requests overwrite the ring.
const MOST_CHAINS_A_VISIT = 4 * QUEUE_SIZE;

/**
 * virtio-console with one port (virtio 1.2, section 5.3). Nothing is lost and nothing piles up: input stays in the
 * port until the driver offers a buffer, output stays in the driver's buffer until the port has room. Bytes go
 * straight between the port and pinned guest frames.
 */
export class VirtioConsole implements MmioDevice, VirtioModel, Saves<ConsoleState> {
  readonly name: string;
  readonly #transport: VirtioTransport;
  readonly #input: SplitQueue;
  readonly #output: SplitQueue;
  readonly #port: ConsolePort;
  readonly #config = new Uint8Array(CONFIG_BYTES);
  readonly #configView = new DataView(this.#config.buffer);
  #held: Chain | undefined;
  #heldDone = 0;

  constructor(parts: ConsoleParts) {
    this.name = parts.name;
    this.#port = parts.port;
    this.#setSize(parts.columns ?? 0, parts.rows ?? 0);
    const shape = {
      deviceId: CONSOLE_DEVICE,
      features: FEATURE_SIZE,
      queueSizes: [QUEUE_SIZE, QUEUE_SIZE],
      config: this.#config,
    };
    this.#transport = new VirtioTransport(parts, shape, this);
    // Two queues were asked for just above.
    this.#input = this.#transport.queues[0]!;
    this.#output = this.#transport.queues[1]!;
  }

  /** @throws AfterimageError `corrupt` when the state cannot be one of this device. */
  static restore(parts: ConsoleParts, state: ConsoleState): VirtioConsole {
    const device = new VirtioConsole(parts);
    device.#transport.load(state.transport, consoleSection.name);
    device.#setSize(state.columns, state.rows);
    if (state.held !== undefined) device.#adopt(state.held);
    return device;
  }

  /**
   * To be called after each slice of the hart, and when the port has got input or room: goes on with what waited for
   * it, and interrupts for what was printed since.
   */
  poll(): void {
    if (!this.#transport.running) return;
    this.#print();
    // Not as soon as it is printed: Linux's console spins until its buffer is returned, so that an interrupt at once
    // finds nothing to do, and after 100,000 of those Linux turns the line off for good.
    this.#transport.signal(this.#output);
    this.#deliver();
  }

  /** The terminal's size in characters; tells the guest when it is another one. Kept over resets. */
  resize(columns: number, rows: number): void {
    if (columns === this.#configView.getUint16(0, true) && rows === this.#configView.getUint16(2, true)) return;
    this.#setSize(columns, rows);
    this.#transport.configChanged();
  }

  read(offset: number, width: AccessWidth): number {
    return this.#transport.read(offset, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#transport.write(offset, width, value);
  }

  reset(): void {
    this.#transport.reset();
  }

  save(): ConsoleState {
    const held = this.#held !== undefined && this.#output.owns(this.#held) ? this.#held : undefined;
    return {
      transport: this.#transport.save(),
      columns: this.#configView.getUint16(0, true),
      rows: this.#configView.getUint16(2, true),
      held: held && {
        head: held.head,
        ranges: held.readable.map(({ address, length }) => ({ address, length })),
        done: this.#heldDone,
      },
    };
  }

  driverReset(): void {
    this.#held = undefined;
    this.#heldDone = 0;
  }

  notified(index: number): void {
    if (index === INPUT) this.#deliver();
    else this.#print();
  }

  /** Input from the port into the driver's buffers. */
  #deliver(): void {
    // What comes in meanwhile brings its own poll.
    let budget = this.#port.available;
    for (let chains = 0; budget > 0; chains += 1) {
      const chain = this.#input.pop();
      if (chain === undefined) break;
      if (chains === MOST_CHAINS_A_VISIT) {
        this.#transport.fail('Queue is overwritten by its own requests');
        break;
      }
      const count = this.#transfer(chain, 0, Math.min(budget, chain.writableLength), 'input');
      if (count === undefined) break;
      this.#input.push(chain, count);
      budget -= count;
    }
    this.#transport.signal(this.#input);
  }

  /** Output from the driver's buffers to the port, as far as it has room. */
  #print(): void {
    let budget = this.#port.room;
    for (let chains = 0; ; chains += 1) {
      const chain = this.#nextOutput(budget);
      if (chain === undefined) break;
      if (chains > MOST_CHAINS_A_VISIT) {
        this.#held = undefined;
        this.#transport.fail('Queue is overwritten by its own requests');
        break;
      }
      const wanted = Math.min(budget, chain.readableLength - this.#heldDone);
      const count = this.#transfer(chain, this.#heldDone, wanted, 'output');
      if (count === undefined) break;
      budget -= count;
      this.#heldDone += count;
      if (this.#heldDone < chain.readableLength) break;
      this.#held = undefined;
      this.#output.push(chain, 0);
    }
  }

  /** The chain held from the last time, or else the driver's next one: that is held until it is printed. */
  #nextOutput(budget: number): Chain | undefined {
    if (this.#held !== undefined && this.#output.owns(this.#held)) return budget > 0 ? this.#held : undefined;
    this.#held = this.#output.pop();
    this.#heldDone = 0;
    return this.#held;
  }

  /** Up to `count` bytes between the port and byte `start` on of a chain; undefined when that is not RAM. */
  #transfer(chain: Chain, start: number, count: number, way: 'input' | 'output'): number | undefined {
    const memory = this.#transport.memory;
    const ranges = sliceRanges(way === 'input' ? chain.writable : chain.readable, start, count);
    let done = 0;
    for (const { address, length } of ranges) {
      const segments = memory.pin(address, length, way === 'input' ? 'device-writes' : 'device-reads');
      if (segments === undefined) {
        this.#transport.fail('Buffer is outside RAM');
        return undefined;
      }
      for (const segment of segments) {
        const bytes = memory.bytes(segment);
        const moved = way === 'input' ? this.#port.read(bytes) : this.#port.write(bytes);
        done += moved;
        if (moved < segment.length) {
          memory.unpin(segments);
          return done;
        }
      }
      memory.unpin(segments);
    }
    return done;
  }

  #setSize(columns: number, rows: number): void {
    this.#configView.setUint16(0, Math.min(columns, 0xffff), true);
    this.#configView.setUint16(2, Math.min(rows, 0xffff), true);
  }

  #adopt(held: HeldState): void {
    const chain = this.#output.adopt(held.head);
    if (chain === undefined) refuseState(consoleSection, 'held', 'has a head that cannot be in use');
    for (const { address, length } of held.ranges) {
      chain.readable.push({ address: guestPhys(address), length });
      chain.readableLength += length;
    }
    if (held.done > 0 ? held.done >= chain.readableLength : chain.readableLength === 0) {
      refuseState(consoleSection, 'held', 'has nothing left to print');
    }
    this.#held = chain;
    this.#heldDone = held.done;
  }
}
