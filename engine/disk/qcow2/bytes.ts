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

/** Waits for all, so that no buffer is in use afterwards, then throws the first failure. */
export async function allOf(steps: readonly Promise<unknown>[]): Promise<void> {
  if (steps.length === 1) {
    await steps[0];
    return;
  }
  for (const result of await Promise.allSettled(steps)) {
    if (result.status === 'rejected') throw result.reason;
  }
}
