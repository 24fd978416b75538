// Draws the picture of memory into the pixels of a canvas.
import { CATEGORIES, categoryIndex, type PageCategory, stands } from './categories.ts';
import type { Grid } from './grid.ts';

/** Colours as the canvas keeps them in a 32-bit word: alpha, blue, green, red from the top, on every usual host. */
export interface Palette {
  readonly colours: Readonly<Record<PageCategory, number>>;
  readonly background: number;
  /** Of cells that the legend does not point out. */
  readonly faded: number;
}

/** A computed colour, `rgb(r, g, b)`, or `#rrggbb`. Anything else is black. */
export function word(colour: string): number {
  const text = colour.trim();
  const digits = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text);
  const numbers = /^rgb\((\d+),? (\d+),? (\d+)\)$/.exec(text);
  const [red, green, blue] =
    digits !== null
      ? digits.slice(1).map(part => Number.parseInt(part, 16))
      : (numbers?.slice(1).map(part => Math.min(255, Number(part))) ?? []);
  return ((255 << 24) | ((blue ?? 0) << 16) | ((green ?? 0) << 8) | (red ?? 0)) >>> 0;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** One word per pixel, row after row; all are written. */
  readonly pixels: Uint32Array;
}

/** `pages`: the bits of each cell. With `pointedOut` only cells of that category keep their colour. */
export function paint(
  picture: Picture,
  grid: Grid,
  pages: Uint8Array,
  palette: Palette,
  pointedOut: PageCategory | undefined,
): void {
  const { pixels, width, height } = picture;
  const side = grid.pitch - grid.gap;
  const lookUp = coloursByBits(palette, pointedOut);
  pixels.fill(palette.background);
  const cells = Math.min(grid.cells, pages.length);
  for (let row = 0; row * grid.columns < cells; row += 1) {
    const top = row * grid.pitch;
    if (top + side > height) break;
    const start = row * grid.columns;
    const end = Math.min(start + grid.columns, cells);
    const line = top * width;
    for (let cell = start; cell < end; cell += 1) {
      const left = line + (cell - start) * grid.pitch;
      pixels.fill(lookUp[pages[cell] ?? 0] ?? 0, left, left + side);
    }
    const used = Math.min(width, grid.columns * grid.pitch);
    for (let below = 1; below < side; below += 1) pixels.copyWithin(line + below * width, line, line + used);
  }
}

function coloursByBits(palette: Palette, pointedOut: PageCategory | undefined): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, bits) => {
    if (pointedOut !== undefined) return stands(bits, pointedOut) ? palette.colours[pointedOut] : palette.faded;
    return palette.colours[CATEGORIES[categoryIndex(bits)] ?? 'identity'];
  });
}
