// A guest that discards while its layer is streamed onto a base that is larger than what lay between.
import { expect, it } from 'vitest';
import { createWhole } from '../../engine/disk/chain/folder.ts';
import { LiveDisk } from '../../engine/disk/chain/live-disk.ts';
import { layersFrom, openChain } from '../../engine/disk/chain/open.ts';
import { Job } from '../../engine/disk/jobs/job.ts';
import { stream } from '../../engine/disk/jobs/stream.ts';
import { createImage } from '../../engine/disk/qcow2/create.ts';
import { MemoryFolder } from './memory-folder.ts';

const KIB = 1024;
const SIZE = 128 * KIB;
const CLUSTER = 4 * KIB;

it.each([2, 3] as const)(
  'what it discards past the end of the layers between stays zero, version %i',
  async version => {
    const folder = new MemoryFolder();
    folder.add('base.raw', new Uint8Array(SIZE).fill(0xba));
    const image = (name: string, size: number, path: string, format: string) =>
      createWhole(folder, name, file =>
        createImage(file, { size, version, clusterSize: CLUSTER, backing: { path, format } }),
      );
    await image('between.qcow2', 32 * KIB, 'base.raw', 'raw');
    await image('top.qcow2', SIZE, 'between.qcow2', 'qcow2');
    const live = new LiveDisk(await openChain(folder, { path: 'top.qcow2', format: 'qcow2' }, { access: 'write' }));
    await live.write(64 * KIB, [new Uint8Array(CLUSTER).fill(1)]);
    let discarded: Promise<unknown> | undefined;
    const job = new Job('stream', undefined, ({ state }) => {
      // All is copied, and nothing has changed its place yet.
      if (state !== 'ready') return;
      discarded ??= Promise.all([live.discard(64 * KIB, CLUSTER), live.writeZeroes(80 * KIB, CLUSTER)]);
    });
    await job.run(() => stream({ live, job }, live.active, layersFrom(live.active)[2]));
    await discarded;
    expect(discarded).toBeDefined();
    const found = new Uint8Array(96 * KIB);
    await live.read(32 * KIB, [found]);
    // What it gave up may still be there, where a version has no mark for zeroes; what lies far below never shows.
    const given = found.subarray(32 * KIB, 32 * KIB + CLUSTER);
    expect(given.every(byte => byte === 0 || (version === 2 && byte === 1))).toBe(true);
    given.fill(0);
    expect(found.every(byte => byte === 0)).toBe(true);
    await live.close();
  },
);
