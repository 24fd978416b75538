// The picture of a strip of allocated ranges.
import type { RangeKind, StripColumn } from './range-strip.ts';

/** Draws columns side by side over the whole canvas: data at the bottom, then compressed, then zeroes. */
export function drawStrip(
  context: CanvasRenderingContext2D,
  columns: readonly StripColumn[],
  colours: Readonly<Record<RangeKind, string>>,
): void {
  const { height } = context.canvas;
  context.clearRect(0, 0, context.canvas.width, height);
  for (const [x, column] of columns.entries()) {
    let bottom = height;
    for (const kind of ['data', 'compressed', 'zero'] as const) {
      const part = column[kind];
      if (part <= 0) continue;
      // The least range is still to be seen.
      const tall = Math.max(part * height, height / 4);
      context.fillStyle = colours[kind];
      context.fillRect(x, bottom - tall, 1, tall);
      bottom -= tall;
    }
  }
}
