// How far two checkpoints of a machine differ: pages of memory and blocks of disks, by content.
import type { Comparison } from '../api/checkpoints.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Disks } from '../checkpoint/about.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';
import type { Layer } from '../disk/chain/layer.ts';
import { closeChain, openChain } from '../disk/chain/open.ts';
import { compareDisks } from './compare-disks.ts';
import { comparePages } from './compare-pages.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { diskIdentity, recordedDisks } from './disk-identities.ts';
import type { MachineHost } from './machine-host.ts';
import type { JobHandle } from './machine-jobs.ts';
import { disksOf } from './machine-position.ts';
import { OwnedFolder } from './owned-folder.ts';

/** A job: what it reads stays, and it can be cancelled. @throws AfterimageError when something cannot be read */
export async function compareCheckpoints(host: MachineHost, from: string, to: string): Promise<Comparison> {
  const tree = await host.tree();
  const subject = `${tree.node(from).name} and ${tree.node(to).name}`;
  return await host.jobs.run({ kind: 'verify', subject }, async handle => {
    const one = await tree.open(from);
    try {
      const other = await tree.open(to);
      try {
        return await compare(host, one, other, handle);
      } finally {
        await other.close();
      }
    } finally {
      await one.close();
    }
  });
}

async function compare(
  host: MachineHost,
  one: CheckpointReader,
  other: CheckpointReader,
  { job, signal, progress }: JobHandle,
): Promise<Comparison> {
  const step = (done: number, total: number) => {
    if (signal.aborted) throw new AfterimageError('state', 'It was cancelled', { cancelled: true });
    progress(done, total);
  };
  const [before, after] = [await namedDisks(one), await namedDisks(other)];
  host.copying.set(
    job,
    [...before, ...after].flatMap(({ layer }) => (layer === undefined ? [] : [layer])),
  );
  try {
    const { changed, total } = await comparePages(one, other, step);
    const disks: { device: string; changedBytes?: number; size: number }[] = [];
    for (const disk of after) {
      const twin = before.find(({ identity }) => identity === disk.identity);
      const changedBytes = twin && (await changedBytesOf(host, twin, disk, step));
      const { device, size } = disk;
      disks.push({ device, size, ...(changedBytes === undefined ? {} : { changedBytes }) });
    }
    for (const { identity, device, size } of before) {
      if (!after.some(disk => disk.identity === identity)) disks.push({ device, size });
    }
    return { from: one.id, to: other.id, changedPages: changed, totalPages: total, disks };
  } finally {
    host.copying.delete(job);
  }
}

type NamedDisk = Disks['disks'][number] & { readonly identity: string };

async function namedDisks(reader: CheckpointReader): Promise<NamedDisk[]> {
  const was = await recordedDisks(reader);
  return (await disksOf(reader)).disks.map((disk, index) => ({ ...disk, identity: diskIdentity(was?.[index], index) }));
}

async function changedBytesOf(
  host: MachineHost,
  one: NamedDisk,
  other: NamedDisk,
  step: (done: number, total: number) => void,
): Promise<number | undefined> {
  if (one.layer === undefined || other.layer === undefined) return undefined;
  if (one.layer === other.layer) return 0;
  const folder = new OwnedFolder(host.folder.path);
  const open = (path: string, { format }: NamedDisk): Promise<Layer> =>
    openChain(folder, { path, format }, { access: 'read', codecs: clusterCodecs });
  const left = await open(one.layer, one);
  try {
    const right = await open(other.layer, other);
    try {
      return await compareDisks(left, right, step);
    } finally {
      await closeChain(right);
    }
  } finally {
    await closeChain(left);
  }
}
