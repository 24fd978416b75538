// The keyboard in the checkpoint tree.
import { PRESENT } from './rows.ts';
import type { TreeActions } from './tree-actions.svelte.ts';

interface KeyPlaces {
  /** Rows that Page Up and Page Down move by. */
  readonly pageRows: number;
  readonly search: () => void;
  /** Opens the menu of the selected row. */
  readonly menu: () => void;
}

export function treeKeys(event: KeyboardEvent, actions: TreeActions, places: KeyPlaces): void {
  // Keys of a field or button inside a row are its own.
  if (event.target !== event.currentTarget) return;
  if (handled(event, actions, places)) event.preventDefault();
}

function handled(event: KeyboardEvent, actions: TreeActions, places: KeyPlaces): boolean {
  const { state } = actions;
  const { rows } = state.shown;
  const at = state.selectedRow ?? -1;
  const node = state.selectedNode;
  const go = (row: number) => {
    state.select(rows[Math.max(0, Math.min(rows.length - 1, row))]?.id);
    return true;
  };
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'f') {
    places.search();
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  switch (event.key) {
    case 'ArrowDown':
      return go(at + 1);
    case 'ArrowUp':
      return go(at < 0 ? 0 : at - 1);
    case 'PageDown':
      return go(at + places.pageRows);
    case 'PageUp':
      return go(at - places.pageRows);
    case 'Home':
      return go(0);
    case 'End':
      return go(rows.length - 1);
    case 'ArrowLeft':
      return toParent(actions);
    case 'ArrowRight':
      return toChild(actions);
    case 'Enter':
      if (node !== undefined) actions.dialog = { kind: 'restore', node };
      else if (state.selected === PRESENT && state.session.canCheckpoint) actions.take();
      return true;
    case 'F2':
      state.renaming = node?.id;
      return true;
    case 'Delete':
      if (node !== undefined) actions.dialog = { kind: 'delete', node, subtree: event.shiftKey };
      return true;
    case 'ContextMenu':
      places.menu();
      return true;
    case 'F10':
      if (event.shiftKey) places.menu();
      return event.shiftKey;
    case '/':
      places.search();
      return true;
    case 'Escape':
      if (state.comparing === undefined) return false;
      state.comparing = undefined;
      return true;
    default:
      return false;
  }
}

/** Along the drawn line, so over checkpoints that are not shown. */
function toParent({ state }: TreeActions): boolean {
  const edge = state.shown.layout.edges.find(one => one.child === state.selected);
  if (edge !== undefined) state.select(edge.parent);
  return true;
}

/** The child in the same lane, else the newest. */
function toChild({ state }: TreeActions): boolean {
  const children = state.shown.layout.edges.filter(one => one.parent === state.selected);
  const next = children.find(one => one.childLane === one.parentLane) ?? children[0];
  if (next !== undefined) state.select(next.child);
  return true;
}
