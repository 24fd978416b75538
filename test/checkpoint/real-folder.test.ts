// The same on a real file system: what the model of one cannot show.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { FileStore } from '../../engine/checkpoint/file-store.ts';
import type { Hex } from '../../engine/checkpoint/format.ts';
import { RawMedium } from '../../engine/checkpoint/raw-medium.ts';
import type { CheckpointStore } from '../../engine/checkpoint/store.ts';
import { CheckpointTree } from '../../engine/checkpoint/tree.ts';
import { Random } from '../contract/random.ts';
import { temporaryFolder } from '../host/temporary-folder.ts';
import { about, MACHINE, memory, pageOf, zstd } from './content.ts';
import { nodeFolder } from './node-folder.ts';
import { readStamps } from './tree-model.ts';

const PAGES = 300;

test('taking, deleting, reopening and damage in a folder, with a raw medium beside it', async () => {
  const base = temporaryFolder();
  const folder = nodeFolder(base);
  const mediumFolder = nodeFolder(temporaryFolder());
  const medium = await mediumFolder.create('medium');
  await RawMedium.format(medium, { bytes: 16 * 2 ** 20 });
  await medium.write(16 * 2 ** 20 - 1, [new Uint8Array(1)]);
  const random = new Random(1);
  const raw = await RawMedium.open(medium);
  const stores = new Map<string, CheckpointStore>([
    ['file', new FileStore(folder)],
    ['raw', raw],
  ]);
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => random.below(256));
  const parts = { folder, stores, machine: MACHINE, codecs: zstd, random: bytes };
  let tree = await CheckpointTree.open(parts);
  const stamps: number[] = Array.from({ length: PAGES }, (_, page) => page % 7);
  const expected = new Map<Hex, number[]>();
  let last: Hex | undefined;
  for (let index = 1; index <= 6; index += 1) {
    const link = last === undefined ? {} : { base: last };
    const draft = await tree.take({ store: index === 3 ? 'raw' : 'file', spaces: [memory(PAGES)], ...link });
    for (let page = 0; page < PAGES; page += 1) {
      if (last !== undefined && page % 10 !== index) continue;
      if (last !== undefined) stamps[page] = 100 * index;
      await draft.writer.writePages(0, [page], [pageOf(page, stamps[page]!)]);
    }
    await draft.complete({ about: about(`number ${index}`, { takenAt: 1_790_000_000_000 + index }) });
    last = draft.id;
    expected.set(last, [...stamps]);
  }
  const ids = [...expected.keys()];
  for (const index of [0, 3]) {
    await tree.delete(ids[index]!);
    expected.delete(ids[index]!);
  }
  writeFileSync(path.join(base, `${'ab'.repeat(16)}.checkpoint.partial`), 'cut off');
  tree = await CheckpointTree.open(parts);
  for (const [id, content] of expected) expect(await readStamps(tree, id)).toEqual(content);
  expect((await tree.verify()).sound).toBe(true);
  const files = readdirSync(base).sort();
  expect(files).toEqual([...[1, 4, 5].map(index => `${ids[index]}.checkpoint`), 'tree.json'].sort());
  const hurt = path.join(base, `${ids[1]}.checkpoint`);
  const content = readFileSync(hurt);
  content[5000]! ^= 1;
  writeFileSync(hurt, content);
  expect((await tree.verify()).sound).toBe(false);
  await raw.close();
});
