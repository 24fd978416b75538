import { expect, test } from 'vitest';
import { Depths } from './depths.ts';

test('remembers depths of blocks anywhere, the top included, and nothing else', () => {
  const depths = new Depths();
  const blocks = [0, 1, 16_383, 16_384, 5_000_000];
  expect(blocks.map(block => depths.get(block))).toEqual(blocks.map(() => undefined));
  for (const [depth, block] of blocks.entries()) depths.set(block, depth);
  expect(blocks.map(block => depths.get(block))).toEqual([0, 1, 2, 3, 4]);
  expect(depths.get(2)).toBeUndefined();
});

test('forgets rather than grow without bound, and does not take what it cannot tell apart', () => {
  const depths = new Depths();
  depths.set(0, 255);
  expect(depths.get(0)).toBeUndefined();
  for (let chunk = 0; chunk <= 256; chunk += 1) depths.set(chunk * 16_384, 7);
  expect(depths.get(0)).toBeUndefined();
  expect(depths.get(256 * 16_384)).toBe(7);
});
