// The colours of the picture, read from the legend, where the style sheet has set them for the present theme.
import { CATEGORIES, type PageCategory } from './categories.ts';
import { type Palette, word } from './paint.ts';

/** `swatches`: an element per category, in their order, with the colour as its text colour. */
export function readPalette(swatches: readonly Element[], canvas: HTMLElement): Palette {
  const colour = (element: Element | undefined) => (element === undefined ? 0 : word(getComputedStyle(element).color));
  const colours = Object.fromEntries(
    CATEGORIES.map((name, index) => [name, colour(swatches[index])]),
  ) as unknown as Record<PageCategory, number>;
  const style = getComputedStyle(canvas);
  return { colours, background: word(style.backgroundColor), faded: word(style.color) };
}
