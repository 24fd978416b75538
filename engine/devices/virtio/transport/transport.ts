import type { GuestMemory } from '../../../memory/guest-memory.ts';
import { refuseState } from '../../../state/section.ts';
import type { AccessWidth, GuestErrors, IrqLine } from '../../device.ts';
import { type QueueArea, SplitQueue } from '../queue/queue.ts';
import type { QueueState } from '../queue/state.ts';
import {
  INTERRUPT,
  MAGIC,
  REGISTER,
  RING_EVENT_INDEX,
  RING_INDIRECT,
  STATUS,
  VENDOR,
  VERSION,
  VERSION_1_HIGH,
} from './registers.ts';
import type { TransportState } from './state.ts';

/** What every virtio device is built from. */
export interface VirtioParts {
  readonly name: string;
  readonly memory: GuestMemory;
  readonly irq: IrqLine;
  readonly errors: GuestErrors;
}

/** What the driver finds behind the transport. */
export interface VirtioShape {
  /** Section 5. */
  readonly deviceId: number;
  /** Device-specific features: bits 0 to 23 of the low word. */
  readonly features: number;
  readonly queueSizes: readonly number[];
  /** Device configuration space in place: the device changes it, then calls `configChanged`. Read-only for the driver. */
  readonly config: Uint8Array;
}

/** The device model behind a transport. All calls come from register writes, on the hart thread. */
export interface VirtioModel {
  /** The driver may have added chains to queue `index`; also called for each queue when the driver is ready. */
  notified(index: number): void;
  /** The driver reset the device: forget all chains. */
  driverReset(): void;
}

const KNOWN_STATUS =
  STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.DRIVER_OK | STATUS.FEATURES_OK | STATUS.NEEDS_RESET | STATUS.FAILED;
const NO_SHARED_MEMORY = 0xffffffff;

/** Which queue address a register belongs to: area and half. */
const QUEUE_ADDRESS: ReadonlyMap<number, readonly [QueueArea, 0 | 1]> = new Map([
  [REGISTER.DESCRIPTORS_LOW, ['descriptors', 0]],
  [REGISTER.DESCRIPTORS_HIGH, ['descriptors', 1]],
  [REGISTER.DRIVER_LOW, ['driver', 0]],
  [REGISTER.DRIVER_HIGH, ['driver', 1]],
  [REGISTER.DEVICE_LOW, ['device', 0]],
  [REGISTER.DEVICE_HIGH, ['device', 1]],
]);

/**
 * The MMIO transport of one virtio device (virtio 1.2, section 4.2): registers, feature negotiation, queues and the
 * interrupt. A guest that breaks the rules of its queues stops the device until it resets it (DEVICE_NEEDS_RESET).
 */
export class VirtioTransport {
  readonly name: string;
  readonly memory: GuestMemory;
  readonly queues: readonly SplitQueue[];
  readonly #irq: IrqLine;
  readonly #errors: GuestErrors;
  readonly #shape: VirtioShape;
  readonly #model: VirtioModel;
  readonly #featuresLow: number;

  #status = 0;
  #interruptStatus = 0;
  #deviceFeaturesSelect = 0;
  #driverFeaturesSelect = 0;
  #driverFeaturesLow = 0;
  #driverFeaturesHigh = 0;
  #queueSelect = 0;
  #configGeneration = 0;

  constructor(parts: VirtioParts, shape: VirtioShape, model: VirtioModel) {
    this.name = parts.name;
    this.memory = parts.memory;
    this.#irq = parts.irq;
    this.#errors = parts.errors;
    this.#shape = shape;
    this.#model = model;
    this.#featuresLow = (shape.features | RING_INDIRECT | RING_EVENT_INDEX) >>> 0;
    this.queues = shape.queueSizes.map(size => new SplitQueue(this.memory, size, what => this.fail(what)));
  }

