// Results of `afterimage disk` for people.
import type { BitmapResult, DiskResult, HostAbilities, LayerInfo } from '../../engine/api/disk.ts';
import { assertNever } from '../../engine/base/errors.ts';
import { printable } from './explain.ts';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(2)} ${UNITS[unit]}`;
}

/** Lines to print; none where silence means success. */
export function resultLines(result: DiskResult): string[] {
  switch (result.kind) {
    case 'create':
    case 'convert':
      return result.absent === undefined
        ? []
        : ['The host cannot reserve space here, and none was; preallocation=full writes zeroes instead'];
    case 'rebase':
    case 'commit':
      return [];
    case 'info':
      return [
        ...(result.layers.length === 1 ? infoLines(result.layers[0]!) : chainLines(result.layers)),
        ...hostLines(result.host),
      ];
    case 'check':
      return checkLines(result);
    case 'map':
      return [
        'start        length       layer  content',
        ...result.entries.map(({ start, length, depth, kind, compressed, offset }) => {
          const content = kind === 'zero' ? 'zero' : compressed ? 'compressed' : `data at ${hex(offset ?? 0)}`;
          return `${hex(start).padEnd(12)} ${hex(length).padEnd(12)} ${String(depth).padEnd(6)} ${content}`;
        }),
      ];
    case 'compact':
      return [`${sizeText(Math.max(0, result.freed))} given back`];
    case 'resize':
      return [`The disk has ${sizeText(result.size)} now`];
    case 'stream':
      return result.unused.map(file => `${printable(file)} is not needed by this chain any more`);
    case 'jobs':
      return jobLines(result);
    case 'bitmap':
      return bitmapLines(result);
    case 'bench': {
      const { seconds, requests, bytes } = result;
      const speed = bytes / 2 ** 20 / seconds;
      return [`${seconds.toFixed(3)} s, ${Math.round(requests / seconds)} requests/s, ${speed.toFixed(1)} MiB/s`];
    }
    default:
      return assertNever(result, 'result');
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function infoLines(layer: LayerInfo): string[] {
  const lines = [
    `file: ${printable(layer.file)}`,
    `format: ${layer.format}${layer.version === undefined ? '' : ` version ${layer.version}`}`,
    `virtual size: ${sizeText(layer.virtualSize)} (${layer.virtualSize} bytes)`,
    `on the host: ${sizeText(layer.allocatedSize)}`,
  ];
  if (layer.clusterSize !== undefined) {
    lines.push(`clusters: ${sizeText(layer.clusterSize)}${layer.extendedL2 ? ' with subclusters' : ''}`);
    lines.push(`refcounts: ${layer.refcountBits} bits${layer.lazyRefcounts ? ', lazy' : ''}`);
    lines.push(`compression: ${layer.compression}`);
  }
  if (layer.backing !== undefined) {
    lines.push(
      `backing file: ${printable(layer.backing)} (${printable(layer.backingFormat ?? 'format not recorded')})`,
    );
  }
  for (const { id, name, time } of layer.snapshots ?? []) {
    lines.push(`internal snapshot: ${printable(id)} ${printable(name)} ${new Date(time).toISOString()}`);
  }
  return lines;
}

/** What the host cannot do for disks. Only what is absent: what is there needs no word. */
export function hostLines(host: HostAbilities | undefined): string[] {
  if (host === undefined) return [];
  const lines: string[] = [];
  if (!host.discard)
    lines.push('the host cannot take back what a guest discards: it stays in the file and is used again');
  if (!host.reflink) lines.push('the host cannot share storage between copies: they are made byte by byte');
  if (!host.preallocation) lines.push('the host cannot reserve space: preallocation=falloc reserves none');
  return lines;
}

/** The chain as a picture: the top first, what it stands on below. */
function chainLines(layers: readonly LayerInfo[]): string[] {
  const width = Math.max(...layers.map(({ file }) => printable(file).length));
  return layers.flatMap((layer, index) => {
    const { format, virtualSize, allocatedSize } = layer;
    const size = `${sizeText(virtualSize)}, ${sizeText(allocatedSize)} on the host`;
    const line = `${printable(layer.file).padEnd(width)}  ${format}, ${size}`;
    return index === 0 ? [line] : ['  │ stands on', '  ▼', line];
  });
}

function checkLines(result: Extract<DiskResult, { kind: 'check' }>): string[] {
  const { corruptions, leaks, repaired, lost, findings, allocatedClusters } = result;
  const lines = findings.map(({ kind, message, offset }) => `${kind}: ${printable(message)} (at ${hex(offset)})`);
  if (lost > 0) lines.push(`${lost} entries that pointed nowhere were given up: they read as zeroes now`);
  if (corruptions + leaks === 0)
    lines.push(`${repaired ? 'Repaired; no' : 'No'} errors, ${allocatedClusters} clusters in use`);
  else lines.push(`${corruptions} corruptions, ${leaks} leaked clusters`);
  return lines;
}

function jobLines({ jobs, resumed }: Extract<DiskResult, { kind: 'jobs' }>): string[] {
  if (jobs.length === 0) return ['No job was interrupted'];
  return jobs.map(({ kind, layer, base }) => {
    const what = kind === 'commit' ? `into ${printable(base ?? '')}` : `onto ${printable(base ?? 'nothing')}`;
    return `${resumed ? 'brought to its end' : 'interrupted'}: ${kind} of ${printable(layer)} ${what}`;
  });
}

function bitmapLines({ bitmaps, ranges, next }: BitmapResult): string[] {
  if (ranges !== undefined) {
    const lines = ranges.map(({ offset, length }) => `${hex(offset).padEnd(12)} ${hex(length)}`);
    const more = next === undefined ? [] : [`there is more; --from ${next} goes on`];
    return ['start        length', ...lines, ...more];
  }
  return bitmaps.map(({ name, granularity, enabled, trusted }) => {
    const state = trusted ? (enabled ? 'records writes' : 'disabled') : 'not trusted: everything counts as changed';
    return `${printable(name)}  ${sizeText(granularity)} to a bit, ${state}`;
  });
}
