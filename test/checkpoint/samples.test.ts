// One checkpoint of each format version is kept: it loads for ever, byte for byte as described.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { aboutTable, disksTable, requestsTable, screenTable, workingSetTable } from '../../engine/checkpoint/about.ts';
import { CheckpointReader } from '../../engine/checkpoint/reader.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { PAGE, plain } from './content.ts';
import { SAMPLE_CHILD, SAMPLE_ROOT, type SampleContent, sampleFrames } from './sample-content.ts';

const load = (name: string) =>
  new MemoryFile(name, readFileSync(path.join(import.meta.dirname, 'samples', `${name}.checkpoint`)), true);

async function expectContent(reader: CheckpointReader, content: SampleContent): Promise<void> {
  const { trailer, header } = content;
  expect(reader.header).toMatchObject({ id: header.id, machine: header.machine, spaces: header.spaces });
  expect(await reader.table(aboutTable)).toEqual(trailer.about);
  expect(await reader.table(disksTable)).toEqual(trailer.disks);
  expect(await reader.table(requestsTable)).toEqual(trailer.requests);
  expect(await reader.table(workingSetTable)).toEqual(trailer.workingSet);
  expect(await reader.table(screenTable)).toEqual(trailer.screen);
  expect(await reader.section('state')).toEqual(trailer.state);
}

test('version 1, complete and zstd', async () => {
  const reader = await CheckpointReader.open(load('root-v1'), async () => expect.fail('has no parent'), plain);
  await expectContent(reader, SAMPLE_ROOT);
  for (const { space, page, frame } of sampleFrames(SAMPLE_ROOT)) {
    const into = new Uint8Array(PAGE).fill(0xee);
    await reader.readPage(space, page, into);
    expect(into).toEqual(frame);
  }
});

test('version 1, incremental and uncompressed', async () => {
  const reader = await CheckpointReader.open(load('child-v1'), async () => load('root-v1'), plain);
  await expectContent(reader, SAMPLE_CHILD);
  const frames = new Map(
    [...sampleFrames(SAMPLE_ROOT), ...sampleFrames(SAMPLE_CHILD)].map(one => [one.page, one.frame]),
  );
  for (const [page, frame] of frames) {
    const into = new Uint8Array(PAGE).fill(0xee);
    await reader.readPage(0, page, into);
    expect(into).toEqual(frame);
  }
});

test('a later version is refused by its number', async () => {
  const bytes = load('root-v1').content();
  bytes[8] = 2;
  const opening = CheckpointReader.open(new MemoryFile('later', bytes), async () => expect.fail(), plain);
  await expect(opening).rejects.toMatchObject({ kind: 'unsupported', context: { found: 2, newest: 1, file: 'later' } });
});
