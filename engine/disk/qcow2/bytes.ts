// Big-endian numbers of qcow2, and waiting for many steps.
import { MOST_OFFSET } from './limits.ts';

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit number; those above `MOST_OFFSET` come out as infinity, so that every bound refuses them. */
export function readU64(view: DataView, at: number): number {
  const value = view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  return value > MOST_OFFSET ? Number.POSITIVE_INFINITY : value;
}

export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Steps that run at the same time, with buffers that belong to the caller again when all have ended. */
export class Steps {
  readonly #steps: Promise<unknown>[] = [];

  add(step: Promise<unknown>): void {
    // Its failure is told by `finish`, which may come much later.
    step.catch(() => undefined);
    this.#steps.push(step);
  }

  /** Runs what starts the steps, waits for all of them, and throws the first failure. */
  async finish(start: () => Promise<void>): Promise<void> {
    try {
      await start();
    } finally {
      await Promise.allSettled(this.#steps);
    }
    for (const step of this.#steps) await step;
  }
}
