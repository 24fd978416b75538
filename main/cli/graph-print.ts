// Trees as text: a line of items goes straight down, what branches off stands to the right.
//
//   first
//   ├─one
//   │ two
//   second

export interface GraphItem<Item> {
  readonly id: string;
  readonly parent: string | undefined;
  readonly item: Item;
}

export interface Placed<Item> {
  /** What stands before it in its line. */
  readonly prefix: string;
  readonly item: Item;
  /** It stands on nothing that was drawn before, which is to be seen. */
  readonly isRoot: boolean;
}

/** The rows of a table, with an empty one before every root but the first. */
export function rowsOf<Item>(placed: readonly Placed<Item>[], row: (placed: Placed<Item>) => string[]): string[][] {
  return placed.flatMap((one, index) => (one.isRoot && index > 0 ? [[], row(one)] : [row(one)]));
}

/**
 * All items in drawing order, children in the order given. The way to `toward` goes straight down; where it does not
 * pass, the last child does. A parent that is not there makes its children roots; those that are each other's parents,
 * which is a mistake of others, are drawn too.
 */
export function laidOut<Item>(items: readonly GraphItem<Item>[], toward: string | undefined): Placed<Item>[] {
  const known = new Set(items.map(({ id }) => id));
  const children = new Map<string | undefined, GraphItem<Item>[]>();
  for (const one of items) {
    const parent = one.parent !== undefined && known.has(one.parent) ? one.parent : undefined;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [one]);
    else siblings.push(one);
  }
  const straightOn = wayTo(toward, items);
  const result: Placed<Item>[] = [];
  const seen = new Set<string>();
  const drawFrom = (root: GraphItem<Item>) => {
    // Lines that are still to be drawn, the next one last: lines can be long and deep, calls in calls could not.
    const open = [{ first: '', rest: '', one: root }];
    for (let line = open.pop(); line !== undefined; line = open.pop()) {
      const { first, rest, one } = line;
      if (seen.has(one.id)) continue;
      seen.add(one.id);
      result.push({ prefix: first, item: one.item, isRoot: one === root });
      const after = children.get(one.id) ?? [];
      const straight = after.find(({ id }) => straightOn.has(id)) ?? after.at(-1);
      if (straight === undefined) continue;
      open.push({ first: rest, rest, one: straight });
      const branches = after.filter(child => child !== straight);
      for (const child of branches.reverse()) open.push({ first: `${rest}├─`, rest: `${rest}│ `, one: child });
    }
  };
  for (const root of children.get(undefined) ?? []) drawFrom(root);
  for (const one of items) drawFrom(one);
  return result;
}

function wayTo(id: string | undefined, items: readonly GraphItem<unknown>[]): ReadonlySet<string> {
  const parents = new Map(items.map(one => [one.id, one.parent]));
  const result = new Set<string>();
  for (let at = id; at !== undefined && !result.has(at); at = parents.get(at)) result.add(at);
  return result;
}
