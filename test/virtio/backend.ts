import type { BlockBackend, BlockRequest, BlockStatus } from '../../engine/devices/virtio/block/backend.ts';
import type { FakeMemory } from './memory.ts';

interface Waiting {
  readonly request: BlockRequest;
  readonly finish: (status: BlockStatus) => void;
}

/**
 * A disk in memory whose requests complete when the test says, in any order. Requests take effect on the disk when
 * they are submitted, so that overlapping ones keep their order; what a read found reaches memory when it completes.
 */
export class ScriptedBackend implements BlockBackend {
  readonly readonly: boolean;
  content: Uint8Array;
  readonly log: BlockRequest[] = [];
  readonly waiting: Waiting[] = [];
  /** Completes each request before `submit` returns. */
  immediate = false;
  readonly #memory: FakeMemory;
  #whenResized: (size: number) => void = () => {};

  constructor(memory: FakeMemory, size: number, readonly = false) {
    this.#memory = memory;
    this.content = new Uint8Array(size);
    this.readonly = readonly;
  }

  get size(): number {
    return this.content.length;
  }

  whenResized(listener: (size: number) => void): void {
    this.#whenResized = listener;
  }

  grow(size: number): void {
    const before = this.content;
    this.content = new Uint8Array(size);
    this.content.set(before);
    this.#whenResized(size);
  }

  submit(request: BlockRequest, done: (status: BlockStatus) => void): void {
    this.log.push(request);
    const { kind, offset, length, segments } = request;
    if (offset < 0 || offset + length > this.size || offset % 512 !== 0 || length % 512 !== 0) {
      throw new Error(`Device asked for ${kind} of ${length} bytes at ${offset}`);
    }
    const found = kind === 'read' ? this.content.slice(offset, offset + length) : undefined;
    if (kind === 'write') {
      let at = offset;
      for (const segment of segments) {
        this.content.set(this.#memory.bytes(segment), at);
        at += segment.length;
      }
      if (at !== offset + length) throw new Error('Segments and length differ');
    } else if (kind === 'write-zeroes' || kind === 'discard') {
      this.content.fill(0, offset, offset + length);
    }
    const finish = (status: BlockStatus) => {
      if (found !== undefined && status === 'ok') {
        let at = 0;
        for (const segment of segments) {
          this.#memory.bytes(segment).set(found.subarray(at, at + segment.length));
          at += segment.length;
        }
        if (at !== length) throw new Error('Segments and length differ');
      }
      done(status);
    };
    if (this.immediate) finish('ok');
    else this.waiting.push({ request, finish });
  }

  /** Completes the waiting request at `index`, the oldest unless said; false when there is none. */
  complete(index = 0, status: BlockStatus = 'ok'): boolean {
    const [waiting] = this.waiting.splice(index, 1);
    waiting?.finish(status);
    return waiting !== undefined;
  }

  completeAll(): void {
    while (this.complete()) {
      // Completing may submit more.
    }
  }
}
