// The layers of disks as pictures: the active layer first, what it stands on below, branches beside it.
import type { DiskView, LayerView } from '../../engine/api/control.ts';
import { printable } from './explain.ts';
import { SHORT_IDENTITY } from './machine-command.ts';
import { counted, shortSize, table } from './texts.ts';

const BAR = 12;

export function disksLines(disks: readonly DiskView[]): string[] {
  if (disks.length === 0) return ['The machine has no disks'];
  return disks.flatMap((disk, index) => [...(index === 0 ? [] : ['']), ...diskLines(disk)]);
}

function diskLines({ disk, device, mode, size, active, layers }: DiskView): string[] {
  const rows = inOrder(layers, active).map(({ layer, depth }) => [
    `${'  '.repeat(depth)}${layer.path === active ? '▶' : '└'} ${printable(layer.path)}`,
    layer.format,
    shortSize(layer.allocatedSize),
    bar(layer),
    neededBy(layer),
  ]);
  return [`disk ${disk} (${printable(device)}), ${shortSize(size)}, ${mode}`, ...table(rows)];
}

/** From the bottom up, each layer above what it stands on by one step, each only once. */
function inOrder(layers: readonly LayerView[], active: string): { layer: LayerView; depth: number }[] {
  const byPath = new Map(layers.map(layer => [layer.path, layer]));
  const result: { layer: LayerView; depth: number }[] = [];
  const seen = new Set<string>();
  const roots = layers.filter(({ backing }) => backing === undefined || !byPath.has(backing));
  const open = roots.reverse().map(layer => ({ layer, depth: 0 }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { layer, depth } = next;
    if (seen.has(layer.path)) continue;
    seen.add(layer.path);
    result.push(next);
    const above = layer.overlays.map(path => byPath.get(path)).filter(one => one !== undefined);
    // The way to the active layer last, at the bottom of its branch.
    const sorted = above.sort((one, other) => Number(one.path === active) - Number(other.path === active));
    for (const one of sorted.reverse()) open.push({ layer: one, depth: depth + 1 });
  }
  return result;
}

function bar({ allocatedSize, virtualSize }: LayerView): string {
  const filled = virtualSize === 0 ? 0 : Math.min(BAR, Math.ceil((BAR * allocatedSize) / virtualSize));
  return `▕${'█'.repeat(filled)}${' '.repeat(BAR - filled)}▏`;
}

function neededBy({ neededBy }: LayerView): string {
  // Those that stand on layers above need this one too, which the picture shows.
  const direct = neededBy.filter(one => one.direct);
  const checkpoints = direct.filter(({ by }) => by === 'checkpoint');
  const words: string[] = [];
  if (direct.some(({ by }) => by === 'machine')) words.push('the machine');
  const [first] = checkpoints;
  if (checkpoints.length === 1) words.push(printable(first!.name ?? first!.id.slice(0, SHORT_IDENTITY)));
  else if (checkpoints.length > 1) words.push(counted(checkpoints.length, 'checkpoint'));
  const jobs = neededBy.filter(({ by }) => by === 'job').length;
  if (jobs > 0) words.push(counted(jobs, 'job'));
  if (words.length > 0) return `needed by ${words.join(', ')}`;
  return neededBy.length > 0 ? 'needed by layers above' : 'needed by nobody';
}
