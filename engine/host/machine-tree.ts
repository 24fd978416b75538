// The checkpoints of a machine as its clients see them.
import type { CheckpointDetails, CheckpointNode, CheckpointTreeView, ScreenText } from '../api/checkpoints.ts';
import type { Retention } from '../api/machine.ts';
import { disksTable, requestsTable, type Screen, screenTable } from '../checkpoint/about.ts';
import { ZERO_BLOCK } from '../checkpoint/page-index.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';
import type { RetentionPolicy } from '../checkpoint/retention.ts';
import type { CheckpointTree, TreeNode } from '../checkpoint/tree.ts';
import { storeKind } from './machine-stores.ts';

const HOUR = 3_600_000;

export function treeView(tree: CheckpointTree): CheckpointTreeView {
  const { current } = tree;
  const nodes = tree.nodes.map(nodeView);
  const listed = nodes.some(({ id }) => id === current);
  return { nodes, hiddenBytes: tree.hiddenBytes, ...(current !== undefined && listed ? { current } : {}) };
}

function nodeView(node: TreeNode): CheckpointNode {
  return { ...node, store: storeKind(node.store) };
}

export async function checkpointDetails(tree: CheckpointTree, id: string): Promise<CheckpointDetails> {
  const node = nodeView(tree.node(id));
  const { own, shared } = await tree.sizes(id);
  const reader = await tree.open(id);
  try {
    const { disks } = (await reader.table(disksTable)) ?? { disks: [] };
    const requests = await reader.table(requestsTable);
    const screen = await reader.table(screenTable);
    return {
      ...node,
      ownBytes: own,
      sharedBytes: shared,
      memory: reader.spaces[0]?.bytes ?? 0,
      pages: pagesWithContent(reader),
      pendingRequests: requests?.requests.length ?? 0,
      disks: disks.map(({ device, layer, size }) => ({ device, size, ...(layer === undefined ? {} : { layer }) })),
      ...(screen === undefined ? {} : { screen: screenView(screen) }),
    };
  } finally {
    await reader.close();
  }
}

export function screenView({ columns, rows, lines }: Screen): ScreenText {
  return { columns, rows, lines };
}

function pagesWithContent(reader: CheckpointReader): number {
  return reader.runs(0).reduce((sum, { block, count }) => (block === ZERO_BLOCK ? sum : sum + count), 0);
}

export function retentionPolicy({ last, hourly, daily }: Retention): RetentionPolicy {
  return {
    latest: last,
    periods: [
      { milliseconds: HOUR, count: hourly },
      { milliseconds: 24 * HOUR, count: daily },
    ],
  };
}
