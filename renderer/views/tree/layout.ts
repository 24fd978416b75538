// Where each checkpoint of a tree is drawn: one row each, the newest at the top, and lanes for branches that exist side
// by side, as in a revision graph. Rows follow time, so a machine's whole day can be read downwards; the lineage of the
// present state is always the leftmost lane.

export interface LayoutNode {
  readonly id: string;
  /** Drawn below it. Unknown ones count as none. */
  readonly parent?: string;
  /** Milliseconds since 1970; infinite for the present state. */
  readonly takenAt: number;
}

export interface PlacedNode {
  readonly id: string;
  readonly row: number;
  readonly lane: number;
  /** 0 for the lineage of the first row, else 1 to COLOURS - 1. */
  readonly colour: number;
}

/** From a node down to its parent: straight in the child's lane, then over to the parent's in the last row. */
export interface PlacedEdge {
  readonly child: string;
  readonly parent: string;
  readonly childRow: number;
  readonly parentRow: number;
  readonly childLane: number;
  readonly parentLane: number;
  readonly colour: number;
}

export interface TreeLayout {
  /** By row. */
  readonly nodes: readonly PlacedNode[];
  /** By the row of the child. */
  readonly edges: readonly PlacedEdge[];
  readonly lanes: number;
  readonly rowOf: ReadonlyMap<string, number>;
}

/** As many as the palette has; more branches than that at one height repeat. */
export const COLOURS = 6;

/** Takes any input: two nodes of one identity count once, and of parents in a circle one link is ignored. */
export function layOut(input: readonly LayoutNode[]): TreeLayout {
  const byId = new Map<string, LayoutNode>();
  for (const node of input) if (!byId.has(node.id)) byId.set(node.id, node);
  return placeInLanes(inRows([...byId.values()], byId));
}

/** Newest first, but no parent above its child, whatever their clocks said. */
function inRows(nodes: readonly LayoutNode[], byId: ReadonlyMap<string, LayoutNode>): LayoutNode[] {
  const oldestFirst = nodes.toSorted((a, b) => (a.takenAt < b.takenAt ? -1 : a.takenAt > b.takenAt ? 1 : 0));
  const placed = new Set<string>();
  const rows: LayoutNode[] = [];
  for (const node of oldestFirst) {
    const waiting: LayoutNode[] = [];
    // A node counts as placed when it is met, so a circle ends the climb.
    for (let next: LayoutNode | undefined = node; next !== undefined && !placed.has(next.id); ) {
      placed.add(next.id);
      waiting.push(next);
      next = next.parent === undefined ? undefined : byId.get(next.parent);
    }
    rows.push(...waiting.toReversed());
  }
  return rows.reverse();
}

interface Lane {
  /** The node that the line in this lane leads down to. */
  readonly target: string;
  readonly colour: number;
}

function placeInLanes(rows: readonly LayoutNode[]): TreeLayout {
  const rowOf = new Map(rows.map((node, row) => [node.id, row]));
  const lanes: (Lane | undefined)[] = [];
  const pending = new Map<string, { child: string; childRow: number; childLane: number; colour: number }[]>();
  const nodes: PlacedNode[] = [];
  const edges: PlacedEdge[] = [];
  let most = 0;
  let turn = 0;

  for (const [row, node] of rows.entries()) {
    let lane = lanes.findIndex(entry => entry?.target === node.id);
    let colour: number;
    if (lane >= 0) {
      colour = lanes[lane]!.colour;
    } else {
      lane = lanes.indexOf(undefined);
      if (lane < 0) lane = lanes.length;
      colour = row === 0 ? 0 : freeColour(lanes, turn);
      if (row > 0) turn = colour;
    }
    nodes.push({ id: node.id, row, lane, colour });
    for (const [index, entry] of lanes.entries()) if (entry?.target === node.id) lanes[index] = undefined;
    for (const edge of pending.get(node.id) ?? []) {
      edges.push({ ...edge, parent: node.id, parentRow: row, parentLane: lane });
    }
    pending.delete(node.id);

    const parentRow = node.parent === undefined ? undefined : rowOf.get(node.parent);
    if (node.parent !== undefined && parentRow !== undefined && parentRow > row) {
      lanes[lane] = { target: node.parent, colour };
      const children = pending.get(node.parent) ?? [];
      children.push({ child: node.id, childRow: row, childLane: lane, colour });
      pending.set(node.parent, children);
    } else {
      lanes[lane] = undefined;
    }
    most = Math.max(most, lane + 1);
    while (lanes.length > 0 && lanes.at(-1) === undefined) lanes.pop();
  }
  edges.sort((a, b) => a.childRow - b.childRow);
  return { nodes, edges, lanes: most, rowOf };
}

/** The next colour in turn that no line at this height has; 0 belongs to the present state's lineage. */
function freeColour(lanes: readonly (Lane | undefined)[], turn: number): number {
  const used = new Set(lanes.map(lane => lane?.colour));
  for (let step = 1; step < COLOURS; step += 1) {
    const colour = ((turn - 1 + step) % (COLOURS - 1)) + 1;
    if (!used.has(colour)) return colour;
  }
  return (turn % (COLOURS - 1)) + 1;
}

/** The edges that touch rows `first` to `last`, both included. */
export function edgesWithin(layout: TreeLayout, first: number, last: number): readonly PlacedEdge[] {
  const touching: PlacedEdge[] = [];
  for (const edge of layout.edges) {
    if (edge.childRow > last) break;
    if (edge.parentRow >= first) touching.push(edge);
  }
  return touching;
}