  /** The driver has finished its set-up and the device has not failed since. */
  get running(): boolean {
    return (this.#status & (STATUS.DRIVER_OK | STATUS.NEEDS_RESET)) === STATUS.DRIVER_OK;
  }

  /** True when the driver accepted the device-specific feature. */
  accepted(feature: number): boolean {
    return (this.#status & STATUS.FEATURES_OK) !== 0 && (this.#driverFeaturesLow & feature) !== 0;
  }

  /** Interrupts the driver for what was pushed to a queue, if it wants that. */
  signal(queue: SplitQueue): void {
    if (queue.takeSignal()) this.#raise(INTERRUPT.USED_BUFFER);
  }

  /** To be called after each change of the configuration space. */
  configChanged(): void {
    this.#configGeneration = (this.#configGeneration + 1) >>> 0;
    if (this.running) this.#raise(INTERRUPT.CONFIG);
  }

  /** The driver broke the rules: counted, and the device stands still until it is reset (section 2.1.2). */
  fail(what: string): void {
    this.#errors.report(this.name, what);
    if ((this.#status & STATUS.NEEDS_RESET) !== 0) return;
    this.#status |= STATUS.NEEDS_RESET;
    for (const queue of this.queues) queue.stop();
    if ((this.#status & STATUS.DRIVER_OK) !== 0) this.#raise(INTERRUPT.CONFIG);
  }

  read(offset: number, width: AccessWidth): number {
    if (offset >= REGISTER.CONFIG) return this.#readConfig(offset - REGISTER.CONFIG, width);
    if (width !== 4 || offset % 4 !== 0) {
      this.#errors.report(this.name, 'Register read is not a word');
      return 0;
    }
    switch (offset) {
      case REGISTER.MAGIC:
        return MAGIC;
      case REGISTER.VERSION:
        return VERSION;
      case REGISTER.DEVICE_ID:
        return this.#shape.deviceId;
      case REGISTER.VENDOR_ID:
        return VENDOR;
      case REGISTER.DEVICE_FEATURES:
        if (this.#deviceFeaturesSelect === 0) return this.#featuresLow;
        return this.#deviceFeaturesSelect === 1 ? VERSION_1_HIGH : 0;
      case REGISTER.QUEUE_SIZE_MAX:
        return this.#selected?.maximum ?? 0;
      case REGISTER.QUEUE_READY:
        return this.#selected?.ready ? 1 : 0;
      case REGISTER.INTERRUPT_STATUS:
        return this.#interruptStatus;
      case REGISTER.STATUS:
        return this.#status;
      case REGISTER.SHARED_MEMORY_LENGTH_LOW:
      case REGISTER.SHARED_MEMORY_LENGTH_HIGH:
      case REGISTER.SHARED_MEMORY_BASE_LOW:
      case REGISTER.SHARED_MEMORY_BASE_HIGH:
        return NO_SHARED_MEMORY;
      case REGISTER.CONFIG_GENERATION:
        return this.#configGeneration;
      default:
        return 0;
    }
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (offset >= REGISTER.CONFIG) return;
    if (width !== 4 || offset % 4 !== 0) {
      this.#errors.report(this.name, 'Register write is not a word');
      return;
    }
    switch (offset) {
      case REGISTER.DEVICE_FEATURES_SELECT:
        this.#deviceFeaturesSelect = value;
        return;
      case REGISTER.DRIVER_FEATURES_SELECT:
        this.#driverFeaturesSelect = value;
        return;
      case REGISTER.DRIVER_FEATURES:
        this.#writeFeatures(value);
        return;
      case REGISTER.QUEUE_SELECT:
        this.#queueSelect = value;
        return;
      case REGISTER.QUEUE_SIZE:
        this.#selected?.setSize(value);
        return;
      case REGISTER.QUEUE_READY:
        this.#writeReady(value);
        return;
      case REGISTER.QUEUE_NOTIFY:
        this.#notify(value);
        return;
      case REGISTER.INTERRUPT_ACK:
        this.#interruptStatus &= ~value;
        this.#irq.set(this.#interruptStatus !== 0);
        return;
      case REGISTER.STATUS:
        this.#writeStatus(value);
        return;
      default: {
        const address = QUEUE_ADDRESS.get(offset);
        if (address !== undefined) this.#selected?.setAddress(address[0], address[1], value);
      }
    }
  }

  /** Power-on state. The model forgets its chains as for the driver's own reset. */
  reset(): void {
    this.#status = 0;
    this.#interruptStatus = 0;
    this.#irq.set(false);
    this.#deviceFeaturesSelect = 0;
    this.#driverFeaturesSelect = 0;
    this.#driverFeaturesLow = 0;
    this.#driverFeaturesHigh = 0;
    this.#queueSelect = 0;
    this.#configGeneration = 0;
    for (const queue of this.queues) queue.reset();
    this.#model.driverReset();
  }

  save(): TransportState {
    const queues: QueueState[] = [];
    for (const queue of this.queues) queues.push(queue.save());
    return {
      status: this.#status,
      interruptStatus: this.#interruptStatus,
      deviceFeaturesSelect: this.#deviceFeaturesSelect,
      driverFeaturesSelect: this.#driverFeaturesSelect,
      driverFeaturesLow: this.#driverFeaturesLow,
      driverFeaturesHigh: this.#driverFeaturesHigh,
      queueSelect: this.#queueSelect,
      configGeneration: this.#configGeneration,
      queues,
    };
  }

  /** For a transport that was just made. @throws AfterimageError `corrupt` or `unsupported` naming `sectionName`. */
  load(state: TransportState, sectionName: string): void {
    const table = { name: sectionName };
    if ((state.status & ~KNOWN_STATUS) !== 0) refuseState(table, 'status', 'has unknown bits');
    if (state.interruptStatus > 3) refuseState(table, 'interruptStatus', 'has unknown bits');
    this.#driverFeaturesLow = state.driverFeaturesLow;
    this.#driverFeaturesHigh = state.driverFeaturesHigh;
    const negotiated = (state.status & STATUS.FEATURES_OK) !== 0;
    if (negotiated && !this.#featuresAcceptable()) {
      refuseState(table, 'driverFeatures', 'were accepted but are not offered by this device');
    }
    if (!negotiated && (state.status & STATUS.DRIVER_OK) !== 0) {
      refuseState(table, 'status', 'is ready without negotiated features');
    }
    this.#status = state.status;
    this.#interruptStatus = state.interruptStatus;
    this.#deviceFeaturesSelect = state.deviceFeaturesSelect;
    this.#driverFeaturesSelect = state.driverFeaturesSelect;
    this.#queueSelect = state.queueSelect;
    this.#configGeneration = state.configGeneration;
    if (negotiated) this.#negotiate();
    for (const [index, queue] of this.queues.entries()) {
      const saved = state.queues[index];
      if (saved === undefined) refuseState(table, 'queues', 'are too few');
      queue.load(saved, sectionName);
      if ((state.status & STATUS.NEEDS_RESET) !== 0) queue.stop();
    }
    this.#irq.set(this.#interruptStatus !== 0);
  }

  get #selected(): SplitQueue | undefined {
    return this.queues[this.#queueSelect];
  }

  #raise(reason: number): void {
    this.#interruptStatus |= reason;
    this.#irq.set(true);
  }

  #writeFeatures(value: number): void {
    if ((this.#status & STATUS.FEATURES_OK) !== 0) {
      this.#errors.report(this.name, 'Features written after they were settled');
    } else if (this.#driverFeaturesSelect === 0) {
      this.#driverFeaturesLow = value;
    } else if (this.#driverFeaturesSelect === 1) {
      this.#driverFeaturesHigh = value;
    }
  }

  #featuresAcceptable(): boolean {
    return (this.#driverFeaturesLow & ~this.#featuresLow) === 0 && this.#driverFeaturesHigh === VERSION_1_HIGH;
  }

  #negotiate(): void {
    const indirect = (this.#driverFeaturesLow & RING_INDIRECT) !== 0;
    const eventIndex = (this.#driverFeaturesLow & RING_EVENT_INDEX) !== 0;
    for (const queue of this.queues) queue.negotiate(indirect, eventIndex);
  }

  // Bits are only ever added; a refused FEATURES_OK shows when the driver reads the status back (section 3.1.1).
  #writeStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    let added = value & KNOWN_STATUS & ~STATUS.NEEDS_RESET & ~this.#status;
    if ((added & STATUS.FEATURES_OK) !== 0) {
      if (this.#featuresAcceptable()) this.#negotiate();
      else added &= ~STATUS.FEATURES_OK;
    }
    const settled = ((this.#status | added) & STATUS.FEATURES_OK) !== 0;
    if ((added & STATUS.DRIVER_OK) !== 0 && !settled) {
      this.fail('Driver is ready without negotiated features');
      return;
    }
    this.#status |= added;
    if ((added & STATUS.DRIVER_OK) === 0) return;
    for (const index of this.queues.keys()) this.#notify(index);
  }

  #writeReady(value: number): void {
    const queue = this.#selected;
    if (queue === undefined) return;
    if ((value & 1) === 0) {
      queue.disable();
    } else if (!queue.ready) {
      const wrong = queue.enable();
      if (wrong !== undefined) this.fail(wrong);
    }
  }

  #notify(index: number): void {
    if (index >= this.queues.length) {
      this.#errors.report(this.name, 'Notification for a queue that does not exist');
      return;
    }
    // Before DRIVER_OK nothing may be consumed; what was added by then is found when the driver is ready.
    if (this.running) this.#model.notified(index);
  }

  #readConfig(offset: number, width: AccessWidth): number {
    if (width === 8) {
      this.#errors.report(this.name, 'Configuration read is wider than a word');
      return 0;
    }
    let value = 0;
    for (let byte = 0; byte < width; byte += 1) {
      value += (this.#shape.config[offset + byte] ?? 0) * 2 ** (8 * byte);
    }
    return value;
  }
}
