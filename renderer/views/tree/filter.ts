// Which checkpoints are shown, and how those that remain are linked when some between them are not.
import type { CheckpointNode } from '../../../engine/api/checkpoints.ts';
import { Family, type Member } from './family.ts';

export interface TreeFilter {
  /** Words that must all occur in name, note or identity; letter case does not matter. */
  readonly text: string;
  readonly show: 'all' | 'manual' | 'automatic' | 'protected' | 'memory';
}

export const NO_FILTER: TreeFilter = { text: '', show: 'all' };

export function isFiltering(filter: TreeFilter): boolean {
  return filter.show !== 'all' || filter.text.trim() !== '';
}

export function matches(node: CheckpointNode, filter: TreeFilter): boolean {
  return shows(node, filter.show) && hasWords(node, filter.text);
}

function shows(node: CheckpointNode, show: TreeFilter['show']): boolean {
  switch (show) {
    case 'all':
      return true;
    case 'manual':
    case 'automatic':
      return node.origin === show;
    case 'protected':
      return node.protected;
    case 'memory':
      return !node.durable;
  }
}

function hasWords(node: CheckpointNode, text: string): boolean {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '');
  if (words.length === 0) return true;
  const searched = `${node.name}\n${node.note}`.toLowerCase();
  return words.every(word => searched.includes(word) || (word.length >= 4 && node.id.startsWith(word)));
}

/** A shown node, linked to its nearest shown ancestor. */
export interface ShownLink<M extends Member> {
  readonly member: M;
  readonly parent?: string;
  /** Members between it and `parent` that are not shown. */
  readonly skipped: number;
}

export function linkShown<M extends Member>(members: readonly M[], shown: (member: M) => boolean): ShownLink<M>[] {
  const kept = members.filter(shown);
  const visible = new Set(kept.map(member => member.id));
  const family = new Family(members);
  return kept.map(member => {
    let skipped = 0;
    for (const ancestor of family.ancestorsOf(member.id)) {
      if (visible.has(ancestor.id)) return { member, parent: ancestor.id, skipped };
      skipped += 1;
    }
    return { member, skipped };
  });
}
