// What deleting checkpoints will do, told before it is done. The engine decides in the end; this reads the same facts.
import type { CheckpointNode } from '../../../engine/api/checkpoints.ts';
import { Family } from './family.ts';

export interface DeletionPlan {
  /** Will leave the list. */
  readonly deleted: readonly CheckpointNode[];
  /** Those of them that are protected: nothing is deleted while there is one. */
  readonly protected: readonly CheckpointNode[];
  /** Will come after the nearest checkpoint that stays. */
  readonly relinked: readonly CheckpointNode[];
  /** That nearest one; none: they become first checkpoints. */
  readonly heir?: CheckpointNode;
  /** Takes over pages of a deleted file, of which the rest is freed. */
  readonly merges: readonly { readonly from: CheckpointNode; readonly into: CheckpointNode }[];
  /** Files that stay, without being listed, because several others take pages from them. */
  readonly keptFiles: readonly CheckpointNode[];
  /** Bytes given back at once. */
  readonly freedBytes: number;
  /** Bytes of files to be merged: at most so much more is given back. */
  readonly mergedBytes: number;
  /** The present state comes from one of them; the machine runs on. */
  readonly leavesPresent: boolean;
}

export function planDeletion(nodes: readonly CheckpointNode[], id: string, subtree: boolean): DeletionPlan {
  const family = new Family(nodes);
  const node = family.get(id);
  const deleted = subtree ? family.subtreeOf(id) : node === undefined ? [] : [node];
  const gone = new Set(deleted.map(member => member.id));
  const heir = [...family.ancestorsOf(id)].find(ancestor => !gone.has(ancestor.id));
  const merges: { from: CheckpointNode; into: CheckpointNode }[] = [];
  const keptFiles: CheckpointNode[] = [];
  let freedBytes = 0;
  let mergedBytes = 0;
  for (const from of deleted) {
    const heirs = nodes.filter(other => other.base === from.id && !gone.has(other.id));
    const [only] = heirs;
    if (only === undefined) {
      freedBytes += from.bytes ?? 0;
    } else if (heirs.length === 1) {
      merges.push({ from, into: only });
      mergedBytes += from.bytes ?? 0;
    } else {
      keptFiles.push(from);
    }
  }
  return {
    deleted,
    protected: deleted.filter(member => member.protected),
    relinked: deleted.flatMap(member => family.childrenOf(member.id)).filter(child => !gone.has(child.id)),
    ...(heir !== undefined && { heir }),
    merges,
    keptFiles,
    freedBytes,
    mergedBytes,
    leavesPresent: deleted.some(member => member.current),
  };
}
