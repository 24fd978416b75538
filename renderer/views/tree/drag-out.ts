// Dragging a checkpoint out of the window: a file for the file manager in Electron, a download in a browser.
import type { CheckpointNode } from '../../../engine/api/checkpoints.ts';
import { CHECKPOINT_EXTENSION } from '../../../preload/contract/files.ts';
import { TREE_TEXT as TEXT } from '../../text/tree.ts';
import type { TreeActions } from './tree-actions.svelte.ts';

export async function dragOut(event: DragEvent, node: CheckpointNode, actions: TreeActions): Promise<void> {
  const { session } = actions.state;
  if (session.app.platform.dragOut === 'download') {
    const address = new URL(session.app.downloadUrl(session.id, node.id), location.href).href;
    event.dataTransfer?.setData('DownloadURL', `application/octet-stream:${fileName(node.name)}:${address}`);
    event.dataTransfer?.setData('text/uri-list', address);
    return;
  }
  // The system's own drag takes over, with a file that must be there already.
  event.preventDefault();
  const which = { machine: session.id, id: node.id };
  const { app } = actions;
  await app.attempt(async () => {
    if ((await session.app.call('start-drag', which)).started) return;
    app.notifications.show({ title: TEXT.export.preparing, key: `drag ${node.id}` });
    await actions.state.work(node.id, () => session.app.call('prepare-drag', which));
    app.notifications.show({ tone: 'good', title: TEXT.export.ready, key: `drag ${node.id}` });
  }, TEXT.export.failed);
}

/** A colon would end the name in the drag's data; the rest no file system takes. */
function fileName(name: string): string {
  const plain = name.replaceAll(/[\\/:*?"<>|]+/g, '-').trim();
  return `${plain === '' ? 'checkpoint' : plain}.${CHECKPOINT_EXTENSION}`;
}
