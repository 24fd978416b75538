// A console's text as a small picture.
import type { ScreenText } from '../../../engine/api/checkpoints.ts';

/** Height of a character cell as a multiple of its width, as in usual terminal fonts. */
const CELL_RATIO = 2;
/** Share of a cell's height that the font has. */
const FONT_SHARE = 0.82;

export interface PictureSize {
  readonly width: number;
  readonly height: number;
  /** Width of one character cell. */
  readonly cell: number;
}

/** The whole screen within the width, in the same unit. */
export function pictureSize(screen: Pick<ScreenText, 'columns' | 'rows'>, width: number): PictureSize {
  const columns = Math.max(20, screen.columns);
  const rows = Math.max(6, Math.min(screen.rows, 200));
  const cell = width / columns;
  return { width, height: Math.ceil(rows * cell * CELL_RATIO), cell };
}

/** Draws what can be seen: the last `rows` lines, cut at the right edge. */
export function drawScreen(
  context: CanvasRenderingContext2D,
  screen: ScreenText,
  size: PictureSize,
  colours: { readonly text: string; readonly background: string; readonly font: string },
): void {
  const line = size.cell * CELL_RATIO;
  context.fillStyle = colours.background;
  context.fillRect(0, 0, size.width, size.height);
  context.fillStyle = colours.text;
  context.textBaseline = 'middle';
  context.font = `${line * FONT_SHARE}px ${colours.font}`;
  // Fonts differ in width; the picture keeps the terminal's columns.
  const natural = context.measureText('M'.repeat(20)).width / 20;
  const stretch = natural > 0 ? size.cell / natural : 1;
  const rows = Math.floor(size.height / line);
  for (const [row, text] of screen.lines.slice(-rows).entries()) {
    if (text.trim() === '') continue;
    context.save();
    context.translate(0, (row + 0.5) * line);
    context.scale(stretch, 1);
    context.fillText(text.slice(0, Math.max(20, screen.columns)), 0, 0);
    context.restore();
  }
}
