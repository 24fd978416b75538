import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { RecordRing, SharedRing } from './shared-ring.ts';

/** The tests' own random numbers (a 32-bit linear congruence, high bits), so that a failing seed can be run again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('SharedRing', () => {
  it('gives back what was written, in order, across the wrap', () => {
    const ring = SharedRing.create(8);
    const into = new Uint8Array(8);
    for (let round = 0; round < 50; round++) {
      const bytes = Uint8Array.from({ length: (round % 8) + 1 }, (_, i) => round * 7 + i);
      expect(ring.write(bytes)).toBe(bytes.length);
      expect(ring.available).toBe(bytes.length);
      expect(ring.room).toBe(8 - bytes.length);
      expect(ring.read(into)).toBe(bytes.length);
      expect(into.subarray(0, bytes.length)).toEqual(bytes);
      expect(ring.available).toBe(0);
    }
  });

  it('takes only what fits and gives only what is there', () => {
    const ring = SharedRing.create(16);
    const bytes = Uint8Array.from({ length: 20 }, (_, i) => i + 1);
    expect(ring.write(bytes)).toBe(16);
    expect(ring.room).toBe(0);
    expect(ring.write(bytes)).toBe(0);
    const into = new Uint8Array(32);
    expect(ring.read(into.subarray(0, 5))).toBe(5);
    expect(ring.write(bytes.subarray(16))).toBe(4);
    expect(ring.read(into.subarray(5))).toBe(15);
    expect(into.subarray(0, 20)).toEqual(bytes);
    expect(ring.read(into)).toBe(0);
    expect(ring.write(new Uint8Array(0))).toBe(0);
    expect(ring.read(new Uint8Array(0))).toBe(0);
  });

  it('peeks without taking and refuses to skip what is not there', () => {
    const ring = SharedRing.create(8);
    ring.write(Uint8Array.of(1, 2, 3));
    const into = new Uint8Array(2);
    expect(ring.peek(into)).toBe(2);
    expect(ring.peek(into)).toBe(2);
    expect([...into]).toEqual([1, 2]);
    ring.skip(2);
    expect(ring.available).toBe(1);
    expect(() => ring.skip(2)).toThrow(/skip more/);
    expect(ring.available).toBe(1);
  });

  it('writes two parts together or not at all', () => {
    const ring = SharedRing.create(8);
    expect(ring.writeBoth(Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8, 9))).toBe(false);
    expect(ring.available).toBe(0);
    expect(ring.writeBoth(Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5))).toBe(true);
    const into = new Uint8Array(8);
    expect(ring.read(into)).toBe(5);
    expect([...into.subarray(0, 5)]).toEqual([1, 2, 3, 4, 5]);
  });

  it.each([1, 2, 3, 4])('agrees with a plain queue under random use, seed %i', seed => {
    const random = randomFrom(seed);
    const ring = SharedRing.create(8 << random(6));
    const queue: number[] = [];
    let next = 0;
    for (let step = 0; step < 4000; step++) {
      const length = random(ring.capacity + 10);
      if (random(2) === 0) {
        const bytes = Uint8Array.from({ length }, () => next++ & 255);
        const took = ring.write(bytes);
        expect(took).toBe(Math.min(length, ring.capacity - queue.length));
        next -= length - took;
        queue.push(...bytes.subarray(0, took));
      } else {
        const into = new Uint8Array(length);
        const got = ring.read(into);
        expect([...into.subarray(0, got)]).toEqual(queue.splice(0, length));
      }
      expect(ring.available).toBe(queue.length);
    }
  });

  it('works on when its positions pass 2^32', () => {
    const ring = SharedRing.create(16);
    // The positions as they stand just before the wrap: head at index 0, tail one cache line further.
    const positions = new Int32Array(ring.buffer, 0, 32);
    positions[0] = -10;
    positions[16] = -10;
    const into = new Uint8Array(16);
    for (let round = 0; round < 10; round++) {
      const bytes = Uint8Array.from({ length: 13 }, (_, i) => round + i);
      expect(ring.write(bytes)).toBe(13);
      expect(ring.room).toBe(3);
      expect(ring.read(into)).toBe(13);
      expect(into.subarray(0, 13)).toEqual(bytes);
    }
  });

  it('refuses capacities that are not powers of two', () => {
    for (const capacity of [0, 1, 4, 12, 100, -8, 2 ** 31]) expect(() => SharedRing.create(capacity)).toThrow(/power/);
    expect(() => SharedRing.over(new SharedArrayBuffer(100))).toThrow(/power/);
  });

  it('carries 64 MiB between two threads byte for byte', async () => {
    const total = 64 * 2 ** 20;
    const ring = SharedRing.create(1 << 16);
    const worker = new Worker(new URL('../../test/host/ring-producer.ts', import.meta.url), {
      workerData: { buffer: ring.buffer, total, records: false },
    });
    const into = new Uint8Array(50_000);
    let count = 0;
    while (count < total) {
      const got = ring.read(into);
      // Comparing by word: one expect per byte would take minutes.
      for (let i = 0; i < got; i++) {
        if (into[i] !== byteAt(count + i)) expect.fail(`byte ${count + i} is ${into[i]}`);
      }
      count += got;
    }
    await once(worker, 'exit');
    expect(ring.available).toBe(0);
  });
});

describe('RecordRing', () => {
  it('keeps the borders of records, empty ones included', () => {
    const ring = RecordRing.create(64);
    const records = [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(9)];
    for (const record of records) expect(ring.push(record)).toBe(true);
    for (const record of records) expect(ring.shift()?.slice()).toEqual(record);
    expect(ring.shift()).toBeUndefined();
    expect(ring.empty).toBe(true);
  });

  it('takes a record whole or not at all', () => {
    const ring = RecordRing.create(32);
    expect(ring.push(new Uint8Array(20).fill(1))).toBe(true);
    expect(ring.push(new Uint8Array(5).fill(2))).toBe(false);
    expect(ring.push(new Uint8Array(4).fill(3))).toBe(true);
    expect(ring.shift()?.length).toBe(20);
    expect(ring.shift()?.slice()).toEqual(new Uint8Array(4).fill(3));
    expect(ring.longest).toBe(28);
    expect(ring.push(new Uint8Array(28))).toBe(true);
    expect(() => ring.push(new Uint8Array(29))).toThrow(/longer/);
  });

  it('reports framing that makes no sense instead of reading on', () => {
    const bytes = SharedRing.create(32);
    const ring = RecordRing.over(bytes.buffer);
    bytes.write(Uint8Array.of(255, 0, 0, 0, 1));
    expect(() => ring.shift()).toThrow(/framing/);
  });

  it('carries records of every length between two threads', async () => {
    const total = 32 * 2 ** 20;
    const ring = RecordRing.create(1 << 14);
    const worker = new Worker(new URL('../../test/host/ring-producer.ts', import.meta.url), {
      workerData: { buffer: ring.buffer, total, records: true },
    });
    let count = 0;
    let expected = 0;
    while (count < total) {
      const record = ring.shift();
      if (record === undefined) continue;
      if (record.length !== expected) expect.fail(`a record of ${record.length} bytes instead of ${expected}`);
      for (let i = 0; i < record.length; i++) {
        if (record[i] !== byteAt(count + i)) expect.fail(`byte ${count + i} is ${record[i]}`);
      }
      count += record.length;
      expected = nextLength(expected);
    }
    await once(worker, 'exit');
    expect(ring.empty).toBe(true);
  });
});

/** The pattern of ring-producer.ts: its period divides no power of two, so a slip by any wrap shows. */
const byteAt = (position: number): number => (position % 251) ^ ((position >>> 16) & 255);
const nextLength = (length: number): number => (length + 37) % 9001;
