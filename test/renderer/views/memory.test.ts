// The picture of memory: what is drawn where, and what it is called.
import { expect, test } from 'vitest';
import { PAGE_BITS } from '../../../engine/api/memory.ts';
import { CATEGORIES, categoriesOf, categoryIndex, stands } from '../../../renderer/views/memory/categories.ts';
import { cellAt, cellPlace, cellsFor, fitGrid, moveCell, pagesOf } from '../../../renderer/views/memory/grid.ts';
import { addressOfPage, parseRange, parseSize } from '../../../renderer/views/memory/page-ranges.ts';
import { type Palette, paint, word } from '../../../renderer/views/memory/paint.ts';

test('each kind of page is drawn as itself, and the rarest wins', () => {
  const drawn = (bits: number) => CATEGORIES[categoryIndex(bits)];
  expect(drawn(0)).toBe('identity');
  expect(drawn(PAGE_BITS.virtualized)).toBe('identity');
  for (const name of CATEGORIES) if (name !== 'identity') expect(drawn(PAGE_BITS[name])).toBe(name);
  expect(drawn(PAGE_BITS.dirty | PAGE_BITS.remapped)).toBe('remapped');
  expect(drawn(255)).toBe('pinned');
});

test('all that a page is is told', () => {
  expect(categoriesOf(0)).toEqual(['identity']);
  expect(categoriesOf(PAGE_BITS.dirty | PAGE_BITS.held | PAGE_BITS.virtualized)).toEqual(['dirty', 'held']);
  expect(stands(PAGE_BITS.dirty | PAGE_BITS.held, 'dirty')).toBe(true);
  expect(stands(PAGE_BITS.dirty, 'identity')).toBe(true);
  expect(stands(PAGE_BITS.dirty | PAGE_BITS.remapped, 'identity')).toBe(false);
  expect(stands(PAGE_BITS.virtualized, 'identity')).toBe(true);
});

test('a grid holds all cells within its canvas, and a larger one would not', () => {
  for (const cells of [1, 2, 100, 4096, 65_536, 131_072]) {
    for (const [width, height] of [
      [800, 400],
      [390, 600],
      [1600, 900],
    ] as const) {
      const grid = fitGrid(cells, width, height);
      expect(grid.columns * grid.pitch).toBeLessThanOrEqual(width);
      expect(grid.rows * grid.columns).toBeGreaterThanOrEqual(cells);
      expect((grid.rows - 1) * grid.columns).toBeLessThan(cells);
      if (grid.pitch > 1) expect(grid.rows * grid.pitch).toBeLessThanOrEqual(height);
    }
  }
});

test('cells asked for are groups of a power of two that can be seen', () => {
  expect(cellsFor(1000, 800, 400, 3)).toBe(1000);
  const cells = cellsFor(262_144, 800, 400, 3);
  expect(cells).toBeLessThanOrEqual(Math.floor(800 / 3) * Math.floor(400 / 3));
  expect(Math.log2(262_144 / cells) % 1).toBe(0);
  expect(fitGrid(cells, 800, 400).pitch).toBeGreaterThanOrEqual(3);
});

test('points and cells belong together', () => {
  const grid = fitGrid(1000, 640, 480);
  for (const cell of [0, 1, grid.columns, 999]) {
    const { x, y } = cellPlace(grid, cell);
    expect(cellAt(grid, x, y)).toBe(cell);
    expect(cellAt(grid, x + grid.pitch - 0.5, y + grid.pitch - 0.5)).toBe(cell);
  }
  expect(cellAt(grid, grid.columns * grid.pitch, 0)).toBeUndefined();
  expect(cellAt(grid, -1, 0)).toBeUndefined();
  expect(cellAt(grid, 0, grid.rows * grid.pitch)).toBeUndefined();
});

