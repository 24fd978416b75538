// Which of many texts a few typed letters mean.

/** Items whose text has all letters in order, the best fit first; all of them, as they are, for no letters. */
export function rank<Item>(typed: string, items: readonly Item[], textOf: (item: Item) => string): readonly Item[] {
  const letters = typed.toLowerCase().replace(/\s+/g, '');
  if (letters === '') return items;
  return items
    .map((item, index) => ({ item, index, score: score(letters, textOf(item).toLowerCase()) }))
    .filter(({ score: points }) => points > 0)
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .map(({ item }) => item);
}

/** 0: does not fit. Starts of words and runs of letters count more than letters here and there. */
function score(letters: string, text: string): number {
  const compact = text.indexOf(letters);
  let points = compact === 0 ? 1000 : compact > 0 ? (isStart(text, compact) ? 500 : 200) : 1;
  let at = 0;
  let run = 0;
  for (const letter of letters) {
    const found = text.indexOf(letter, at);
    if (found === -1) return 0;
    run = found === at ? run + 1 : 1;
    points += run + (isStart(text, found) ? 8 : 0) - Math.min(5, found - at);
    at = found + 1;
  }
  return Math.max(1, points - text.length / 50);
}

const isStart = (text: string, index: number) => index === 0 || /\W/.test(text[index - 1]!);
