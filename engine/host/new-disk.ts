// A new disk in a machine's folder that content is written into.
import type { DiskSink } from '../checkpoint/import.ts';
import { closeChain, openChain } from '../disk/chain/open.ts';
import { createOverlay } from '../disk/chain/overlay.ts';
import { SharedFile } from '../disk/chain/shared-file.ts';
import { createImage } from '../disk/qcow2/create.ts';
import { Qcow2Image } from '../disk/qcow2/image.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { HostFolder } from './disk-folder.ts';
import { freshLayer } from './machine-folder.ts';

/** A sector is the smallest that a disk can be changed by; an odd end is made whole with zeroes. */
const SECTOR = 512;

/** An empty qcow2 image, and a way to fill it. */
export async function createSink(folder: string, disk: number, bytes: number): Promise<DiskSink> {
  const host = new HostFolder(folder);
  const layer = freshLayer(disk);
  const file = await host.create(layer);
  await createImage(file, { size: Math.ceil(bytes / SECTOR) * SECTOR, extendedL2: true });
  const image = await Qcow2Image.open(new SharedFile(file), { codecs: clusterCodecs });
  return {
    write: (offset, content) => image.write(offset, [content]),
    finish: async () => {
      await image.close();
      await file.flush();
      await file.close();
      await host.flush();
      return { layer, format: 'qcow2' };
    },
    abort: async () => {
      await image.close().catch(() => undefined);
      await file.close().catch(() => undefined);
      await host.remove(layer).catch(() => undefined);
    },
  };
}

/** A layer on top of another one in the same folder; its path. */
export async function putOverlay(
  folder: HostFolder,
  disk: number,
  below: { readonly layer: string; readonly format: 'raw' | 'qcow2' },
): Promise<string> {
  const overlay = freshLayer(disk);
  const place = { path: below.layer, format: below.format };
  const chain = await openChain(folder, place, { access: 'read', codecs: clusterCodecs });
  try {
    await (await createOverlay(chain, overlay)).close();
  } finally {
    await closeChain(chain);
  }
  return overlay;
}
