// Changes of a tree as functions from one state to the next.
import type { Hex } from './format.ts';
import type { TreeRecord, TreeState } from './tree-file.ts';

type Nodes = ReadonlyMap<Hex, TreeRecord>;

/** The node, or the nearest of those it came after, that is listed. */
export function nearestListed(nodes: Nodes, id: Hex | undefined): Hex | undefined {
  return nearest(nodes, id, record => !record.hidden);
}

/** Takes nodes off the list; what came after them, and the current position, come after their parents then. */
export function withHidden(state: TreeState, ids: readonly Hex[]): TreeState {
  const nodes = new Map(state.nodes);
  for (const id of ids) {
    const record = nodes.get(id);
    if (record !== undefined) nodes.set(id, { ...record, hidden: true });
  }
  return relinked(state, nodes, record => !record.hidden);
}

/** What is left of a tree when the process ends. */
export function durablePart(state: TreeState, isDurable: (record: TreeRecord) => boolean): TreeState {
  const nodes = new Map([...state.nodes].filter(([, record]) => isDurable(record)));
  return relinked(state, nodes, isDurable);
}

/** A node and all listed ones that come after it. */
export function subtreeOf(state: TreeState, root: Hex): Hex[] {
  const listed = [...state.nodes.values()].filter(record => !record.hidden);
  const children = Map.groupBy(listed, record => record.parent);
  const ids = [root];
  for (const id of ids) for (const child of children.get(id) ?? []) ids.push(child.id);
  return ids;
}

/** The state with these nodes, each linked to the nearest node before it that `stays`. */
function relinked(state: TreeState, nodes: Map<Hex, TreeRecord>, stays: (record: TreeRecord) => boolean): TreeState {
  // Links are followed through nodes that are no longer there too.
  const all = new Map([...state.nodes, ...nodes]);
  for (const [id, { parent: before, ...rest }] of nodes) {
    const parent = nearest(all, before, stays);
    if (parent !== before) nodes.set(id, parent === undefined ? rest : { ...rest, parent });
  }
  const { machine } = state;
  const current = nearest(all, state.current, stays);
  return current === undefined ? { machine, nodes } : { machine, nodes, current };
}

function nearest(nodes: Nodes, id: Hex | undefined, stays: (record: TreeRecord) => boolean): Hex | undefined {
  for (let at = id; at !== undefined; ) {
    const record = nodes.get(at);
    if (record === undefined || stays(record)) return record?.id;
    at = record.parent;
  }
  return undefined;
}
