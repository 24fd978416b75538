import type { CopyOnWrite } from './copy-on-write.ts';
import type { MapParts } from './frame-mover.ts';
import { frameIn } from './save-states.ts';

/**
 * Compares what the allocator believes of each frame with its owners: pages, the map, kept originals, devices that are
 * not done. Looks at all of memory. Returns what is wrong, a line each; nothing means that no frame is lost or used twice.
 */
export function auditFrames({ tables, frames, map }: MapParts, copyOnWrite: CopyOnWrite): string[] {
  const owners = new Uint32Array(tables.frames);
  const own = (frame: number) => {
    owners[frame] = owners[frame]! + 1;
  };
  for (let page = 0; page < tables.ramPages; page += 1) own(map.frameOf(page));
  for (let chunk = 0; chunk < map.chunks; chunk += 1) {
    const at = tables.chunkOf(map.pagesOf(chunk).first);
    if (at !== 0) own(tables.frameAt(at));
  }
  for (const page of copyOnWrite.moved) own(frameIn(tables.saveState(page)));
  for (const frame of frames.limbo) own(frame);

  const wrong: string[] = [];
  let free = 0;
  owners.forEach((expected, frame) => {
    const believed = frames.owners(frame);
    if (believed !== expected) wrong.push(`frame ${frame} has ${expected} owners, not ${believed}`);
    if (tables.isShared(frame) !== expected > 1) wrong.push(`frame ${frame} with ${expected} owners is marked wrongly`);
    if (believed === 0) free += 1;
  });
  if (free !== frames.free) wrong.push(`${free} frames are free, not ${frames.free}`);
  let remapped = 0;
  for (let page = 0; page < tables.ramPages; page += 1) {
    if (map.frameOf(page) === page) continue;
    remapped += 1;
    if (!map.inForce.has(page)) wrong.push(`page ${page} is remapped where the map does not count`);
  }
  if (remapped !== map.remapped) wrong.push(`${remapped} pages are remapped, not ${map.remapped}`);
  return wrong;
}
