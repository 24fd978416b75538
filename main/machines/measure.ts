import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';

/** What is in a machine's folder, told from names and sizes alone. */
export interface FolderContents {
  /** Allocated on the host. */
  readonly bytes: number;
  /** Layers of disks. */
  readonly disks: number;
  readonly checkpoints: number;
  /** Files that Afterimage has not made, as far as names tell. */
  readonly others: number;
  /** Milliseconds since 1970: when the newest checkpoint's file was written. */
  readonly newestCheckpoint?: number;
}

/** Machines have two levels of folders. */
const DEEPEST = 4;
const MOST_FILES = 100_000;
const OWN_FILES = /^(machine\.json(\.partial)?|last-words\.log|control\.(sock|path)|checkpoints\/tree\.json)$|\.lock\//;

/** Errors: `missing`, `denied`, `io`. */
export async function measureFolder(folder: string): Promise<FolderContents> {
  let [bytes, disks, checkpoints, others, files, newest] = [0, 0, 0, 0, 0, 0];
  const visit = async (relative: string, depth: number): Promise<void> => {
    for (const entry of await readdir(path.join(folder, relative), { withFileTypes: true })) {
      const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        if (depth < DEEPEST) await visit(name, depth + 1);
        continue;
      }
      files += 1;
      if (files > MOST_FILES) return;
      const info = await lstatOrNothing(path.join(folder, name));
      if (info === undefined) continue;
      // Windows does not tell what is allocated.
      bytes += process.platform === 'win32' ? info.size : info.blocks * 512;
      if (/^checkpoints\/[^/]+\.checkpoint$/.test(name)) {
        checkpoints += 1;
        newest = Math.max(newest, info.mtimeMs);
      } else if (/^disks\/[^/]+\.(qcow2|raw)$/.test(name)) disks += 1;
      else if (!OWN_FILES.test(name)) others += 1;
    }
  };
  try {
    await visit('', 0);
  } catch (thrown) {
    throw hostError(thrown, folder, 'measure');
  }
  return { bytes, disks, checkpoints, others, ...(newest === 0 ? {} : { newestCheckpoint: newest }) };
}

/** Files come and go while a machine runs. */
async function lstatOrNothing(file: string) {
  try {
    return await lstat(file);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
