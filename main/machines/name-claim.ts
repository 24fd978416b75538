// Who is about to give a machine a name. A claim is an empty file in the library whose own name says everything:
//
//   .name-KEY-PID-NONCE        (KEY: a hash of the name in lower case)
//
// A claimant first adds its own file, then looks at the others: of two that come at the same time at least one sees the
// other. Files of processes that have ended are removed by whoever finds them, so `kill -9` leaves nothing in the way.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../../engine/base/errors.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';

/** How often to look again when two came at the same time and both gave way, and how long to wait at most. */
const ATTEMPTS = 10;
const LONGEST_WAIT = 50;

/**
 * Does `work` while nobody else can make or rename a machine of this name in the library. Errors: `state` when somebody
 * is about to; `denied`, `no-space` and others when the library cannot be written to.
 */
export async function withName<Result>(library: string, name: string, work: () => Promise<Result>): Promise<Result> {
  const claim = await claimName(library, name);
  try {
    return await work();
  } finally {
    await rm(claim, { force: true });
  }
}

async function claimName(library: string, name: string): Promise<string> {
  const key = createHash('sha256').update(name.toLowerCase()).digest('hex').slice(0, 16);
  try {
    await mkdir(library, { recursive: true });
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const own = `.name-${key}-${process.pid}-${randomBytes(6).toString('hex')}`;
      const claim = path.join(library, own);
      await writeFile(claim, '', { flag: 'wx' });
      if (!(await isContested(library, key, own))) return claim;
      await rm(claim, { force: true });
      // By chance, so that two do not meet again and again.
      await new Promise(resolve => setTimeout(resolve, Math.random() * LONGEST_WAIT));
    }
  } catch (thrown) {
    throw hostError(thrown, library, 'write to');
  }
  throw new AfterimageError('state', `Somebody else is making a machine '${name}' now; give another name`, { name });
}

async function isContested(library: string, key: string, own: string): Promise<boolean> {
  const claims = (await readdir(library)).filter(file => file.startsWith(`.name-${key}-`) && file !== own);
  let contested = false;
  for (const claim of claims) {
    if (isAlive(Number(claim.split('-')[2]))) contested = true;
    else await rm(path.join(library, claim), { force: true });
  }
  return contested;
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // A process of somebody else is one, too.
    return codeOf(thrown) !== 'ESRCH';
  }
}
