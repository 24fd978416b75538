import { expect, test } from 'vitest';
import { BufferPool } from './buffers.ts';

test('a pool lends its buffers to one at a time, and again', async () => {
  const pool = new BufferPool(1000);
  const seen = new Set<ArrayBufferLike>();
  const use = (length: number) =>
    pool.lend(length, async bytes => {
      expect(bytes.length).toBe(length);
      bytes.fill(length);
      seen.add(bytes.buffer);
      await Promise.resolve();
      expect(bytes.every(byte => byte === length % 256)).toBe(true);
    });
  await Promise.all([use(1000), use(10), use(0)]);
  expect(seen.size).toBe(3);
  await Promise.all([use(20), use(1000)]);
  expect(seen.size).toBe(3);
});

test('a buffer comes back from a step that fails, and longer ones are made for the step', async () => {
  const pool = new BufferPool(8);
  const buffers: ArrayBufferLike[] = [];
  const failing = pool.lend(8, bytes => {
    buffers.push(bytes.buffer);
    return Promise.reject(new Error('broken'));
  });
  await expect(failing).rejects.toThrow('broken');
  await pool.lend(9, async bytes => void expect(bytes.length).toBe(9));
  await pool.lend(8, async bytes => void expect(bytes.buffer).toBe(buffers[0]));
});
