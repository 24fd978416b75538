// @req C16: checkpoints one after the other leave nothing behind: no memory, no open files, no room on the host.
import { expect, test } from 'vitest';
import { takeManyLive } from './many-live.ts';

const COUNT = Number(process.env.AFTERIMAGE_MANY_LIVE ?? 24);

test(`${COUNT} checkpoints in a row of a machine under load leave nothing behind`, async () => {
  const { samples, perThousand, ...report } = await takeManyLive(COUNT);
  console.log(JSON.stringify({ ...report, perThousand, last: samples.at(-1) }));
  // Each disk's chain may grow up to 64 layers; each layer is two open files, with its lock, and some KiB.
  for (const { files, layers, openFiles, checkpointFiles, residentMiB } of samples) {
    expect(layers).toBeLessThanOrEqual(66);
    expect(openFiles).toBeLessThan(400);
    expect(files).toBeLessThan(400);
    expect(checkpointFiles).toBeLessThanOrEqual(16);
    expect(residentMiB).toBeLessThan(1024);
  }
  if (COUNT < 1000) return;
  expect(perThousand.residentMiB).toBeLessThan(8);
  expect(perThousand.folderMiB).toBeLessThan(4);
  expect(perThousand.openFiles).toBeLessThan(8);
});
