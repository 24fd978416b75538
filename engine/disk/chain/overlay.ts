import { AfterimageError } from '../../base/errors.ts';
import { createImage } from '../qcow2/create.ts';
import { continueBitmaps } from './bitmaps.ts';
import { createWhole } from './folder.ts';
import { Layer } from './layer.ts';
import { backingName } from './paths.ts';

export interface OverlayOptions {
  /** In bytes; 64 KiB unless said otherwise. */
  readonly clusterSize?: number;
  /** Subclusters, so that writes of 4 KiB need no fill (C5). On unless clusters are too small for them. */
  readonly extendedL2?: boolean;
  /** Dirty bitmaps whose named point is to be the moment when the overlay becomes active; the others go on. */
  readonly restartBitmaps?: readonly string[];
}

/** Below this there are no subclusters, and a cluster is hardly larger than what guests write. */
const SMALLEST_EXTENDED = 16 * 1024;

/**
 * Creates an empty overlay of a layer that may be in use, makes it durable, and opens it (C1). The layer below is not
 * changed. Errors: `state` when the name is taken, `denied` for a place from where the layer cannot be named.
 */
export async function createOverlay(backing: Layer, path: string, options: OverlayOptions = {}): Promise<Layer> {
  const { folder, codecs } = backing;
  if (await folder.exists(path)) throw new AfterimageError('state', 'The file exists already', { file: path });
  const { clusterSize = 65_536, extendedL2 = clusterSize >= SMALLEST_EXTENDED } = options;
  await createWhole(folder, path, async file => {
    const name = backingName(path, backing.path);
    await createImage(file, {
      size: backing.size,
      clusterSize,
      extendedL2,
      backing: { path: name, format: backing.format },
    });
  });
  const overlay = await Layer.open({ folder, path, format: 'qcow2', access: 'write', backing, codecs });
  await continueBitmaps(overlay, options.restartBitmaps);
  return overlay;
}
