// The tree of checkpoints as text. A line of checkpoints goes straight down; what branched off stands to the right:
//
//   ● 3f2a91c0  installed    2 h ago  41 MiB   312 µs
//   ├─● 8812aa01  attempt    1 h ago  3.1 MiB  287 µs
//   │ ● 90be1f22  attempt 2  9 min ago ...
//   ● 5d01c3e7  upgraded     5 min ago ...            ◀ you are here
import type { CheckpointNode, CheckpointTreeView } from '../../engine/api/checkpoints.ts';
import { printable } from './explain.ts';
import { SHORT_IDENTITY } from './machine-command.ts';
import { age, pauseText, shortSize, table } from './texts.ts';

const HERE = '◀ you are here';
const LONGEST_NAME = 40;
const NARROWEST = 40;

interface Drawn {
  readonly prefix: string;
  readonly node: CheckpointNode;
}

/** `columns` is the width of the terminal, if there is one. */
export function treeLines(view: CheckpointTreeView, now: number, columns?: number): string[] {
  const { nodes, hiddenBytes } = view;
  if (nodes.length === 0) return ['There are no checkpoints'];
  const rows = drawn(nodes).map(({ prefix, node }) => [
    `${prefix}● ${node.id.slice(0, SHORT_IDENTITY)}  ${shortened(node.name)}`,
    age(node.takenAt, now),
    node.bytes === undefined ? 'no file' : shortSize(node.bytes),
    pauseText(node.pauseMicroseconds),
    marks(node).join(' '),
  ]);
  const lines = table(rows);
  if (hiddenBytes > 0) lines.push(`${shortSize(hiddenBytes)} of deleted checkpoints are kept for others`);
  const width = columns === undefined ? undefined : Math.max(NARROWEST, columns);
  return width === undefined ? lines : lines.map(line => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

function marks(node: CheckpointNode): string[] {
  const words: string[] = [];
  if (node.origin === 'automatic') words.push('automatic');
  if (node.protected) words.push('protected');
  if (node.store !== 'file') words.push(node.durable ? node.store : `${node.store}, until the machine ends`);
  const result = words.length === 0 ? [] : [`[${words.join(', ')}]`];
  if (node.current) result.push(HERE);
  return result;
}

function shortened(name: string): string {
  const text = printable(name);
  return [...text].length > LONGEST_NAME ? `${[...text].slice(0, LONGEST_NAME - 1).join('')}…` : text;
}

/** All nodes in drawing order. A parent that is not listed makes its children roots. */
function drawn(nodes: readonly CheckpointNode[]): Drawn[] {
  const known = new Set(nodes.map(({ id }) => id));
  const children = new Map<string | undefined, CheckpointNode[]>();
  for (const node of [...nodes].sort((one, other) => one.takenAt - other.takenAt)) {
    const parent = node.parent !== undefined && known.has(node.parent) ? node.parent : undefined;
    children.set(parent, [...(children.get(parent) ?? []), node]);
  }
  const toCurrent = pathToCurrent(nodes);
  const result: Drawn[] = [];
  const seen = new Set<string>();
  const drawFrom = (root: CheckpointNode) => {
    // Lines that are still to be drawn, the next one last: lines can be long and deep, calls in calls could not.
    const open = [{ first: '', rest: '', node: root }];
    for (let line = open.pop(); line !== undefined; line = open.pop()) {
      const { first, rest, node } = line;
      if (seen.has(node.id)) continue;
      seen.add(node.id);
      result.push({ prefix: first, node });
      const after = children.get(node.id) ?? [];
      // The way to where the machine is goes straight down, else the newest does.
      const straight = after.find(({ id }) => toCurrent.has(id)) ?? after.at(-1);
      if (straight === undefined) continue;
      open.push({ first: rest, rest, node: straight });
      const branches = after.filter(child => child !== straight);
      for (const child of branches.reverse()) open.push({ first: `${rest}├─`, rest: `${rest}│ `, node: child });
    }
  };
  for (const root of children.get(undefined) ?? []) drawFrom(root);
  // Those that are each other's parents, which is a mistake, are shown too.
  for (const node of nodes) drawFrom(node);
  return result;
}

function pathToCurrent(nodes: readonly CheckpointNode[]): ReadonlySet<string> {
  const byId = new Map(nodes.map(node => [node.id, node]));
  const result = new Set<string>();
  let node = nodes.find(({ current }) => current);
  while (node !== undefined && !result.has(node.id)) {
    result.add(node.id);
    node = node.parent === undefined ? undefined : byId.get(node.parent);
  }
  return result;
}
