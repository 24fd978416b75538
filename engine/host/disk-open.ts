import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { DiskSettings } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import type { Layer } from '../disk/chain/layer.ts';
import { LiveDisk } from '../disk/chain/live-disk.ts';
import { closeChain, layersFrom, openChain } from '../disk/chain/open.ts';
import type { Disk } from '../disk/disk.ts';
import { refuseHalfCommitted, settleJobs } from '../disk/jobs/resume.ts';
import { TemporaryDisk } from '../disk/temporary.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { HostFolder } from './disk-folder.ts';
import { hostError } from './host-errors.ts';

/** What a guest can write to one temporary disk: its writes are in the engine's own memory. */
export const TEMPORARY_LIMIT = 4 * 1024 * 1024 * 1024;

const QCOW2_MAGIC = 'QFI\xfb';

/**
 * Opens a machine's disk with all that it stands on, locked until it is closed. Whatever its format it is a chain, so
 * that an overlay can be put on it while the machine runs; a temporary disk keeps what is written in memory instead.
 */
export async function openMachineDisk(settings: DiskSettings): Promise<Disk> {
  const { readonly, temporary, format = 'raw' } = settings;
  const file = format === 'raw' ? await withoutLinks(settings.path) : path.resolve(settings.path);
  const folder = new HostFolder(path.dirname(file));
  await refuseHalfCommitted(folder, path.basename(file));
  const access = readonly || temporary ? 'read' : 'write';
  const chain = await openChain(folder, { path: path.basename(file), format }, { access, codecs: clusterCodecs });
  try {
    if (format === 'raw') await refuseWhatIsNotRaw(chain, settings.path);
    // Half-made files go now. What else is left of a job may be needed: the parent knows, and is told.
    if (access === 'write') await settleJobs(folder, layersFrom(chain), undefined);
  } catch (thrown) {
    await closeChain(chain).catch(() => undefined);
    throw thrown;
  }
  const disk = new LiveDisk(chain);
  return temporary ? new TemporaryDisk(disk, { limit: TEMPORARY_LIMIT }) : disk;
}

/** The file that is meant: its overlays will stand beside it, not beside a link to it. */
async function withoutLinks(file: string): Promise<string> {
  return await realpath(file).catch(thrown => {
    throw hostError(thrown, file, 'find');
  });
}

/** A raw disk may hold anything, but what the user cannot have meant is better refused than overwritten. */
async function refuseWhatIsNotRaw(disk: Layer, file: string): Promise<void> {
  if (disk.size === 0) {
    throw new AfterimageError('unsupported', 'The disk is empty; give it a size, for example with `truncate -s 1G`', {
      path: file,
    });
  }
  const magic = new Uint8Array(4);
  await disk.read(0, [magic]);
  if (new TextDecoder('latin1').decode(magic) !== QCOW2_MAGIC) return;
  throw new AfterimageError('unsupported', 'It is a qcow2 image; say so with FILE,format=qcow2', { path: file });
}
