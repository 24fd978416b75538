import { expect, test } from 'vitest';
import { takeMany } from './many.ts';

test('200 checkpoints in a row leave no files, bytes or handles behind', async () => {
  const { files, bytes, openFiles, longestChain } = await takeMany(200);
  expect(openFiles).toBe(0);
  expect(files.late).toBeLessThanOrEqual(files.early + 1);
  expect(bytes.late).toBeLessThan(1.3 * bytes.early);
  expect(longestChain).toBeLessThan(16);
});
