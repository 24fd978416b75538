import { AfterimageError } from '../base/errors.ts';
import type { Disk } from '../disk/disk.ts';

export interface BenchShape {
  readonly count: number;
  /** Requests in flight. */
  readonly depth: number;
  readonly requestBytes: number;
  readonly write: boolean;
  readonly random: boolean;
  /** Bytes from one request's place to the next one's, around the end of the disk; instead of `random`. */
  readonly step?: number;
}

export interface BenchResult {
  /** From the first request to the last answer, as `qemu-img bench` counts it. */
  readonly seconds: number;
  /** Making it durable afterwards; 0 for reads. */
  readonly flushSeconds: number;
  readonly requests: number;
  readonly bytes: number;
}

const SECTOR = 512;

/** Runs requests on a disk, some at a time, one after the other over the disk or at random places; flushes at the end. */
export async function benchDisk(disk: Disk, shape: BenchShape): Promise<BenchResult> {
  const { count, depth, requestBytes, write, random, step = requestBytes } = shape;
  const places = Math.floor(disk.size / requestBytes);
  if (requestBytes % SECTOR !== 0 || places === 0) {
    throw new AfterimageError('usage', 'Requests must be whole sectors and fit on the disk', { requestBytes });
  }
  let next = 0;
  // Any sequence without a pattern will do, the same for every run.
  let state = 1;
  const place = () => {
    if (!random) return Math.floor((next * step) / requestBytes) % places;
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * places);
  };
  const worker = async () => {
    const buffer = new Uint8Array(requestBytes).fill(0x5a);
    while (next < count) {
      const offset = place() * requestBytes;
      next += 1;
      await (write ? disk.write(offset, [buffer]) : disk.read(offset, [buffer]));
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: depth }, worker));
  const end = performance.now();
  if (write) await disk.flush();
  const flushSeconds = write ? (performance.now() - end) / 1000 : 0;
  return { seconds: (end - begin) / 1000, flushSeconds, requests: count, bytes: count * requestBytes };
}
