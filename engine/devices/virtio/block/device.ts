import { type GuestPhys, guestPhys } from '../../../base/addresses.ts';
import { AfterimageError } from '../../../base/errors.ts';
import type { MemorySegment } from '../../../memory/guest-memory.ts';
import { refuseState, type Saves } from '../../../state/section.ts';
import type { AccessWidth, MmioDevice } from '../../device.ts';
import { type Chain, type GuestRange, writeRanges } from '../queue/chain.ts';
import { LARGEST_QUEUE, type SplitQueue } from '../queue/queue.ts';
import { type VirtioModel, type VirtioParts, VirtioTransport } from '../transport/transport.ts';
import type { BlockBackend, BlockRequestKind, BlockStatus } from './backend.ts';
import { type InFlight, InFlightTable, loadInFlight, saveInFlight } from './in-flight.ts';
import {
  BLOCK_DEVICE,
  blockConfig,
  blockFeatures,
  blockId,
  FEATURE,
  ID_BYTES,
  RESULT,
  setCapacity,
} from './protocol.ts';
import { type AskedOfDisk, type DiskFacts, OUTSIDE_RAM, parseRequest } from './request.ts';
import { type BlockState, blockSection } from './state.ts';

export interface BlockParts extends VirtioParts {
  readonly backend: BlockBackend;
  /** What GET_ID answers (the guest's /dev/disk/by-id): at most 20 bytes. */
  readonly serial: string;
}

/** A request that the backend has and the driver waits for. */
export interface BlockInFlight {
  readonly id: number;
  readonly head: number;
  readonly kind: BlockRequestKind;
  readonly offset: number;
  readonly length: number;
  readonly ranges: readonly GuestRange[];
  /** Came with a restored state: nobody works on it until `settle` or `reissue`. */
  readonly dormant: boolean;
}

// A hostile driver can ask for 4 GiB in each of 256 chains. What is in flight stays below this, or is one request.
const MOST_BYTES_IN_FLIGHT = 256 * 2 ** 20;
// Entries can only appear during one visit to the queue when the guest's own requests overwrite the ring.
const MOST_CHAINS_A_VISIT = 4 * LARGEST_QUEUE;
const RESULT_OF = { ok: RESULT.OK, 'io-error': RESULT.IOERR, unsupported: RESULT.UNSUPP } as const;

/**
 * virtio-blk (virtio 1.2, section 5.2) over an asynchronous backend: many requests in flight, completed in any order.
 * The data goes straight between the backend and pinned guest frames; the device itself writes only the status byte
 * and the used ring, when the request completes.
 */
export class VirtioBlock implements MmioDevice, VirtioModel, Saves<BlockState> {
  readonly name: string;
  readonly #transport: VirtioTransport;
  readonly #queue: SplitQueue;
  readonly #backend: BlockBackend;
  readonly #serial: Uint8Array;
  readonly #status = new Uint8Array(1);
  readonly #disk: DiskFacts;
  readonly #inFlight = new InFlightTable();
  #nextId = 0;
  #outstanding = 0;
  #visiting = false;
  // Chains may wait in the queue because too much was in flight.
  #heldBack = false;

