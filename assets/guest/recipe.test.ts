import { expect, test } from 'vitest';
import { ownFiles, recipeHash } from './recipe.ts';

test('our files have fixed order, modes and line ends', () => {
  const files = ownFiles();
  const names = files.map(({ path }) => path);
  expect(names).toEqual([...names].sort());
  expect(names).toContain('init');
  for (const { path, mode, data } of files) {
    expect(mode).toBe(path === 'init' || path.startsWith('bin/') ? 0o755 : 0o644);
    expect(data.includes(13)).toBe(false);
    expect(data.at(-1)).toBe(10);
  }
});

test('the hash names the recipe: any change of a file gives another, the same gives the same', () => {
  const files = ownFiles();
  const hash = recipeHash(files);
  expect(hash).toMatch(/^[0-9a-f]{32}$/);
  expect(recipeHash()).toBe(hash);
  const [first, ...others] = files;
  expect(recipeHash([{ ...first!, data: Buffer.concat([first!.data, Buffer.from('#')]) }, ...others])).not.toBe(hash);
  expect(recipeHash([{ ...first!, path: `${first!.path}x` }, ...others])).not.toBe(hash);
  expect(recipeHash(others)).not.toBe(hash);
});
