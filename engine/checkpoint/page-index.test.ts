import { describe, expect, test } from 'vitest';
import type { Space } from './header.ts';
import { PageIndex, PageIndexBuilder, ZERO_BLOCK } from './page-index.ts';

const SPACES: readonly Space[] = [
  { kind: 'memory', name: 'memory', bytes: 40 * 4096 },
  { kind: 'disk', name: 'disk0', bytes: 3 * 4096 + 512 },
];
const END = 100_000;

function build(): Uint8Array {
  const builder = new PageIndexBuilder(SPACES);
  const first = builder.addBlock({ offset: 4096, length: 8192, checksum: 1, pages: 2, codec: 'none' });
  const second = builder.addBlock({ offset: 12_288, length: 500, checksum: 2, pages: 3, codec: 'zstd' });
  builder.addRun({ space: 1, first: 1, count: 1, block: second, slot: 2 });
  builder.addRun({ space: 0, first: 10, count: 2, block: first, slot: 0 });
  builder.addRun({ space: 0, first: 3, count: 2, block: second, slot: 0 });
  builder.addRun({ space: 0, first: 5, count: 5, block: ZERO_BLOCK, slot: 0 });
  return builder.encode(false);
}

const decode = (bytes: Uint8Array) => PageIndex.decode(bytes, SPACES, 50_000, END, 'file');

// Offsets in the encoded index: two blocks of 20 bytes, then runs of 16 in the order of pages.
const BLOCK = (number: number, field: number) => 8 + number * 20 + field;
const RUN = (number: number, field: number) => 48 + number * 16 + field;

describe('a page index', () => {
  test('finds each page in its space, and only those', () => {
    const index = decode(build());
    const found = (space: number) =>
      Array.from({ length: 40 }, (_, page) => page).filter(page => index.find(space, page) !== undefined);
    expect(found(0)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(found(1)).toEqual([1]);
    expect(index.find(0, 4)).toEqual({ space: 0, first: 3, count: 2, block: 1, slot: 0 });
    expect(index.find(0, 9)?.block).toBe(ZERO_BLOCK);
    expect(index.block(1)).toEqual({ offset: 12_288, length: 500, checksum: 2, pages: 3, codec: 'zstd' });
    expect([...index.runs(1)].map(run => run.slot)).toEqual([2]);
  });

  test.each<[string, number, number, 8 | 32]>([
    ['more blocks than there are', 0, 3, 32],
    ['more runs than there are', 4, 5, 32],
    ['a huge number of blocks', 0, 0xffffffff, 32],
    ['a block in the header', BLOCK(0, 0), 4095, 32],
    ['a block over another', BLOCK(1, 0), 12_287, 32],
    ['a block past the end', BLOCK(1, 0), END - 499, 32],
    ['a block far away', BLOCK(1, 4), 0xffffffff, 32],
    ['a block without bytes', BLOCK(1, 8), 0, 32],
    ['a compressed block that is not smaller', BLOCK(1, 8), 3 * 4096, 32],
    ['an uncompressed block of another size', BLOCK(0, 8), 8191, 32],
    ['a block without pages', BLOCK(1, 16), 0, 8],
    ['a block of too many pages', BLOCK(1, 16), 17, 8],
    ['an unknown codec', BLOCK(1, 17), 3, 8],
    ['used bytes that are unused', BLOCK(1, 18), 1, 8],
    ['a run over another', RUN(1, 0), 4, 32],
    ['a run before another', RUN(1, 0), 2, 32],
    ['a run past the end of its space', RUN(2, 0), 39, 32],
    ['an empty run', RUN(1, 4), 0, 32],
    ['a huge run', RUN(1, 4), 0xffffffff, 32],
    ['a run in no block', RUN(0, 8), 2, 32],
    ['a run that ends after its block', RUN(0, 12), 2, 8],
    ['a run of more pages than its block', RUN(0, 8), 0, 32],
    ['a run of zeroes with a slot', RUN(1, 12), 1, 8],
    ['a run in no space', RUN(3, 13), 2, 8],
    ['spaces out of order', RUN(0, 13), 1, 8],
    ['used bytes of a run that are unused', RUN(0, 14), 1, 8],
  ])('with %s is refused', (what, at, value, bits) => {
    const bytes = build();
    const view = new DataView(bytes.buffer);
    if (bits === 8) view.setUint8(at, value);
    else view.setUint32(at, value, true);
    const attempt = () => decode(bytes);
    // Two pages fit two pages: one slot further they do not.
    if (what === 'a run of more pages than its block') {
      expect(attempt).not.toThrow();
      view.setUint8(RUN(0, 12), 1);
    }
    expect(attempt).toThrow(
      expect.objectContaining({
        kind: 'corrupt',
        context: expect.objectContaining({ file: 'file', section: 'pages' }),
      }),
    );
  });

  test('that is cut off anywhere is refused', () => {
    const bytes = build();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decode(bytes.subarray(0, length))).toThrow(expect.objectContaining({ kind: 'corrupt' }));
    }
  });
});
