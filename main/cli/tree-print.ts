// The tree of checkpoints as text. A line of checkpoints goes straight down; what branched off stands to the right:
//
//   ● 3f2a91c0  installed    2 h ago  41 MiB   312 µs
//   ├─● 8812aa01  attempt    1 h ago  3.1 MiB  287 µs
//   │ ● 90be1f22  attempt 2  9 min ago ...
//   ● 5d01c3e7  upgraded     5 min ago ...            ◀ you are here
import type { CheckpointNode, CheckpointTreeView } from '../../engine/api/checkpoints.ts';
import { printable } from './explain.ts';
import { laidOut, rowsOf } from './graph-print.ts';
import { SHORT_IDENTITY } from './machine-command.ts';
import { age, pauseText, shortSize, table } from './texts.ts';

const HERE = '◀ you are here';
const LONGEST_NAME = 40;
const NARROWEST = 40;

/** `columns` is the width of the terminal, if there is one. */
export function treeLines(view: CheckpointTreeView, now: number, columns?: number): string[] {
  const { nodes, hiddenBytes } = view;
  if (nodes.length === 0) return ['There are no checkpoints'];
  const items = [...nodes]
    .sort((one, other) => one.takenAt - other.takenAt)
    .map(node => ({ id: node.id, parent: node.parent, item: node }));
  const current = nodes.find(node => node.current)?.id;
  const rows = rowsOf(laidOut(items, current), ({ prefix, item: node }) => [
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
