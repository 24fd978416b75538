// What the tree view says of checkpoints: families, filters, and what deleting would do.
import { expect, test } from 'vitest';
import type { CheckpointNode } from '../../../engine/api/checkpoints.ts';
import { planDeletion } from '../../../renderer/views/tree/deletion.ts';
import { Family } from '../../../renderer/views/tree/family.ts';
import { isFiltering, linkShown, matches, NO_FILTER } from '../../../renderer/views/tree/filter.ts';
import { checkpointsOf } from '../scripted/trees.ts';

function checkpoint(id: string, more: Partial<CheckpointNode> = {}): CheckpointNode {
  return {
    id,
    name: id,
    note: '',
    takenAt: 0,
    origin: 'manual',
    protected: false,
    store: 'file',
    durable: true,
    pauseMicroseconds: 100,
    bytes: 10,
    current: false,
    ...more,
  };
}

/** a ← b ← c ← d, and e after b; b's pages are used by c and e, c's by d. */
const NODES = [
  checkpoint('a'),
  checkpoint('b', { parent: 'a', base: 'a' }),
  checkpoint('c', { parent: 'b', base: 'b', bytes: 20 }),
  checkpoint('d', { parent: 'c', base: 'c', current: true }),
  checkpoint('e', { parent: 'b', base: 'b' }),
];
const names = (nodes: Iterable<{ readonly id: string }>) => [...nodes].map(node => node.id);

test('a family knows parents, children, ancestors and descendants', () => {
  const family = new Family(NODES);
  expect(family.parentOf('a')).toBeUndefined();
  expect(names(family.childrenOf('b'))).toEqual(['c', 'e']);
  expect(names(family.ancestorsOf('d'))).toEqual(['c', 'b', 'a']);
  expect(names(family.subtreeOf('b'))).toEqual(['b', 'c', 'e', 'd']);
  expect([family.levelOf('a'), family.levelOf('d')]).toEqual([1, 4]);
  expect(family.subtreeOf('none')).toEqual([]);
});

test('a family with a circle is finite', () => {
  const family = new Family([checkpoint('x', { parent: 'y' }), checkpoint('y', { parent: 'x' })]);
  expect(names(family.ancestorsOf('x'))).toEqual(['y']);
  expect(names(family.subtreeOf('x'))).toEqual(['x', 'y']);
});

test('a filter finds words in any order in names and notes, and beginnings of identities', () => {
  const node = checkpoint('abcdef0123', { name: 'Before the upgrade', note: 'Kernel 6.12' });
  const finds = (text: string) => matches(node, { ...NO_FILTER, text });
  expect(['upgrade before', 'KERNEL', '', '  ', 'abcd'].map(finds)).toEqual([true, true, true, true, true]);
  expect(['downgrade', 'before kernel 7', 'abc', 'bcdef'].map(finds)).toEqual([false, false, false, false]);
});

test('a filter shows kinds', () => {
  const automatic = checkpoint('x', { origin: 'automatic' });
  const kept = checkpoint('y', { protected: true, durable: false, store: 'ram' });
  const shown = (node: CheckpointNode) =>
    (['all', 'manual', 'automatic', 'protected', 'memory'] as const).filter(show => matches(node, { text: '', show }));
  expect(shown(automatic)).toEqual(['all', 'automatic']);
  expect(shown(kept)).toEqual(['all', 'manual', 'protected', 'memory']);
  expect(isFiltering(NO_FILTER)).toBe(false);
  expect(isFiltering({ text: ' x', show: 'all' })).toBe(true);
});

test('shown checkpoints are linked over those that are not', () => {
  const links = linkShown(NODES, node => !['a', 'c'].includes(node.id));
  expect(links.map(link => [link.member.id, link.parent, link.skipped])).toEqual([
    ['b', undefined, 1],
    ['d', 'b', 1],
    ['e', 'b', 0],
  ]);
});

test('shown links always lead to shown ancestors', () => {
  const nodes = checkpointsOf(200, 4, { forks: 0.3 });
  const shown = linkShown(nodes, node => node.origin === 'manual');
  const family = new Family(nodes);
  const visible = new Set(shown.map(link => link.member.id));
  for (const { member, parent, skipped } of shown) {
    const ancestors = names(family.ancestorsOf(member.id));
    const nearest = ancestors.find(id => visible.has(id));
    expect(parent).toBe(nearest);
    expect(skipped).toBe(nearest === undefined ? ancestors.length : ancestors.indexOf(nearest));
  }
});

test('a checkpoint that nobody takes pages from is freed', () => {
  const plan = planDeletion(NODES, 'd', false);
  expect(plan).toMatchObject({ freedBytes: 10, mergedBytes: 0, merges: [], leavesPresent: true });
  expect(plan.heir?.id).toBe('c');
});

test('one that another takes pages from is merged into that, and its children move up', () => {
  const plan = planDeletion(NODES, 'c', false);
  expect(plan.merges.map(({ from, into }) => [from.id, into.id])).toEqual([['c', 'd']]);
  expect(plan).toMatchObject({ freedBytes: 0, mergedBytes: 20, leavesPresent: false });
  expect(names(plan.relinked)).toEqual(['d']);
  expect(plan.heir?.id).toBe('b');
});

test('one that several take pages from leaves its file', () => {
  const plan = planDeletion(NODES, 'b', false);
  expect(names(plan.keptFiles)).toEqual(['b']);
  expect(names(plan.relinked)).toEqual(['c', 'e']);
  expect(plan.freedBytes + plan.mergedBytes).toBe(0);
});

test('a whole branch is freed together', () => {
  const plan = planDeletion(NODES, 'b', true);
  expect(names(plan.deleted)).toEqual(['b', 'c', 'e', 'd']);
  expect(plan).toMatchObject({ freedBytes: 50, merges: [], keptFiles: [], relinked: [] });
  expect(plan.heir?.id).toBe('a');
});

test('protected checkpoints are named, a first one has no heir, an unknown one does nothing', () => {
  const nodes = NODES.map(node => (node.id === 'e' ? { ...node, protected: true } : node));
  expect(names(planDeletion(nodes, 'b', true).protected)).toEqual(['e']);
  expect(planDeletion(nodes, 'a', false).heir).toBeUndefined();
  expect(planDeletion(nodes, 'none', false).deleted).toEqual([]);
});
