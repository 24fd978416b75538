import { AfterimageError } from '../../base/errors.ts';
import { totalLength } from '../buffers.ts';
import type { Disk } from '../disk.ts';
import { Mutex } from '../qcow2/locks.ts';
import { refusal } from '../request.ts';
import type { Layer } from './layer.ts';
import { closeChain } from './open.ts';

/** A request that was issued and has not completed. */
export interface PendingRequest {
  readonly kind: 'read' | 'write' | 'flush' | 'discard' | 'write zeroes';
  readonly offset: number;
  readonly length: number;
  /** Number of moments before it was issued. */
  readonly epoch: number;
}

/** An instant in the stream of requests: those issued before it and not completed are pending at it (C6). */
export interface Moment {
  readonly epoch: number;
  /** What was pending at the moment and still is: a set that only shrinks. */
  readonly pending: () => PendingRequest[];
  /** Resolves when all that was pending has completed. */
  readonly settled: Promise<void>;
}

export interface Switch {
  readonly moment: Moment;
  /** Resolves when the former active layer has got all its pending writes, is durable, and frozen. */
  readonly frozen: Promise<void>;
}

/** Requests of one epoch, and the layer that they go to. */
class Slot {
  readonly epoch: number;
  layer: Layer;
  readonly requests = new Set<PendingRequest>();
  readonly #empty = Promise.withResolvers<void>();
  #closed = false;

  constructor(epoch: number, layer: Layer) {
    this.epoch = epoch;
    this.layer = layer;
  }

  remove(request: PendingRequest): void {
    this.requests.delete(request);
    if (this.#closed && this.requests.size === 0) this.#empty.resolve();
  }

  /** No more requests come; resolves when there are none. */
  close(): Promise<void> {
    this.#closed = true;
    if (this.requests.size === 0) this.#empty.resolve();
    return this.#empty.promise;
  }
}

interface Hold {
  readonly start: number;
  readonly end: number;
  readonly released: Promise<void>;
}

/**
 * The disk of a running machine: a chain whose active layer can be switched at any moment, in constant time, with
 * requests in flight. A request goes to the layer that was active when it was issued; reads and fills of the new layer
 * that meet a pending write in the old one wait for it there, since disks order requests that overlap (C6, C7).
 */
export class LiveDisk implements Disk {
  readonly #graph = new Mutex();
  #slot: Slot;
  /** Slots of earlier epochs with requests, oldest first. */
  readonly #earlier = new Set<Slot>();
  /** Layers that are switched away from and not yet durable. */
  readonly #freezing = new Set<Layer>();
  readonly #holds = new Set<Hold>();
  /** Active until the last switch. */
  #momentLayer: Layer | undefined;
  readonly #whenDone = new Map<PendingRequest, (() => void)[]>();

  /** Takes over the chain: `close` closes it. */
  constructor(active: Layer) {
    this.#slot = new Slot(0, active);
  }

  get size(): number {
    return this.#slot.layer.size;
  }

  get readonly(): boolean {
    return this.#slot.layer.readonly;
  }

  get active(): Layer {
    return this.#slot.layer;
  }

  read(offset: number, into: readonly Uint8Array[]): Promise<void> {
    return this.#range('read', offset, totalLength(into), layer => layer.read(offset, into));
  }

  /**
   * Reads what a request read that was pending at the last switch, also when newer writes have come since (C10). No
   * write that was pending may overlap it (C11).
   */
  readAtMoment(offset: number, into: readonly Uint8Array[]): Promise<void> {
    return (this.#momentLayer ?? this).read(offset, into);
  }

  write(offset: number, from: readonly Uint8Array[]): Promise<void> {
    return this.#range('write', offset, totalLength(from), layer => layer.write(offset, from));
  }

  discard(offset: number, length: number): Promise<void> {
    return this.#range('discard', offset, length, layer => layer.discard(offset, length));
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.#range('write zeroes', offset, length, layer => layer.writeZeroes(offset, length));
  }

  flush(): Promise<void> {
    // Writes that completed before may be in a layer that has been switched away from.
    const others = [...this.#freezing];
    return this.#track('flush', 0, this.size, async layer => {
      const layers = new Set([...others, layer]);
      await all([...layers].map(one => (one.readonly ? Promise.resolve() : one.flush())));
    });
  }

