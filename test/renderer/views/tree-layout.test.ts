// The checkpoint tree's rows and lanes, over random trees: nothing overlaps, parents stay below their children.
import { expect, test } from 'vitest';
import { edgePath, graphWidth, laneX, measureGraph } from '../../../renderer/views/tree/graph-path.ts';
import { COLOURS, edgesWithin, type LayoutNode, layOut, type TreeLayout } from '../../../renderer/views/tree/layout.ts';
import { rowWindow, scrollToRow } from '../../../renderer/views/tree/window.ts';
import { Random } from '../../contract/random.ts';
import { checkpointsOf, fraction, present } from '../scripted/trees.ts';

function trees(): LayoutNode[][] {
  const random = new Random(7);
  return Array.from({ length: 60 }, (_, index) => {
    const nodes = checkpointsOf(1 + random.below(90), random.below(1000), { forks: fraction(random) });
    return index % 2 === 0 ? nodes : [present(nodes[random.below(nodes.length)]!.id), ...nodes];
  });
}

/** Lanes that something is in at each row: a node, or a line between two others. */
function occupants(layout: TreeLayout): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (row: number, lane: number, what: string) => {
    const key = `${row}/${lane}`;
    found.set(key, [...(found.get(key) ?? []), what]);
  };
  for (const node of layout.nodes) add(node.row, node.lane, node.id);
  for (const edge of layout.edges) {
    for (let row = edge.childRow + 1; row < edge.parentRow; row += 1) add(row, edge.childLane, `${edge.child} down`);
  }
  return found;
}

test('every node has one row, and its parent a later one', () => {
  for (const nodes of trees()) {
    const layout = layOut(nodes);
    expect(layout.nodes.map(node => node.row)).toEqual(nodes.map((_, row) => row));
    expect(new Set(layout.nodes.map(node => node.id)).size).toBe(nodes.length);
    for (const node of nodes) {
      if (node.parent !== undefined) expect(layout.rowOf.get(node.parent)).toBeGreaterThan(layout.rowOf.get(node.id)!);
    }
  }
});

test('every link is drawn once, between the places of its ends', () => {
  for (const nodes of trees()) {
    const layout = layOut(nodes);
    const place = new Map(layout.nodes.map(node => [node.id, node]));
    expect(layout.edges.map(edge => `${edge.child} ${edge.parent}`).toSorted()).toEqual(
      nodes
        .filter(node => node.parent !== undefined)
        .map(node => `${node.id} ${node.parent}`)
        .toSorted(),
    );
    for (const edge of layout.edges) {
      expect([edge.childRow, edge.childLane]).toEqual([place.get(edge.child)!.row, place.get(edge.child)!.lane]);
      expect([edge.parentRow, edge.parentLane]).toEqual([place.get(edge.parent)!.row, place.get(edge.parent)!.lane]);
    }
  }
});

test('no two things are in one lane at one row, but lines that lead to the same node', () => {
  for (const nodes of trees()) {
    for (const [place, inside] of occupants(layOut(nodes))) expect(inside, place).toHaveLength(1);
  }
});

test('times that fall in order are rows in order', () => {
  const nodes = checkpointsOf(80, 3, { forks: 0.3 });
  const newestFirst = nodes.toSorted((a, b) => b.takenAt - a.takenAt).map(node => node.id);
  expect(layOut(nodes).nodes.map(node => node.id)).toEqual(newestFirst);
});

test('the present state is the first row, and its lineage the first lane, in a colour of its own', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const nodes = checkpointsOf(60, seed, { forks: 0.4 });
    const byId = new Map(nodes.map(node => [node.id, node]));
    const layout = layOut([...nodes, present(nodes[seed * 3]!.id)]);
    const place = new Map(layout.nodes.map(node => [node.id, node]));
    expect(layout.nodes[0]!.id).toBe('present');
    for (let id: string | undefined = 'present'; id !== undefined; id = byId.get(id)?.parent ?? undefined) {
      expect([place.get(id)!.lane, place.get(id)!.colour]).toEqual([0, 0]);
      if (id === 'present') id = nodes[seed * 3]!.id;
    }
    const others = layout.nodes.filter(node => node.lane > 0);
    expect(others.every(node => node.colour > 0 && node.colour < COLOURS)).toBe(true);
  }
});

test('lines side by side differ in colour while there are colours', () => {
  const root: LayoutNode = { id: 'root', takenAt: 0 };
  const tips = Array.from({ length: COLOURS }, (_, index) => ({ id: `t${index}`, parent: 'root', takenAt: index + 1 }));
  const layout = layOut([root, ...tips]);
  expect(layout.lanes).toBe(COLOURS);
  expect(new Set(layout.edges.map(edge => edge.colour)).size).toBe(COLOURS);
});

