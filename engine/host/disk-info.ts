import type { LayerInfo, MapEntry } from '../api/disk.ts';
import type { Folder } from '../disk/chain/folder.ts';
import type { Layer, LayerFormat } from '../disk/chain/layer.ts';
import { COMPATIBLE_LAZY_REFCOUNTS, hasBit } from '../disk/qcow2/features.ts';
import { readHeader } from '../disk/qcow2/header.ts';
import { readSnapshots } from '../disk/qcow2/snapshots.ts';
import { Storage } from '../disk/qcow2/storage.ts';
import { RawDisk } from '../disk/raw.ts';

interface Described {
  readonly folder: Folder;
  readonly path: string;
  readonly format: LayerFormat;
}

export async function chainInfo(layers: readonly Described[]): Promise<LayerInfo[]> {
  const infos: LayerInfo[] = [];
  for (const layer of layers) infos.push(await layerInfo(layer));
  return infos;
}

async function layerInfo({ folder, path, format }: Described): Promise<LayerInfo> {
  const file = await folder.open(path, 'read');
  try {
    const allocatedSize = await folder.allocatedBytes(path);
    if (format === 'raw') {
      return { file: path, format, allocatedSize, virtualSize: (await RawDisk.open(file)).size };
    }
    const header = await readHeader(file);
    const { snapshots } = await readSnapshots(new Storage(file, header.clusterSize, header.fileSize), header);
    const { version, clusterSize, extendedL2, refcountBits, compression, backing } = header;
    return {
      file: path,
      format,
      virtualSize: header.size,
      allocatedSize,
      version,
      clusterSize,
      extendedL2,
      refcountBits,
      compression,
      lazyRefcounts: hasBit(header.compatible, COMPATIBLE_LAZY_REFCOUNTS),
      ...(snapshots.length === 0 ? {} : { snapshots: snapshots.map(({ id, name, time }) => ({ id, name, time })) }),
      ...(backing === undefined ? {} : { backing: backing.name }),
      ...(backing?.format === undefined ? {} : { backingFormat: backing.format }),
    };
  } finally {
    await file.close();
  }
}

/** Where the content of a disk is, layer by layer. */
export async function chainMap(top: Layer): Promise<MapEntry[]> {
  const entries: MapEntry[] = [];
  for await (const entry of walk(top, 0, 0, top.size)) {
    const last = entries.at(-1);
    if (last !== undefined && follows(last, entry))
      entries[entries.length - 1] = { ...last, length: last.length + entry.length };
    else entries.push(entry);
  }
  return entries;
}

async function* walk(layer: Layer, depth: number, from: number, to: number): AsyncGenerator<MapEntry> {
  for (let at = from; at < to; ) {
    for (const run of await layer.allocation(at, to - at)) {
      at = run.offset + run.length;
      const { kind, offset: start, length } = run;
      if (kind === 'allocated') {
        yield {
          start,
          length,
          depth,
          kind: 'data',
          compressed: false,
          ...(run.at === undefined ? {} : { offset: run.at }),
        };
      } else if (kind === 'compressed') yield { start, length, depth, kind: 'data', compressed: true };
      else if (kind === 'zero' || layer.backing === undefined)
        yield { start, length, depth, kind: 'zero', compressed: false };
      else {
        const end = Math.min(start + length, Math.max(start, layer.backing.size));
        yield* walk(layer.backing, depth + 1, start, end);
        if (end < start + length) {
          yield { start: end, length: start + length - end, depth, kind: 'zero', compressed: false };
        }
      }
    }
  }
}

function follows(last: MapEntry, next: MapEntry): boolean {
  if (last.kind !== next.kind || last.depth !== next.depth || last.compressed !== next.compressed) return false;
  return last.offset === undefined || last.offset + last.length === next.offset;
}
