// The layers of a disk as rows: those that stand on others above them, the active one first.
import type { DiskView, LayerView } from '../../../engine/api/control.ts';
import { layOut, type TreeLayout } from '../tree/layout.ts';

export interface ChainLayout {
  /** By row. */
  readonly layers: readonly LayerView[];
  readonly lines: TreeLayout;
}

/** Every layer one row, backings below what stands on them, the active layer's chain in the leftmost lane. */
export function layOutChain(disk: DiskView): ChainLayout {
  const byPath = new Map(disk.layers.map(layer => [layer.path, layer]));
  const lines = layOut(
    disk.layers.map((layer, index) => ({
      id: layer.path,
      ...(layer.backing !== undefined && { parent: layer.backing }),
      // There is no time here; later ones of the list are drawn higher, the active one highest.
      takenAt: layer.path === disk.active ? Number.POSITIVE_INFINITY : index,
    })),
  );
  return { layers: lines.nodes.map(node => byPath.get(node.id)!), lines };
}

/** From the active layer down to the last that is there. */
export function activeChain(disk: DiskView): readonly LayerView[] {
  const byPath = new Map(disk.layers.map(layer => [layer.path, layer]));
  const chain = new Set<LayerView>();
  for (let next = byPath.get(disk.active); next !== undefined && !chain.has(next); ) {
    chain.add(next);
    next = next.backing === undefined ? undefined : byPath.get(next.backing);
  }
  return [...chain];
}

/** Nobody needs it and nothing stands on it: it only takes room. */
export function isUnneeded(layer: LayerView): boolean {
  return layer.neededBy.length === 0 && layer.overlays.length === 0;
}

export function allocatedBytes(disk: DiskView): number {
  return disk.layers.reduce((sum, layer) => sum + layer.allocatedSize, 0);
}

export function unneededBytes(disk: DiskView): number {
  return disk.layers.filter(isUnneeded).reduce((sum, layer) => sum + layer.allocatedSize, 0);
}

/** Last part of a layer's path. */
export function layerName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
