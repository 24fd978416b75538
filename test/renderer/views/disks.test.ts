// The disk view: layers in rows, allocated ranges in strips, actions with reasons.
import { expect, test } from 'vitest';
import type { AllocatedRange, DiskView, LayerView } from '../../../engine/api/control.ts';
import { layerActions, namedReason, runningOn } from '../../../renderer/views/disks/actions.ts';
import {
  activeChain,
  allocatedBytes,
  isUnneeded,
  layerName,
  layOutChain,
  unneededBytes,
} from '../../../renderer/views/disks/chain-layout.ts';
import { rangeAt, stripColumns } from '../../../renderer/views/disks/range-strip.ts';

function layer(path: string, backing?: string, more: Partial<LayerView> = {}): LayerView {
  const no = { allowed: false, reason: `${path} is needed` };
  return {
    path,
    format: 'qcow2',
    virtualSize: 1000,
    allocatedSize: 100,
    ...(backing !== undefined && { backing }),
    overlays: [],
    neededBy: [{ by: 'machine', id: 'm', direct: false }],
    may: { delete: no, commit: no, stream: no, compact: no, resize: no },
    ...more,
  };
}

/** base ← old ← tip, and base ← side ← active. */
const DISK: DiskView = {
  disk: 0,
  device: 'vda',
  mode: 'persistent',
  size: 1000,
  active: 'disks/active',
  layers: [
    layer('disks/base'),
    layer('disks/old', 'disks/base'),
    layer('disks/tip', 'disks/old', { neededBy: [], allocatedSize: 7 }),
    layer('disks/side', 'disks/base'),
    layer('disks/active', 'disks/side'),
  ],
};

test('layers stand above their backings, the active chain to the left', () => {
  const { layers, lines } = layOutChain(DISK);
  expect(layers.map(({ path }) => layerName(path))).toEqual(['active', 'side', 'tip', 'old', 'base']);
  const lane = new Map(lines.nodes.map(node => [layerName(node.id), node.lane]));
  expect(['active', 'side', 'base', 'tip', 'old'].map(name => lane.get(name))).toEqual([0, 0, 0, 1, 1]);
  expect(activeChain(DISK).map(({ path }) => layerName(path))).toEqual(['active', 'side', 'base']);
});

test('a chain in a circle, a missing backing and a missing active layer are shown as far as they go', () => {
  const odd: DiskView = { ...DISK, active: 'x', layers: [layer('a', 'b'), layer('b', 'a'), layer('c', 'gone')] };
  expect(layOutChain(odd).layers).toHaveLength(3);
  expect(activeChain(odd)).toEqual([]);
  expect(activeChain({ ...odd, active: 'a' }).map(({ path }) => path)).toEqual(['a', 'b']);
});

test('layers that nobody needs are told, with their size', () => {
  expect(DISK.layers.filter(isUnneeded).map(({ path }) => path)).toEqual(['disks/tip']);
  expect([allocatedBytes(DISK), unneededBytes(DISK)]).toEqual([407, 7]);
});

test('only the active layer gets an overlay; refused actions keep their reason', () => {
  const kinds = (path: string) => layerActions(DISK, DISK.layers.find(one => one.path === path)!).map(one => one.kind);
  expect(kinds('disks/active')).toEqual(['overlay', 'commit', 'stream', 'compact', 'check', 'resize']);
  expect(kinds('disks/base')).not.toContain('overlay');
  const spare = layer('disks/spare', undefined);
  expect(layerActions(DISK, spare).map(one => one.kind)).not.toContain('delete');
  const free = { ...spare, may: { ...spare.may, delete: { allowed: true } } };
  expect(layerActions(DISK, free).at(-1)).toEqual({ kind: 'delete', verdict: { allowed: true } });
  const refused = layerActions(DISK, DISK.layers[0]!).filter(action => !action.verdict.allowed);
  expect(refused.map(({ kind, verdict }) => [kind, verdict.reason])).toEqual(
    ['commit', 'stream', 'compact', 'resize'].map(kind => [kind, 'disks/base is needed']),
  );
});

test('reasons name checkpoints instead of their identities', () => {
  const id = 'a'.repeat(32);
  const needed = layer('disks/x', undefined, {
    neededBy: [{ by: 'checkpoint', id, name: '$& upgrade', direct: true }],
  });
  const disk = { ...DISK, layers: [needed] };
  expect(namedReason(`checkpoint ${id} needs it`, disk)).toBe('checkpoint “$& upgrade” needs it');
  expect(namedReason('disks/x stands on it', disk)).toBe('x stands on it');
  expect(namedReason('checkpoint bbb needs it', disk)).toBe('checkpoint bbb needs it');
});

test('running jobs of a disk are those of it that have not ended', () => {
  const jobs = [
    { job: 1, disk: 0, state: 'running' },
    { job: 2, disk: 1, state: 'running' },
    { job: 3, disk: 0, state: 'done' },
    { job: 4, state: 'running' },
    { job: 0, disk: 0, state: 'running' },
  ];
  expect(runningOn(jobs, 0).map(({ job }) => job)).toEqual([0, 1]);
});

const RANGES: readonly AllocatedRange[] = [
  { start: 0, length: 25, kind: 'data' },
  { start: 50, length: 10, kind: 'zero' },
  { start: 60, length: 5, kind: 'compressed' },
];

test('a strip shows how much of each column is allocated', () => {
  const exact = stripColumns(RANGES, 100, 5).map(({ data, zero, compressed }) => [data, zero, compressed]);
  expect(exact.map(column => column.map(part => Math.round(part * 100)))).toEqual([
    [100, 0, 0],
    [25, 0, 0],
    [0, 50, 0],
    [0, 0, 25],
    [0, 0, 0],
  ]);
});

test('a strip adds up to what is allocated', () => {
  const columns = stripColumns(RANGES, 100, 7);
  const sum = columns.reduce((total, column) => total + column.data + column.zero + column.compressed, 0);
  expect(sum * (100 / 7)).toBeCloseTo(40, 9);
});

test('ranges beyond the disk and a disk of no size are harmless', () => {
  expect(stripColumns([{ start: 90, length: 1e15, kind: 'data' }], 100, 2)[1]!.data).toBeCloseTo(0.2, 9);
  expect(stripColumns([{ start: 0, length: 10, kind: 'data' }], 0, 2)).toHaveLength(2);
  const twice: AllocatedRange[] = [RANGES[0]!, { start: 0, length: 25, kind: 'zero' }];
  expect(stripColumns(twice, 100, 4)[0]).toEqual({ data: 1, zero: 0, compressed: 0 });
});

test('the place under the pointer is a range or a gap', () => {
  expect(rangeAt(RANGES, 100, 10)).toEqual({ start: 0, end: 25, kind: 'data' });
  expect(rangeAt(RANGES, 100, 30)).toEqual({ start: 25, end: 50, kind: 'none' });
  expect(rangeAt(RANGES, 100, 99)).toEqual({ start: 65, end: 100, kind: 'none' });
});
