// What the sample files of version 1 hold. Never to be changed: the files are fixed.
import type { CheckpointHeader } from '../../engine/checkpoint/header.ts';
import type { CheckpointTrailer } from '../../engine/checkpoint/writer.ts';
import { PAGE } from './content.ts';

export interface SampleContent {
  readonly header: CheckpointHeader;
  readonly trailer: CheckpointTrailer;
  /** Byte that each page of memory is filled with, by page; pages that are absent are the parent's. */
  readonly pages: ReadonlyMap<number, number>;
}

const MACHINE = '0123456789abcdef0123456789abcdef';
const MEMORY = { kind: 'memory' as const, name: 'memory', bytes: 24 * PAGE };
const ABOUT = {
  note: 'Größe €\nsecond line',
  takenAt: 1_790_000_000_000,
  pauseMicroseconds: 287,
  pendingRequests: 2,
  machine: '{"memory":98304}',
  writer: 'sample',
};

export const SAMPLE_ROOT: SampleContent = {
  header: { id: '11'.repeat(16), machine: MACHINE, spaces: [MEMORY] },
  pages: new Map(Array.from({ length: 24 }, (_, page) => [page, page % 6 === 5 ? 0 : page + 1])),
  trailer: {
    about: { ...ABOUT, name: 'root', origin: 'manual' },
    state: Uint8Array.of(1, 0, 0, 0, 0, 0),
    disks: {
      disks: [
        {
          device: 'disk0',
          layer: 'disks/root.qcow2',
          format: 'qcow2',
          size: 1_048_576,
          ownCopy: false,
          temporary: false,
          space: undefined,
        },
      ],
    },
    workingSet: { runs: [{ first: 3, count: 2 }] },
    screen: { columns: 80, rows: 25, lines: ['debian login: '], palette: undefined },
  },
};

export const SAMPLE_CHILD: SampleContent = {
  header: {
    id: '22'.repeat(16),
    machine: MACHINE,
    spaces: [MEMORY],
    parent: { id: '11'.repeat(16), seal: 'ad2572a54047d94b' },
  },
  pages: new Map([
    [2, 0],
    [9, 200],
    [23, 201],
  ]),
  trailer: {
    about: { ...ABOUT, name: 'child', origin: 'automatic' },
    requests: { requests: [{ device: 'disk0', tag: 5, status: 1 }] },
  },
};

export function* sampleFrames({ pages }: SampleContent): Generator<{ space: number; page: number; frame: Uint8Array }> {
  for (const [page, byte] of pages) {
    const frame = new Uint8Array(PAGE).fill(byte);
    // Zero stays zero; others differ within the page too.
    if (byte !== 0) frame[1] = page ^ 0xff;
    yield { space: 0, page, frame };
  }
}
