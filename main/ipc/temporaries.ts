import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';

/**
 * Empties this process's temporary folder, and removes those beside it whose processes have ended without doing so: an
 * upload may be as large as a disk. Errors: those of removing our own.
 */
export async function clearTemporaries(own: string): Promise<void> {
  try {
    await rm(own, { recursive: true, force: true });
  } catch (thrown) {
    throw hostError(thrown, own, 'empty');
  }
  const folder = path.dirname(own);
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(one => /^\d{1,10}$/.test(one) && !isAlive(Number(one)))) {
    // Another may have been faster.
    await rm(path.join(folder, name), { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return codeOf(thrown) !== 'ESRCH';
  }
}
