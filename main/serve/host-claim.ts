// Which process is the browser host of a library. Its claim is a file in the app's data folder that only the user can
// read. The name says who it is, the content where it is:
//
//   host-COMPUTER-PID-STARTED-NONCE        { "address": "http://127.0.0.1:7428/#token=..." }
//
// A host first adds its claim, then looks at the others: of two that come at the same time at least one sees the other,
// and the first by name stays. Claims of processes that have ended are removed by whoever finds them, so that `kill -9`
// leaves nothing in the way; those of other computers, which may share the folder, are none of ours.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';

/** How often to look again whether one that came at the same time gives way, and how long to wait between. */
const ATTEMPTS = 10;
const ATTEMPT_MILLISECONDS = 20;
const LONGEST_CLAIM = 4096;

export interface OtherHost {
  readonly pid: number;
  /** With its token; undefined while it starts. */
  readonly address: string | undefined;
}

export class HostClaim {
  readonly #file: string;
  readonly #atExit = () => rmSync(this.#file, { force: true });

  private constructor(file: string) {
    this.#file = file;
    process.on('exit', this.#atExit);
  }

  /** The claim, or the host that has the library. Errors: `denied`, `no-space` and others of the data folder. */
  static async take(dataFolder: string): Promise<HostClaim | OtherHost> {
    const own = `host-${computer()}-${process.pid}-${startTime(process.pid) ?? '0'}-${randomBytes(4).toString('hex')}`;
    const claim = new HostClaim(path.join(dataFolder, own));
    try {
      await mkdir(dataFolder, { recursive: true, mode: 0o700 });
      await writeFile(claim.#file, '', { flag: 'wx', mode: 0o600 });
      for (let attempt = 1; ; attempt++) {
        const others = (await livingClaims(dataFolder)).filter(name => name !== own);
        if (others.length === 0) return claim;
        if (attempt === ATTEMPTS || others.some(name => name < own)) {
          await claim.release();
          return { pid: pidOf(others[0]!), address: await addressIn(path.join(dataFolder, others[0]!)) };
        }
        await new Promise(resolve => setTimeout(resolve, ATTEMPT_MILLISECONDS));
      }
    } catch (thrown) {
      await claim.release();
      throw hostError(thrown, dataFolder, 'write to');
    }
  }

  /** From now on others find us. The address has the token in it. */
  async announce(address: string): Promise<void> {
    await writeFile(this.#file, JSON.stringify({ address }), { mode: 0o600 });
  }

  async release(): Promise<void> {
    process.off('exit', this.#atExit);
    await rm(this.#file, { force: true });
  }
}

/** The process has ended, or its number belongs to another one now. */
export function hasEnded(pid: number, started: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // A process of somebody else is one, too.
    if (codeOf(thrown) === 'ESRCH') return true;
  }
  const now = startTime(pid);
  return now !== undefined && started !== '0' && now !== started;
}

async function livingClaims(folder: string): Promise<readonly string[]> {
  const living: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const match = /^host-([0-9a-f]{12})-(\d{1,10})-(\d{1,20})-[0-9a-f]{8}$/.exec(name);
    if (match === null || match[1] !== computer()) continue;
    if (hasEnded(Number(match[2]), match[3]!)) await rm(path.join(folder, name), { force: true });
    else living.push(name);
  }
  return living;
}

async function addressIn(file: string): Promise<string | undefined> {
  try {
    const { address } = JSON.parse((await readFile(file, 'utf8')).slice(0, LONGEST_CLAIM)) as { address?: unknown };
    const isOurs = typeof address === 'string' && URL.parse(address)?.hostname === '127.0.0.1';
    return isOurs ? address : undefined;
  } catch {
    // It has not said yet, or has just ended.
    return undefined;
  }
}

function pidOf(name: string): number {
  return Number(name.split('-')[2]);
}

/** Process numbers mean something on one computer, and in one container, only. */
function computer(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 12);
}

/** Field 22 of /proc/PID/stat: a process number may be used again, this does not. Undefined on other systems. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may contain anything; the third is the state.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'ended' : fields[19];
  } catch {
    return undefined;
  }
}