test('arrow keys stay within the picture and in their column', () => {
  const grid = { columns: 10, rows: 4, pitch: 5, gap: 1, cells: 35 };
  const after = (cell: number, key: string) => moveCell(grid, cell, key);
  expect([after(0, 'ArrowLeft'), after(34, 'ArrowRight'), after(3, 'ArrowUp'), after(28, 'ArrowDown')]).toEqual([
    0, 34, 3, 28,
  ]);
  expect([after(3, 'ArrowDown'), after(23, 'ArrowUp'), after(3, 'PageDown'), after(8, 'PageDown')]).toEqual([
    13, 13, 33, 28,
  ]);
  expect([after(33, 'PageUp'), after(9, 'End'), after(9, 'Home'), after(9, 'x')]).toEqual([3, 34, 0, 9]);
});

test('the last group may be smaller', () => {
  const view = { first: 0, group: 8, totalPages: 20 };
  expect(pagesOf(view, 1)).toEqual({ first: 8, count: 8 });
  expect(pagesOf(view, 2)).toEqual({ first: 16, count: 4 });
});

const PALETTE: Palette = {
  colours: { identity: 1, zero: 2, dirty: 3, remapped: 4, shared: 5, held: 6, absent: 7, pinned: 8 },
  background: 100,
  faded: 50,
};

test('cells are painted in their colours with gaps between', () => {
  const picture = { width: 12, height: 12, pixels: new Uint32Array(144) };
  const grid = { columns: 2, rows: 2, pitch: 6, gap: 1, cells: 3 };
  paint(picture, grid, Uint8Array.of(0, PAGE_BITS.zero, PAGE_BITS.held), PALETTE, undefined);
  const at = (x: number, y: number) => picture.pixels[y * 12 + x];
  expect([at(0, 0), at(4, 4), at(5, 0), at(0, 5)]).toEqual([1, 1, 100, 100]);
  expect([at(6, 0), at(10, 4), at(0, 6), at(4, 10), at(6, 6)]).toEqual([2, 2, 6, 6, 100]);
});

test('what the legend points out stands out, also where something rarer would be drawn', () => {
  const picture = { width: 3, height: 1, pixels: new Uint32Array(3) };
  const grid = { columns: 3, rows: 1, pitch: 1, gap: 0, cells: 3 };
  paint(picture, grid, Uint8Array.of(PAGE_BITS.dirty | PAGE_BITS.held, PAGE_BITS.dirty, 0), PALETTE, 'dirty');
  expect([...picture.pixels]).toEqual([3, 3, 50]);
});

test('fewer bytes than cells leave the rest empty', () => {
  const picture = { width: 2, height: 2, pixels: new Uint32Array(4) };
  paint(picture, { columns: 2, rows: 2, pitch: 1, gap: 0, cells: 4 }, Uint8Array.of(0), PALETTE, undefined);
  expect([...picture.pixels]).toEqual([1, 100, 100, 100]);
});

test('colours become words of the canvas', () => {
  expect(word('#102030')).toBe(0xff302010);
  expect(word('rgb(16, 32, 48)')).toBe(0xff302010);
  expect(word('red')).toBe(0xff000000);
});

test('sizes and ranges are read as people type them', () => {
  expect(['64M', '64 MiB', '0x1000', '4096', '1.5k', '2gb'].map(parseSize)).toEqual([
    2 ** 26,
    2 ** 26,
    4096,
    4096,
    1536,
    2 ** 31,
  ]);
  expect(['', 'x', '-1', '1 2', '4T'].map(parseSize)).toEqual(Array(5).fill(undefined));
  expect(parseRange('', '', 100)).toEqual({ first: 0, count: 100 });
  expect(parseRange('4K', '4097', 100)).toEqual({ first: 1, count: 2 });
  expect(parseRange('2048', '4096', 100)).toEqual({ first: 0, count: 2 });
  expect([parseRange('0', '1M', 100), parseRange('x', '', 100), parseRange('', '0', 100)]).toEqual(
    Array(3).fill(undefined),
  );
  expect(addressOfPage(1)).toBe('0x80001000');
});
