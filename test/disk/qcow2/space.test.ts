// Space that a guest gives back reaches the host, where the host can take it.
import { spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { createImage } from '../../../engine/disk/qcow2/create.ts';
import { Qcow2Image } from '../../../engine/disk/qcow2/image.ts';
import { openHostFile } from '../../../engine/host/node-file.ts';
import { temporaryFolder } from '../../host/temporary-folder.ts';
import { contentOf, firstDifference, Random, randomBytes } from './images.ts';
import { qemuCheck } from './qemu.ts';

const MIB = 2 ** 20;

it.each([false, true])('discarded clusters become holes in the file (extended entries: %s)', async extendedL2 => {
  const name = path.join(temporaryFolder(), 'disk.qcow2');
  writeFileSync(name, '');
  const file = await openHostFile(name, { readonly: false });
  await createImage(file, { size: 16 * MIB, extendedL2 });
  const image = await Qcow2Image.open(file);
  const content = randomBytes(new Random(5), 16 * MIB);
  await image.write(0, [content]);
  await image.flush();
  const full = statSync(name).blocks;
  await image.discard(2 * MIB, 8 * MIB);
  await image.flush();
  // What comes next may take the freed clusters, and must not be hit by a hole that comes late.
  await image.write(3 * MIB, [content.subarray(3 * MIB, 4 * MIB)]);
  content.fill(0, 2 * MIB, 3 * MIB).fill(0, 4 * MIB, 10 * MIB);
  expect(firstDifference(await contentOf(image), content)).toBe(-1);
  await image.close();
  const probe = path.join(temporaryFolder(), 'probe');
  writeFileSync(probe, Buffer.alloc(65_536, 1));
  const hostCan = spawnSync('fallocate', ['--punch-hole', '--offset', '0', '--length', '65536', probe]).status === 0;
  expect((full - statSync(name).blocks) * 512 > 6 * MIB).toBe(hostCan);
  expect(await qemuCheck(name)).toEqual({ corruptions: 0, leaks: 0, errors: 0 });
});
