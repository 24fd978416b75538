// The colours of the picture, read from the legend, where the style sheet has set them for the present theme.
import { CATEGORIES, type PageCategory } from './categories.ts';
import { type Palette, word } from './paint.ts';

/** `swatches`: an element per category, which its `data-swatch` names, with the colour as its text colour. */
export function readPalette(swatches: readonly HTMLElement[], canvas: HTMLElement): Palette {
  const colourOf = (name: PageCategory) => {
    const element = swatches.find(swatch => swatch.dataset.swatch === name);
    return element === undefined ? 0 : word(getComputedStyle(element).color);
  };
  const colours = Object.fromEntries(CATEGORIES.map(name => [name, colourOf(name)])) as Record<PageCategory, number>;
  const style = getComputedStyle(canvas);
  return { colours, background: word(style.backgroundColor), faded: word(style.color) };
}
