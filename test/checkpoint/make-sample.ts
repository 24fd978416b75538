// Writes the sample files of the present format version: `node test/checkpoint/make-sample.ts`. Samples that exist are
// never changed (they must load for ever); a new version of the format gets new files beside them.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FORMAT_VERSION } from '../../engine/checkpoint/format.ts';
import { CheckpointWriter } from '../../engine/checkpoint/writer.ts';
import { MemoryFile } from '../../engine/disk/memory-file.ts';
import { plain, zstd } from './content.ts';
import { SAMPLE_CHILD, SAMPLE_ROOT, type SampleContent, sampleFrames } from './sample-content.ts';

const folder = path.join(import.meta.dirname, 'samples');
mkdirSync(folder, { recursive: true });

async function write(name: string, content: SampleContent, codecs: typeof plain): Promise<void> {
  const target = path.join(folder, `${name}-v${FORMAT_VERSION}.checkpoint`);
  const file = new MemoryFile(name);
  const writer = CheckpointWriter.begin(file, content.header, codecs);
  for (const { space, page, frame } of sampleFrames(content)) await writer.writePages(space, [page], [frame]);
  const { seal } = await writer.finish(content.trailer);
  if (existsSync(target)) console.log(`${target} exists and stays as it is`);
  else writeFileSync(target, file.content());
  console.log(`${name}: ${file.content().length} bytes, seal ${seal}`);
}

await write('root', SAMPLE_ROOT, zstd);
await write('child', SAMPLE_CHILD, plain);
