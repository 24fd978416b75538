/** Does a step for each item, at most `most` at a time; results are in the order of the items. The first failure is thrown. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  most: number,
  step: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  const waiting = items.entries();
  const worker = async () => {
    for (const [index, item] of waiting) results[index] = await step(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
  return results;
}