test('a line of checkpoints needs one lane, however long', () => {
  expect(layOut(checkpointsOf(300, 1, { forks: 0 })).lanes).toBe(1);
});

test('a lane is used again when its branch has ended', () => {
  // main: 0 1 4 7, with a branch off each of 0, 1 and 4 that ends before the next begins.
  const chain = [
    { id: '0', takenAt: 0 },
    { id: 'a', parent: '0', takenAt: 1 },
    { id: '1', parent: '0', takenAt: 2 },
    { id: 'b', parent: '1', takenAt: 3 },
    { id: '4', parent: '1', takenAt: 4 },
    { id: 'c', parent: '4', takenAt: 5 },
    { id: '7', parent: '4', takenAt: 6 },
  ];
  expect(layOut(chain).lanes).toBe(2);
});

test('a child whose clock was behind is above its parent all the same', () => {
  const layout = layOut([
    { id: 'parent', takenAt: 100 },
    { id: 'child', parent: 'parent', takenAt: 5 },
    { id: 'other', takenAt: 50 },
  ]);
  expect(layout.rowOf.get('child')).toBeLessThan(layout.rowOf.get('parent')!);
});

test('a circle of parents, a parent of itself, one that is missing and a twin are all drawn', () => {
  const layout = layOut([
    { id: 'a', parent: 'c', takenAt: 1 },
    { id: 'b', parent: 'a', takenAt: 2 },
    { id: 'c', parent: 'b', takenAt: 3 },
    { id: 'self', parent: 'self', takenAt: 4 },
    { id: 'orphan', parent: 'gone', takenAt: 5 },
    { id: 'orphan', parent: 'a', takenAt: 6 },
  ]);
  expect(layout.nodes).toHaveLength(5);
  expect(layout.edges).toHaveLength(2);
  expect(layOut([])).toMatchObject({ nodes: [], edges: [], lanes: 0 });
});

test('the edges of some rows are all that touch them', () => {
  const layout = layOut(checkpointsOf(120, 11, { forks: 0.3 }));
  for (const [first, last] of [
    [0, 10],
    [50, 60],
    [110, 119],
    [0, 119],
  ] as const) {
    const expected = layout.edges.filter(edge => edge.childRow <= last && edge.parentRow >= first);
    expect(edgesWithin(layout, first, last)).toEqual(expected);
  }
});

test('five hundred checkpoints are laid out in a small part of a frame', () => {
  const nodes = checkpointsOf(500, 5, { forks: 0.15 });
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    layOut(nodes);
    return performance.now() - start;
  }).toSorted((a, b) => a - b);
  expect(times[7]).toBeLessThan(20);
});

test('lanes move together when there are many, and never further apart than needed', () => {
  const few = measureGraph(3, 36, 240);
  const many = measureGraph(40, 36, 240);
  expect(few.laneWidth).toBe(18);
  expect(many.laneWidth).toBeLessThan(6);
  expect(graphWidth(40, many)).toBeGreaterThan(laneX(39, many));
  expect(graphWidth(3, few)).toBe(2 * few.inset + 2 * few.laneWidth);
});

test('a long line is cut to the rows that are drawn', () => {
  const measures = measureGraph(2, 10, 200);
  const edge = { child: 'c', parent: 'p', childRow: 0, parentRow: 400, childLane: 1, parentLane: 0, colour: 1 };
  const x = laneX(1, measures);
  expect(edgePath(edge, measures, 100, 120)).toBe(`M${x} 995V1215`);
  expect(edgePath(edge, measures, 390, 400)).toBe(`M${x} 3895V3995C${x} 4000 16 4000 16 4005`);
  expect(edgePath({ ...edge, parentRow: 1 }, measures, 0, 10)).toBe(`M${x} 5C${x} 10 16 10 16 15`);
});

test('the window of rows covers what is in sight, within the rows there are', () => {
  for (let top = 0; top < 20_000; top += 137) {
    const { first, end } = rowWindow(500, 36, top, 700);
    expect(first).toBeLessThanOrEqual(Math.min(500, Math.floor(top / 36)));
    expect(end).toBeGreaterThanOrEqual(Math.min(500, Math.ceil((top + 700) / 36)));
    expect(end - first).toBeLessThan(60);
  }
  expect(rowWindow(3, 36, 0, 700)).toEqual({ first: 0, end: 3 });
  expect(rowWindow(0, 36, 0, 700)).toEqual({ first: 0, end: 0 });
});

test('a row is scrolled to only as far as needed', () => {
  expect(scrollToRow(0, 10, 55, 100)).toBe(0);
  expect(scrollToRow(8, 10, 55, 100)).toBe(55);
  expect(scrollToRow(20, 10, 55, 100)).toBe(110);
});
