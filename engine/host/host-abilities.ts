// What the file system of a folder can do for disks, found out by trying with a small file: neither its kind nor the
// programs that are installed tell it for certain. What is absent is told, not hidden.
import { randomBytes } from 'node:crypto';
import { constants, statSync } from 'node:fs';
import { copyFile, open, rm } from 'node:fs/promises';
import path from 'node:path';
import type { HostAbilities } from '../api/disk.ts';
import { allocateSpace } from './allocate-space.ts';
import { HolePuncher } from './hole-punch.ts';

const PROBE_BYTES = 128 * 1024;
/** Answers that are kept: one for each file system. */
const MOST_KNOWN = 64;

const known = new Map<string, Promise<HostAbilities | undefined>>();

/** Undefined where no file can be made: then nobody can tell. */
export async function hostAbilities(folder: string): Promise<HostAbilities | undefined> {
  let device: string;
  try {
    device = String(statSync(folder).dev);
  } catch {
    return undefined;
  }
  let answer = known.get(device);
  if (answer === undefined) {
    if (known.size >= MOST_KNOWN) known.clear();
    answer = probe(folder);
    known.set(device, answer);
  }
  const found = await answer;
  // Another folder of it may be writable.
  if (found === undefined) known.delete(device);
  return found;
}

/** Whether a file is one that a process left that was killed meanwhile. */
export function isProbe(name: string): boolean {
  return /^\.probe-[0-9a-f]{12}(-copy)?\.partial$/.test(name);
}

async function probe(folder: string): Promise<HostAbilities | undefined> {
  const file = path.join(folder, `.probe-${randomBytes(6).toString('hex')}.partial`);
  const copy = file.replace('.partial', '-copy.partial');
  try {
    const handle = await open(file, 'wx+', 0o600);
    try {
      await handle.write(new Uint8Array(PROBE_BYTES).fill(1), 0, PROBE_BYTES, 0);
      const discard = (await new HolePuncher(handle.fd).punch(0, PROBE_BYTES / 2)) === true;
      const preallocation = await allocateSpace(handle.fd, PROBE_BYTES, PROBE_BYTES, file);
      const flags = constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL;
      const reflink = await copyFile(file, copy, flags).then(
        () => true,
        () => false,
      );
      return { discard, reflink, preallocation };
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  } finally {
    await Promise.all([file, copy].map(one => rm(one, { force: true }).catch(() => undefined)));
  }
}
