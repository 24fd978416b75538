import { describe, expect, it } from 'vitest';
import type { DiskView, LayerView } from '../../engine/api/control.ts';
import { type MemoryView, PAGE_BITS } from '../../engine/api/memory.ts';
import { disksLines } from './machine-disk-print.ts';
import { memoryLines } from './memory-print.ts';
import { age, pauseText, shortSize, stateText, table } from './texts.ts';

describe('numbers as people read them', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 KiB'],
    [1536, '1.5 KiB'],
    [5 * 2 ** 20, '5 MiB'],
    [700.4 * 2 ** 20, '700 MiB'],
    [1023 * 2 ** 20, '1 GiB'],
    [2 ** 60, '1024 PiB'],
  ])('%i bytes', (bytes, text) => {
    expect(shortSize(bytes)).toBe(text);
  });

  it('ages and pauses', () => {
    const ages = [-5000, 0, 59_999, 60_000, 3_600_000, 47 * 3_600_000, 48 * 3_600_000].map(passed => age(0, passed));
    expect(ages).toEqual(['0 s ago', '0 s ago', '59 s ago', '1 min ago', '1 h ago', '47 h ago', '2 d ago']);
    expect([312, 999.4, 1449, 21_000].map(pauseText)).toEqual(['312 µs', '999 µs', '1.4 ms', '21.0 ms']);
  });

  it('a paused machine says why', () => {
    const reasons = ['wish', 'disk-full', 'page'] as const;
    expect(reasons.map(pausedBy => stateText({ state: 'paused', pausedBy }))).toEqual([
      'paused',
      'paused: the host has no room',
      'paused: a page cannot be read',
    ]);
    expect(stateText({ state: 'off' })).toBe('off');
  });

  it('tables have columns', () => {
    expect(
      table([
        ['a', 'bb', 'c'],
        ['ä', '', ''],
        ['ccc', 'd', 'e'],
      ]),
    ).toEqual(['a    bb  c', 'ä', 'ccc  d   e']);
  });
});

describe('memory as a picture', () => {
  const zeroes = Object.fromEntries(Object.keys(PAGE_BITS).map(bit => [bit, 0])) as MemoryView['counts'];
  const view: MemoryView = {
    totalPages: 65_536,
    first: 0,
    pages: Uint8Array.of(
      0,
      PAGE_BITS.zero,
      PAGE_BITS.dirty,
      PAGE_BITS.dirty | PAGE_BITS.held,
      PAGE_BITS.virtualized | PAGE_BITS.remapped,
    ),
    group: 128,
    counts: { ...zeroes, dirty: 7 },
    virtualized: [],
    freeFrames: 1,
    mapFrames: 2,
    counters: { cowFaults: 3, copies: 0 },
    busy: false,
  };

  it('draws the most telling of each group', () => {
    const lines = memoryLines(view);
    expect(lines.slice(0, 3)).toEqual([
      '65536 pages (256 MiB), unvirtualized',
      '  i.dHR',
      '  each character: 128 pages',
    ]);
    expect(lines.find(line => line.includes('dirty'))).toMatch(/^ {2}d {2}dirty +7 /);
    expect(lines.slice(-2)).toEqual(['1 free frame, 2 for the map', 'cowFaults 3']);
  });

  it('says how much is virtualized', () => {
    const first = (virtualized: MemoryView['virtualized']) => memoryLines({ ...view, virtualized })[0];
    expect(first([{ first: 0, count: 65_536 }])).toMatch(/, virtualized$/);
    expect(
      first([
        { first: 5, count: 10 },
        { first: 50, count: 10 },
      ]),
    ).toMatch(/, 20 pages virtualized$/);
  });
});

describe('disks as pictures', () => {
  const verdict = { allowed: true };
  const may = { delete: verdict, commit: verdict, stream: verdict, compact: verdict, resize: verdict };
  const layer = (
    path: string,
    backing: string | undefined,
    overlays: string[],
    neededBy: LayerView['neededBy'],
  ): LayerView => ({
    path,
    format: 'qcow2',
    virtualSize: 2 ** 30,
    allocatedSize: 2 ** 29,
    overlays,
    neededBy,
    may,
    ...(backing === undefined ? {} : { backing }),
  });
  const machine = { by: 'machine', id: 'm', direct: true } as const;
  const checkpoint = (name: string) => ({ by: 'checkpoint', id: 'c'.repeat(32), name, direct: true }) as const;
  const disk = (layers: readonly LayerView[]): DiskView => ({
    disk: 0,
    device: 'vda',
    mode: 'persistent',
    size: 2 ** 30,
    active: 'disks/d',
    layers,
  });

  it('stand on each other, the active one last, with those who need them', () => {
    const lines = disksLines([
      disk([
        layer('disks/d', 'disks/b', [], [machine]),
        layer(
          'disks/b',
          'disks/a',
          ['disks/c', 'disks/d'],
          [{ ...machine, direct: false }, checkpoint('one'), checkpoint('two')],
        ),
        layer('disks/c', 'disks/b', [], []),
        layer('disks/a', undefined, ['disks/b'], [{ ...checkpoint('one'), direct: false }]),
      ]),
    ]);
    expect(lines.map(line => line.replaceAll(/ +/g, ' ').trim())).toEqual([
      'disk 0 (vda), 1 GiB, persistent',
      '● disks/a qcow2 512 MiB ▕██████ ▏ needed by layers on it',
      '● disks/b qcow2 512 MiB ▕██████ ▏ needed by 2 checkpoints',
      '├─● disks/c qcow2 512 MiB ▕██████ ▏ needed by nobody',
      '▶ disks/d qcow2 512 MiB ▕██████ ▏ needed by the machine',
    ]);
  });

  it('that cannot be are drawn all the same', () => {
    const circle = [layer('disks/d', 'disks/b', ['disks/b'], []), layer('disks/b', 'disks/d', ['disks/d'], [])];
    expect(disksLines([disk(circle)])).toHaveLength(3);
    expect(disksLines([disk([layer('\u001b[2J', undefined, ['none'], [])])]).join()).not.toContain('\u001b');
    expect(disksLines([])).toEqual(['The machine has no disks']);
  });
});
