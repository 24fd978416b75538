// Everything that can be done with one checkpoint, as a menu.
import type { CheckpointNode } from '../../../engine/api/checkpoints.ts';
import { LINE, type MenuItem } from '../../components/menu.ts';
import { TREE_TEXT } from '../../text/tree.ts';
import type { TreeActions } from './tree-actions.svelte.ts';

export function nodeMenu(node: CheckpointNode, actions: TreeActions): readonly MenuItem[] {
  const text = TREE_TEXT.actions;
  const { state } = actions;
  const parent = state.family.parentOf(node.id);
  const readable = node.bytes === undefined ? text.unreadableReason : undefined;
  const deletable = node.protected ? text.protectedReason : undefined;
  const items: MenuItem[] = [
    {
      text: text.restore,
      icon: 'restore',
      shortcut: 'Enter',
      unavailable: readable,
      run: () => {
        actions.dialog = { kind: 'restore', node };
      },
    },
    { text: text.branch, icon: 'branch', unavailable: readable, run: () => void actions.branch(node) },
    { text: text.clone, icon: 'copy', unavailable: readable, run: () => void actions.clone(node) },
    LINE,
    { text: text.compare, icon: 'compare', unavailable: readable, run: () => actions.compare(node) },
  ];
  if (parent !== undefined) {
    items.push({ text: text.compareParent, unavailable: readable, run: () => actions.compare(parent, node) });
  }
  items.push(
    LINE,
    {
      text: text.rename,
      icon: 'edit',
      shortcut: 'F2',
      run: () => {
        state.renaming = node.id;
      },
    },
    { text: node.protected ? text.unprotect : text.protect, icon: 'lock', run: () => void actions.protect(node) },
  );
  if (node.origin === 'automatic') items.push({ text: text.keep, icon: 'check', run: () => void actions.keep(node) });
  if (node.store !== 'file') items.push({ text: text.persist, icon: 'disk', run: () => void actions.persist(node) });
  items.push(
    { text: text.export, icon: 'download', unavailable: readable, run: () => void actions.export(node) },
    { text: text.copyIdentity, run: () => void navigator.clipboard.writeText(node.id) },
    LINE,
    {
      text: text.delete,
      icon: 'trash',
      shortcut: 'Del',
      danger: true,
      unavailable: deletable,
      run: () => {
        actions.dialog = { kind: 'delete', node, subtree: false };
      },
    },
  );
  if (state.family.childrenOf(node.id).length > 0) {
    items.push({
      text: text.deleteSubtree,
      danger: true,
      unavailable: deletable,
      run: () => {
        actions.dialog = { kind: 'delete', node, subtree: true };
      },
    });
  }
  return items;
}
