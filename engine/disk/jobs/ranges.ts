import type { Layer } from '../chain/layer.ts';
import type { Job } from './job.ts';

/** Bytes that one step of a job moves: large enough for the host, small enough to be cancelled and held. */
export const PIECE_BYTES = 1024 * 1024;
/** Steps that run together, to keep the host's disk busy while data is on its way. */
const STEPS_TOGETHER = 6;
/** Entries looked up at a time: one slice of L2 entries or so at 64 KiB clusters. */
const LOOK_UP_BYTES = 128 * 1024 * 1024;

/** `below`: the layer says nothing about it. */
export interface Range {
  readonly kind: 'data' | 'zero' | 'below';
  readonly offset: number;
  readonly length: number;
}

/** What a layer itself says about its disk from one offset to another, in order, neighbours of one kind joined. */
export async function* rangesOf(layer: Layer, from: number, to: number): AsyncGenerator<Range> {
  for (let at = from; at < to; ) {
    const runs = await layer.allocation(at, Math.min(LOOK_UP_BYTES, to - at));
    let last: { kind: Range['kind']; offset: number; length: number } | undefined;
    for (const { kind, offset, length } of runs) {
      const meaning = kind === 'zero' ? 'zero' : kind === 'backing' ? 'below' : 'data';
      at = offset + length;
      if (last?.kind === meaning) {
        last.length += length;
        continue;
      }
      if (last !== undefined) yield last;
      last = { kind: meaning, offset, length };
    }
    if (last !== undefined) yield last;
  }
}

/** Several steps at once, in order of their start; the first failure stops the rest. */
export class Pipeline {
  readonly #running = new Set<Promise<void>>();
  readonly #job: Job;
  #failure: { readonly thrown: unknown } | undefined;

  constructor(job: Job) {
    this.#job = job;
  }

  /** Starts a step that moves so many bytes, when it is its turn. */
  async start(bytes: number, step: () => Promise<void>): Promise<void> {
    await this.#job.pace(bytes);
    while (this.#running.size >= STEPS_TOGETHER) await Promise.race(this.#running);
    if (this.#failure !== undefined) throw this.#failure.thrown;
    const running: Promise<void> = step()
      .then(() => this.#job.advance(bytes))
      .catch(thrown => {
        this.#failure ??= { thrown };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for all that was started, also after a failure. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  async finish(): Promise<void> {
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  /** Runs a body that starts steps; none runs any more when this returns or throws. */
  static async during(job: Job, body: (pipeline: Pipeline) => Promise<void>): Promise<void> {
    const pipeline = new Pipeline(job);
    try {
      await body(pipeline);
    } catch (thrown) {
      await pipeline.settle();
      throw thrown;
    }
    await pipeline.finish();
  }
}

/** Cuts a range into pieces that end on multiples of `piece`. */
export function* piecesOf(
  offset: number,
  length: number,
  piece = PIECE_BYTES,
): Generator<{ offset: number; length: number }> {
  for (let at = offset; at < offset + length; ) {
    const next = Math.min(offset + length, (Math.floor(at / piece) + 1) * piece);
    yield { offset: at, length: next - at };
    at = next;
  }
}