  /** Closes the chain after the requests that run. */
  async close(): Promise<void> {
    await this.#graph.run(async () => {
      await this.beginMoment().settled;
      try {
        await this.flush();
      } finally {
        await closeChain(this.active);
      }
    });
  }

  /** Runs steps that change the chain one after the other; checkpoints and jobs alike. */
  exclusively<Result>(step: () => Promise<Result>): Promise<Result> {
    return this.#graph.run(step);
  }

  /** Divides the stream of requests here, in constant time. */
  beginMoment(): Moment {
    const former = this.#slot;
    this.#slot = new Slot(former.epoch + 1, former.layer);
    this.#earlier.add(former);
    const closed = former.close().then(() => {
      this.#earlier.delete(former);
    });
    const slots = [...this.#earlier];
    return {
      epoch: former.epoch,
      pending: () => slots.flatMap(slot => [...slot.requests]),
      settled: Promise.all([closed, ...slots.map(slot => slot.close())]).then(() => undefined),
    };
  }

  /**
   * Makes an overlay of the active layer the active one, in constant time and without waiting. The overlay must be
   * durable, and so must be whatever names it as the machine's disk (C1, C2).
   */
  switchTo(overlay: Layer): Switch {
    const parent = this.#slot.layer;
    if (overlay.backing !== parent || overlay.size !== this.size) {
      throw new AfterimageError('usage', 'Only an overlay of the active layer can follow it', { file: overlay.path });
    }
    const moment = this.beginMoment();
    this.#momentLayer = parent;
    this.#slot.layer = overlay;
    this.#freezing.add(parent);
    return { moment, frozen: this.#freeze(parent, moment.settled) };
  }

  /** Tries again what `Switch.frozen` has failed at. */
  async freezeAgain(layer: Layer): Promise<void> {
    if (this.#freezing.has(layer)) await this.#freeze(layer, this.#settledBefore());
  }

  async #freeze(layer: Layer, settled: Promise<void>): Promise<void> {
    await settled;
    await layer.flush();
    if (layer === this.active) return;
    layer.freeze();
    this.#freezing.delete(layer);
  }

  async #settledBefore(): Promise<void> {
    await Promise.all([...this.#earlier].map(slot => slot.close()));
  }

  /**
   * Waits until no request runs in a range, and lets none begin there until the returned function is called. To be
   * taken one at a time by whoever takes it.
   */
  async hold(offset = 0, length = this.size): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const hold: Hold = { start: offset, end: offset + length, released: promise };
    const running = this.#requestsIn(hold);
    const holds = [...this.#holds].filter(other => other.start < hold.end && hold.start < other.end);
    this.#holds.add(hold);
    const release = () => {
      this.#holds.delete(hold);
      resolve();
    };
    await Promise.all([...running.map(request => this.#done(request)), ...holds.map(other => other.released)]);
    return release;
  }

  /**
   * Makes a layer below the active one, with the same content, active instead of it. Only under a `hold` of the whole
   * disk.
   */
  replaceActive(layer: Layer): void {
    if (layer.size !== this.size) {
      throw new AfterimageError('usage', 'The layers differ in size', { file: layer.path });
    }
    const former = this.active;
    // Requests that wait at the hold may be of earlier epochs.
    for (const slot of [...this.#earlier, this.#slot]) if (slot.layer === former) slot.layer = layer;
  }

  #requestsIn(hold: Hold): PendingRequest[] {
    const requests = [...this.#earlier, this.#slot].flatMap(slot => [...slot.requests]);
    return requests.filter(({ offset, length }) => offset < hold.end && hold.start < offset + length);
  }

  #done(request: PendingRequest): Promise<void> {
    return new Promise(resolve => {
      const waiting = this.#whenDone.get(request);
      if (waiting === undefined) this.#whenDone.set(request, [resolve]);
      else waiting.push(resolve);
    });
  }

  #range(
    kind: 'read' | 'write' | 'discard' | 'write zeroes',
    offset: number,
    length: number,
    step: (layer: Layer) => Promise<void>,
  ): Promise<void> {
    const refused = refusal(this, kind, offset, length);
    if (refused !== undefined) return Promise.reject(refused);
    return length > 0 ? this.#track(kind, offset, length, step) : Promise.resolve();
  }

  async #track(
    kind: PendingRequest['kind'],
    offset: number,
    length: number,
    step: (layer: Layer) => Promise<void>,
  ): Promise<void> {
    const slot = this.#slot;
    const request: PendingRequest = { kind, offset, length, epoch: slot.epoch };
    slot.requests.add(request);
    try {
      if (this.#holds.size > 0) await this.#passHolds(request);
      // Only now: a hold may have replaced the slot's layer by one of the same content.
      await step(slot.layer);
    } finally {
      slot.remove(request);
      if (this.#whenDone.size > 0) this.#tellDone(request);
    }
  }

  #tellDone(request: PendingRequest): void {
    const waiting = this.#whenDone.get(request);
    this.#whenDone.delete(request);
    for (const resolve of waiting ?? []) resolve();
  }

  async #passHolds(request: PendingRequest): Promise<void> {
    // Holds that are taken later wait for this request, so only those that are there now count.
    for (const hold of [...this.#holds]) {
      if (request.offset < hold.end && hold.start < request.offset + request.length) await hold.released;
    }
  }
}

async function all(steps: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find(result => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
