// Opening chains: every layer by its recorded format, every backing file by the path policy.
import { AfterimageError } from '../../base/errors.ts';
import { type BackingFormat, backingFormat } from '../qcow2/backing.ts';
import type { ClusterCodecs } from '../qcow2/compressed.ts';
import { readHeader } from '../qcow2/header.ts';
import { MOST_CHAIN_L1_BYTES } from '../qcow2/limits.ts';
import type { Folder } from './folder.ts';
import { Layer, type LayerFormat } from './layer.ts';
import { backingPath } from './paths.ts';

/** Each layer has a file open; far beyond what checkpoints of years make. What their caches take is bounded together. */
export const MOST_LAYERS = 256;

const L1_ENTRY_BYTES = 8;

export interface ChainOptions {
  readonly access: 'read' | 'write';
  readonly codecs?: ClusterCodecs | undefined;
  /** For backing files whose format no image records; they are refused without it. */
  readonly assumedFormat?: BackingFormat;
}

/** A file of a chain as its header describes it, before it is opened. */
export interface LayerPlace {
  readonly path: string;
  readonly format: LayerFormat;
}

/**
 * The files of a chain from the top, read from their headers. Errors: `denied` for names against the policy, `corrupt`
 * for circles, `too-large` for too many layers, `unsupported` for unknown formats, and those of the folder.
 */
export async function chainPlaces(folder: Folder, top: LayerPlace, assumed?: BackingFormat): Promise<LayerPlace[]> {
  const places: LayerPlace[] = [];
  const seen = new Set<string>();
  for (let next: LayerPlace | undefined = top; next !== undefined; ) {
    const identity = await folder.identity(next.path);
    if (seen.has(identity)) {
      throw new AfterimageError('corrupt', 'The chain of backing files is a circle', {
        file: top.path,
        again: next.path,
      });
    }
    seen.add(identity);
    places.push(next);
    if (places.length > MOST_LAYERS) {
      throw new AfterimageError('too-large', `A chain has at most ${MOST_LAYERS} layers`, { file: top.path });
    }
    next = await placeBelow(folder, next, assumed);
  }
  return places;
}

async function placeBelow(
  folder: Folder,
  place: LayerPlace,
  assumed: BackingFormat | undefined,
): Promise<LayerPlace | undefined> {
  if (place.format === 'raw') return undefined;
  const file = await folder.glance(place.path);
  try {
    const { backing } = await readHeader(file);
    if (backing === undefined) return undefined;
    return { path: backingPath(place.path, backing.name), format: backingFormat(backing, assumed, place.path) };
  } finally {
    await file.close();
  }
}

/** Opens a file with all that is below it. Only the top is opened for writing. `closeChain` closes it. */
export async function openChain(folder: Folder, top: LayerPlace, options: ChainOptions): Promise<Layer> {
  const places = await chainPlaces(folder, top, options.assumedFormat);
  let layer: Layer | undefined;
  let l1Bytes = 0;
  try {
    for (const place of places.toReversed()) {
      const access = place === top ? options.access : 'read';
      layer = await Layer.open({ folder, ...place, access, backing: layer, codecs: options.codecs });
      l1Bytes += (layer.image?.header.l1.entries ?? 0) * L1_ENTRY_BYTES;
      if (l1Bytes > MOST_CHAIN_L1_BYTES) {
        throw new AfterimageError('too-large', 'The tables of a chain do not fit into memory', { file: top.path });
      }
    }
  } catch (thrown) {
    if (layer !== undefined) await closeChain(layer).catch(() => undefined);
    throw thrown;
  }
  return layer!;
}

/** The layer and all below it, from the top. */
export function layersFrom(top: Layer): Layer[] {
  const layers: Layer[] = [];
  for (let layer: Layer | undefined = top; layer !== undefined; layer = layer.backing) layers.push(layer);
  return layers;
}

/** Closes all layers, also after a failure, and throws the first one. */
export async function closeChain(top: Layer): Promise<void> {
  const results: PromiseSettledResult<void>[] = [];
  // From the top: a layer that settles may still read from below.
  for (const layer of layersFrom(top)) results.push(...(await Promise.allSettled([layer.close()])));
  const failed = results.find(result => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
