// The layers of disks as pictures: each stands on the one above it in the picture, branches beside it.
import type { DetachedDisk, DiskView, LayerView } from '../../engine/api/control.ts';
import { hostLines } from './disk-print.ts';
import { printable } from './explain.ts';
import { laidOut, rowsOf } from './graph-print.ts';
import { SHORT_IDENTITY } from './machine-command.ts';
import { counted, shortSize, table } from './texts.ts';

const BAR = 12;

export function disksLines(disks: readonly DiskView[]): string[] {
  if (disks.length === 0) return ['The machine has no disks'];
  const lines = disks.flatMap((disk, index) => [...(index === 0 ? [] : ['']), ...diskLines(disk)]);
  const absent = hostLines(disks[0]?.host);
  return absent.length === 0 ? lines : [...lines, '', ...absent];
}

/** Disks that the machine does not have now. */
export function detachedLines(disks: readonly DetachedDisk[]): string[] {
  return disks.flatMap(({ kept, size, layers }) => {
    const what = kept === undefined ? 'in checkpoints only' : `kept as ${printable(kept.file)}`;
    return ['', `not in the machine, ${shortSize(size)}, ${what}`, ...layerLines(layers, kept?.file)];
  });
}

/** Layers that may be deleted. */
export function unneededLines(layers: readonly LayerView[]): string[] {
  if (layers.length === 0) return ['Every layer is needed'];
  return table(
    layers.map(({ path, allocatedSize }) => [printable(path), shortSize(allocatedSize), 'needed by nobody']),
  );
}

function diskLines({ disk, device, mode, size, active, layers }: DiskView): string[] {
  return [`disk ${disk} (${printable(device)}), ${shortSize(size)}, ${mode}`, ...layerLines(layers, active)];
}

function layerLines(layers: readonly LayerView[], active: string | undefined): string[] {
  const items = layers.map(layer => ({ id: layer.path, parent: layer.backing, item: layer }));
  const rows = rowsOf(laidOut(items, active), ({ prefix, item: layer }) => [
    `${prefix}${layer.path === active ? '▶' : '●'} ${printable(layer.path)}`,
    layer.format,
    shortSize(layer.allocatedSize),
    bar(layer),
    neededBy(layer),
  ]);
  return table(rows);
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
  return neededBy.length > 0 ? 'needed by layers on it' : 'needed by nobody';
}
