import type { Saves } from '../../../state/section.ts';
import type { AccessWidth, MmioDevice } from '../../device.ts';
import { writeRanges } from '../queue/chain.ts';
import type { SplitQueue } from '../queue/queue.ts';
import { type VirtioModel, type VirtioParts, VirtioTransport } from '../transport/transport.ts';
import { type RngState, rngSection } from './state.ts';

/** Fills the whole array with unpredictable bytes (or, for a repeatable run, with those of a seed). */
export type EntropySource = (into: Uint8Array) => void;

export interface RngParts extends VirtioParts {
  readonly entropy: EntropySource;
}

const RNG_DEVICE = 4;
const QUEUE_SIZE = 64;
// A driver asks for some tens of bytes. Giving less than it has room for is allowed (virtio 1.2, section 5.4.6.1).
const MOST_BYTES = 4096;
// Entries can only appear during one visit to the queue when the guest's own requests overwrite the ring.
const MOST_CHAINS_A_VISIT = 4 * QUEUE_SIZE;

/** virtio-rng (virtio 1.2, section 5.4). */
export class VirtioRng implements MmioDevice, VirtioModel, Saves<RngState> {
  readonly name: string;
  readonly #transport: VirtioTransport;
  readonly #queue: SplitQueue;
  readonly #entropy: EntropySource;
  readonly #bytes = new Uint8Array(MOST_BYTES);

  constructor(parts: RngParts) {
    this.name = parts.name;
    this.#entropy = parts.entropy;
    const shape = { deviceId: RNG_DEVICE, features: 0, queueSizes: [QUEUE_SIZE], config: new Uint8Array(0) };
    this.#transport = new VirtioTransport(parts, shape, this);
    // One queue was asked for just above.
    this.#queue = this.#transport.queues[0]!;
  }

  /** @throws AfterimageError `corrupt` when the state cannot be one of this device. */
  static restore(parts: RngParts, state: RngState): VirtioRng {
    const device = new VirtioRng(parts);
    device.#transport.load(state.transport, rngSection.name);
    return device;
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

  save(): RngState {
    return { transport: this.#transport.save() };
  }

  driverReset(): void {}

  notified(): void {
    for (let chains = 0; ; chains += 1) {
      const chain = this.#queue.pop();
      if (chain === undefined) break;
      if (chains === MOST_CHAINS_A_VISIT) {
        this.#transport.fail('Queue is overwritten by its own requests');
        break;
      }
      const bytes = this.#bytes.subarray(0, Math.min(chain.writableLength, MOST_BYTES));
      this.#entropy(bytes);
      if (!writeRanges(this.#transport.memory, chain.writable, 0, bytes)) {
        this.#transport.fail('Buffer is outside RAM');
        break;
      }
      this.#queue.push(chain, bytes.length);
    }
    this.#transport.signal(this.#queue);
  }
}
