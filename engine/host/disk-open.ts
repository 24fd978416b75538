import path from 'node:path';
import type { DiskSettings } from '../api/settings.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import { openChain } from '../disk/chain/open.ts';
import type { Disk } from '../disk/disk.ts';
import { TemporaryDisk } from '../disk/temporary.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { HostFolder } from './disk-folder.ts';

/** What a guest can write to one temporary disk: its writes are in the engine's own memory. */
export const TEMPORARY_LIMIT = 4 * 1024 * 1024 * 1024;

/** Opens a qcow2 image with all that it stands on, locked until it is closed. */
export async function openQcow2Disk({ path: file, readonly, temporary }: DiskSettings): Promise<Disk> {
  const absolute = path.resolve(file);
  const chain = await openChain(
    new HostFolder(path.dirname(absolute)),
    { path: path.basename(absolute), format: 'qcow2' },
    { access: readonly || temporary ? 'read' : 'write', codecs: clusterCodecs },
  );
  const disk = new LiveDisk(chain);
  return temporary ? new TemporaryDisk(disk, { limit: TEMPORARY_LIMIT }) : disk;
}
