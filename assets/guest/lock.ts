// Lets one builder at a time into the cache. The lock only saves work: two builders that got past it at once would both
// finish, and the last rename would find the other's equal result.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, readFile, rename, rm, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** Who holds the lock. A process number alone may have been given to another process since. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** The boot of the host and when in it the process started, where the host can tell. */
  readonly started: string | undefined;
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once if the lock is taken by a living process. */
  readonly onWait?: (holder: { pid: number }) => void;
  /** Milliseconds between looks at a lock that is taken; a build takes seconds. */
  readonly interval?: number;
}

/** Waits for the lock and takes it; disposing of the result gives it back. */
export async function takeLock(file: string, options: LockOptions = {}): Promise<AsyncDisposable> {
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), started: startOf(process.pid) } satisfies Holder);
  let told = false;
  for (;;) {
    options.signal?.throwIfAborted();
    if (await create(file, mine)) return { [Symbol.asyncDispose]: () => release(file, mine) };
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) continue; // given back in between
    const holder = parseHolder(text);
    if (holder === undefined || !isAlive(holder)) {
      await removeStale(file, text);
      continue;
    }
    if (!told) options.onWait?.({ pid: holder.pid });
    told = true;
    await delay(options.interval ?? 200, undefined, options.signal ? { signal: options.signal } : {});
  }
}

/** Creates the lock with its contents in one step, so that nobody ever reads half of it. */
async function create(file: string, contents: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  const handle = await open(draft, 'wx');
  try {
    await handle.writeFile(contents);
  } finally {
    await handle.close();
  }
  try {
    await link(draft, file);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  } finally {
    await unlink(draft);
  }
}

/** Moves the lock aside before removing it: if someone renewed it meanwhile, it was moved whole and goes back. */
async function removeStale(file: string, stale: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw thrown;
  }
  if ((await readFile(aside, 'utf8')) !== stale) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

async function release(file: string, mine: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === mine) await rm(file, { force: true });
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, host, started } = value as Record<string, unknown>;
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0 || typeof host !== 'string') return undefined;
    return { pid, host, started: typeof started === 'string' ? started : undefined };
  } catch {
    return undefined;
  }
}

/** A process on another host (a shared home folder) cannot be asked, so it counts as alive. */
function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
  const started = startOf(holder.pid);
  return started === undefined || holder.started === undefined || started === holder.started;
}

/** Linux: field 22 of /proc/PID/stat, counted after the name, which may hold blanks. Elsewhere unknown. */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === undefined ? undefined : `${boot}/${ticks}`;
  } catch {
    return undefined;
  }
}