  constructor(parts: BlockParts) {
    const { backend } = parts;
    const { size, readonly } = backend;
    this.name = parts.name;
    this.#backend = backend;
    this.#serial = blockId(parts.serial);
    // Header and status take a descriptor each.
    const config = blockConfig(size, readonly, LARGEST_QUEUE - 2);
    const shape = {
      deviceId: BLOCK_DEVICE,
      features: blockFeatures(readonly),
      queueSizes: [LARGEST_QUEUE],
      config,
    };
    this.#transport = new VirtioTransport(parts, shape, this);
    // One queue was asked for just above.
    this.#queue = this.#transport.queues[0]!;
    this.#disk = {
      get size() {
        return backend.size;
      },
      readonly,
      accepted: feature => this.#transport.accepted(feature),
    };
    backend.whenResized?.(grown => {
      setCapacity(config, grown);
      this.#transport.configChanged();
    });
  }

  /**
   * A device as it was saved. Its requests in flight lie dormant: each must be given to `settle` (its data is where
   * it belongs) or `reissue` (it is to be done again) before the driver waits for it.
   * @throws AfterimageError `corrupt` when the state cannot be one of this device with this disk.
   */
  static restore(parts: BlockParts, state: BlockState): VirtioBlock {
    const device = new VirtioBlock(parts);
    device.#transport.load(state.transport, blockSection.name);
    for (const saved of state.inFlight) {
      if (saved.id < device.#nextId) refuseState(blockSection, 'inFlight', 'is not in the order of its ids');
      device.#inFlight.add(loadInFlight(saved, device.#queue, device.#disk));
      device.#nextId = saved.id + 1;
    }
    device.#heldBack = device.#inFlight.bytes >= MOST_BYTES_IN_FLIGHT;
    return device;
  }

  /** Requests that the backend has, also those whose driver reset the device meanwhile: their frames are pinned. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** The requests that the driver waits for, in the order of submission. */
  get inFlight(): BlockInFlight[] {
    return this.#inFlight.ownedBy(this.#queue).map(({ id, chain, kind, offset, length, ranges, dormant }) => {
      return { id, head: chain.head, kind, offset, length, ranges, dormant };
    });
  }

  /** Completes a dormant request whose effect is already in memory or on the disk. Other ids are without effect. */
  settle(id: number, status: BlockStatus): void {
    const request = this.#inFlight.get(id);
    if (request?.dormant) this.#finish(request, status);
  }

  /** Gives a dormant request to the backend anew. Other ids are without effect. */
  reissue(id: number): void {
    const request = this.#inFlight.get(id);
    if (!request?.dormant) return;
    this.#inFlight.remove(request);
    this.#submit({ ...request, dormant: false });
  }

  read(offset: number, width: AccessWidth): number {
    return this.#transport.read(offset, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#transport.write(offset, width, value);
  }

  /** The backend keeps what it has until it is done: see `outstanding`. */
  reset(): void {
    this.#transport.reset();
  }

  save(): BlockState {
    return this.capture()();
  }

  /** Copies the state in a few microseconds however many requests are in flight; what it returns puts it together. */
  capture(): () => BlockState {
    const transport = this.#transport.save();
    const requests = this.#inFlight.all();
    const isOwned = this.#queue.owner();
    return () => ({ transport, inFlight: requests.filter(({ chain }) => isOwned(chain)).map(saveInFlight) });
  }

  driverReset(): void {
    this.#inFlight.clear();
    this.#heldBack = false;
  }

  notified(): void {
    this.#visiting = true;
    for (let chains = 0; ; chains += 1) {
      this.#heldBack = this.#inFlight.bytes >= MOST_BYTES_IN_FLIGHT;
      if (this.#heldBack) break;
      const chain = this.#queue.pop();
      if (chain === undefined) break;
      if (chains === MOST_CHAINS_A_VISIT) {
        this.#transport.fail('Queue is overwritten by its own requests');
        break;
      }
      this.#accept(chain);
    }
    this.#visiting = false;
    this.#transport.signal(this.#queue);
  }

  #accept(chain: Chain): void {
    const asked = parseRequest(this.#transport.memory, chain, this.#disk);
    switch (asked.what) {
      case 'malformed':
        this.#transport.fail(asked.why);
        return;
      case 'refused':
        this.#answer(chain, statusAddress(chain), asked.result, onlyStatus(chain));
        return;
      case 'id':
        this.#giveId(chain);
        return;
      case 'disk':
        this.#start(chain, asked);
    }
  }

  #giveId(chain: Chain): void {
    const room = chain.writableLength - 1;
    const count = Math.min(room, ID_BYTES);
    if (!writeRanges(this.#transport.memory, chain.writable, 0, this.#serial.subarray(0, count))) {
      this.#transport.fail(OUTSIDE_RAM);
      return;
    }
    this.#answer(chain, statusAddress(chain), RESULT.OK, count === room ? count + 1 : count);
  }

  #start(chain: Chain, asked: AskedOfDisk): void {
    const { kind, offset, length, ranges } = asked;
    const written = kind === 'read' ? length + 1 : onlyStatus(chain);
    const statusAt = statusAddress(chain);
    if (length === 0 && kind !== 'flush') {
      this.#answer(chain, statusAt, RESULT.OK, written);
      return;
    }
    // Section 5.2.6.2: a driver without FLUSH takes a completed write for a durable one.
    const flushAfter = (kind === 'write' || kind === 'write-zeroes') && !this.#transport.accepted(FEATURE.FLUSH);
    const id = this.#nextId;
    this.#nextId += 1;
    this.#submit({ id, chain, kind, offset, length, ranges, statusAt, written, flushAfter, dormant: false });
  }

  /** Pins the request's memory and gives it to the backend. */
  #submit(request: InFlight): void {
    const { id, kind, offset, length } = request;
    const segments = this.#pin(request);
    if (segments === undefined) {
      this.#transport.fail(OUTSIDE_RAM);
      return;
    }
    this.#inFlight.add(request);
    this.#outstanding += 1;
    let open = true;
    this.#backend.submit({ id, kind, offset, length, segments }, status => {
      if (!open) return;
      open = false;
      this.#outstanding -= 1;
      this.#transport.memory.unpin(segments);
      this.#finish(request, status);
    });
  }

  #pin({ kind, ranges }: InFlight): MemorySegment[] | undefined {
    const memory = this.#transport.memory;
    const purpose = kind === 'read' ? 'device-writes' : 'device-reads';
    const pinned: MemorySegment[] = [];
    for (const { address, length } of ranges) {
      const segments = memory.pin(address, length, purpose);
      if (segments === undefined) {
        memory.unpin(pinned);
        return undefined;
      }
      for (const segment of segments) pinned.push(segment);
    }
    return pinned;
  }

  #finish(request: InFlight, status: BlockStatus): void {
    // A driver that reset the device no longer waits, and its rings may be anything by now.
    if (!this.#inFlight.remove(request)) return;
    if (!this.#transport.running || !this.#queue.owns(request.chain)) return;
    if (status === 'ok' && request.flushAfter) {
      const id = this.#nextId;
      this.#nextId += 1;
      this.#submit({
        ...request,
        id,
        kind: 'flush',
        offset: 0,
        length: 0,
        ranges: [],
        flushAfter: false,
        dormant: false,
      });
    } else {
      const written = status !== 'ok' && request.kind === 'read' ? 0 : request.written;
      this.#answer(request.chain, request.statusAt, RESULT_OF[status], written);
    }
    if (this.#visiting) return;
    if (this.#heldBack) this.notified();
    else this.#transport.signal(this.#queue);
  }

  #answer(chain: Chain, statusAt: GuestPhys, result: number, written: number): void {
    this.#status[0] = result;
    if (!this.#transport.memory.write(statusAt, this.#status)) {
      this.#transport.fail(OUTSIDE_RAM);
      return;
    }
    this.#queue.push(chain, written);
  }
}

// The status is the last writable byte (section 5.2.6).
function statusAddress(chain: Chain): GuestPhys {
  const last = chain.writable.at(-1);
  if (last === undefined) throw new AfterimageError('internal', 'Request without room for its status was accepted');
  return guestPhys(last.address + last.length - 1);
}

// The used length covers an unbroken run from the first writable byte on (section 2.7.8.2).
function onlyStatus(chain: Chain): number {
  return chain.writableLength === 1 ? 1 : 0;
}
