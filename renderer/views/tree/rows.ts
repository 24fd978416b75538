// What the checkpoint tree shows, row by row: the present state, a checkpoint being taken, and checkpoints.
import type { CheckpointNode, CheckpointTreeView } from '../../../engine/api/checkpoints.ts';
import { linkShown } from './filter.ts';
import { type LayoutNode, layOut, type TreeLayout } from './layout.ts';

/** Identities of the two rows that are no checkpoints; those of checkpoints are hexadecimal. */
export const PRESENT = 'present';
export const TAKING = 'taking';

export interface CheckpointRow {
  readonly kind: 'checkpoint';
  readonly id: string;
  readonly node: CheckpointNode;
  /** Checkpoints between it and the one it is linked to that are not shown. */
  readonly skipped: number;
}

export type TreeRow =
  | CheckpointRow
  | { readonly kind: 'present'; readonly id: string }
  | { readonly kind: 'taking'; readonly id: string };

export interface TreeRows {
  readonly rows: readonly TreeRow[];
  readonly layout: TreeLayout;
  /** By the child's identity: how many are skipped on the way to its parent. */
  readonly skipped: ReadonlyMap<string, number>;
}

/** `current`: where the present state comes from. `taking`: a checkpoint is being taken, between that and the present. */
export function treeRows(
  tree: Pick<CheckpointTreeView, 'nodes'>,
  current: string | undefined,
  taking: boolean,
  shown: (node: CheckpointNode) => boolean,
): TreeRows {
  const links = linkShown(tree.nodes, shown);
  const rows = new Map<string, TreeRow>();
  const skipped = new Map<string, number>();
  const nodes: LayoutNode[] = [];
  for (const { member, parent, skipped: count } of links) {
    rows.set(member.id, { kind: 'checkpoint', id: member.id, node: member, skipped: count });
    if (count > 0 && parent !== undefined) skipped.set(member.id, count);
    nodes.push({ id: member.id, ...(parent !== undefined && { parent }), takenAt: member.takenAt });
  }
  const before = nearestShown(tree.nodes, current, rows);
  if (taking) {
    rows.set(TAKING, { kind: 'taking', id: TAKING });
    nodes.push({ id: TAKING, ...(before && { parent: before }), takenAt: Number.MAX_VALUE });
  }
  const parent = taking ? TAKING : before;
  rows.set(PRESENT, { kind: 'present', id: PRESENT });
  nodes.push({ id: PRESENT, ...(parent && { parent }), takenAt: Number.POSITIVE_INFINITY });
  const layout = layOut(nodes);
  return { rows: layout.nodes.map(node => rows.get(node.id)!), layout, skipped };
}

function nearestShown(
  nodes: readonly CheckpointNode[],
  id: string | undefined,
  shown: ReadonlyMap<string, TreeRow>,
): string | undefined {
  const byId = new Map(nodes.map(node => [node.id, node]));
  const met = new Set<string>();
  let next = id;
  while (next !== undefined && !shown.has(next) && !met.has(next)) {
    met.add(next);
    next = byId.get(next)?.parent;
  }
  return next !== undefined && shown.has(next) ? next : undefined;
}
