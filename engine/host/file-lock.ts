// Advisory locks on host files: one writer, or any number of readers. The lock of FILE is the folder FILE.lock with an
// empty file per holder; its name says everything, so it appears whole or not at all:
//
//   write-PID-STARTED-HOST-BOOT-NONCE        (or read-...; see process-identity.ts)
//
// A holder first adds its own name, then looks at the others: of two that come at the same time at least one sees the
// other. Names of processes that have ended are removed by whoever finds them, so `kill -9` leaves nothing in the way.
// A file that has several names (hard links) has several locks: within one process it is known by its inode as well.
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, realpathSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError } from '../base/errors.ts';
import { codeOf, hostError } from './host-errors.ts';
import { mayBeAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';

export type LockMode = 'read' | 'write';

/** How often to look again when another that came at the same time is to give way, and how long to wait between. */
const PATIENCE = 10;
const PATIENCE_MILLISECONDS = 20;

interface Holder extends ProcessIdentity {
  readonly mode: LockMode;
  readonly name: string;
}

const held = new Set<FileLock>();
let exitWatched = false;

/** A lock that this process holds. It is given back by `release`, and when the process exits. */
export class FileLock {
  readonly #folder: string;
  readonly #name: string;
  readonly #mode: LockMode;
  readonly #inode: string;
  #closing = false;

  private constructor(folder: string, mode: LockMode, inode: string) {
    this.#folder = folder;
    this.#name = newName(mode);
    this.#mode = mode;
    this.#inode = inode;
  }

  /**
   * Errors: `locked` with the holder's process number in the context; `missing` without the file; `denied` when a
   * writer cannot create the folder. A reader that cannot create it (a read-only medium) goes without, as long as no
   * writer holds the lock.
   */
  static async take(file: string, mode: LockMode): Promise<FileLock> {
    const folder = `${resolve(file)}.lock`;
    const lock = new FileLock(folder, mode, inodeOf(file));
    lock.#refuseOtherName(file);
    if (!lock.#add(file, mode)) {
      const writer = holdersOf(folder).find(holder => holder.mode === 'write');
      if (writer !== undefined) throw lockedBy(writer, file, folder);
      return lock;
    }
    held.add(lock);
    watchExit();
    await lock.#settle(file, mode);
    return lock;
  }

  /**
   * For who removes the file: what ended processes have left of its lock goes too. Throws `locked` while another process
   * uses the file.
   */
  static clear(file: string): void {
    const folder = `${resolve(file)}.lock`;
    const other = holdersOf(folder).find(({ pid, host }) => pid !== process.pid || host !== ownIdentity().host);
    if (other !== undefined) throw lockedBy(other, file, folder);
    removeEmpty(folder);
  }

  /** False when somebody has removed it, or the folder it is in. What cannot be found out is taken to be well. */
  async isThere(): Promise<boolean> {
    try {
      await lstat(path.join(this.#folder, this.#name));
      return true;
    } catch (thrown) {
      return !['ENOENT', 'ENOTDIR'].includes(codeOf(thrown));
    }
  }

  /**
   * To be called before the file is closed, when nothing is read or written any more: the inode of one that was removed
   * belongs to another file as soon as it is closed, before `release` is called.
   */
  closing(): void {
    this.#closing = true;
  }

  release(): void {
    held.delete(this);
    rmSync(path.join(this.#folder, this.#name), { force: true });
    removeEmpty(this.#folder);
  }

  #refuseOtherName(file: string): void {
    for (const other of held) {
      if (other.#closing || other.#inode !== this.#inode || other.#folder === this.#folder) continue;
      if (this.#mode === 'write' || other.#mode === 'write') throw usedTwice(file, other.#folder);
    }
  }

  /** Adds our name; false when the file system does not let a reader do so. */
  #add(file: string, mode: LockMode): boolean {
    for (let attempt = 0; ; attempt++) {
      try {
        makeFolder(this.#folder);
        closeSync(openSync(path.join(this.#folder, this.#name), 'wx'));
        return true;
      } catch (thrown) {
        // Another holder removed the folder between the two steps.
        if (codeOf(thrown) === 'ENOENT' && attempt < PATIENCE) continue;
        const error = hostError(thrown, this.#folder, 'create the lock of');
        if (mode === 'read' && error.kind === 'denied') return false;
        throw new AfterimageError(
          error.kind,
          'Its lock, a folder beside it, cannot be created',
          { ...error.context, path: file, lock: this.#folder },
          { cause: thrown },
        );
      }
    }
  }

  /** Returns when nobody is in the way. Of several that came at once, the one with the first name stays. */
  async #settle(file: string, mode: LockMode): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const others = holdersOf(this.#folder).filter(holder => holder.name !== this.#name);
      const blocking = others.filter(holder => mode === 'write' || holder.mode === 'write');
      if (blocking.length === 0) return;
      const giveWay = blocking.some(holder => holder.name < this.#name);
      if (giveWay || attempt === PATIENCE) {
        this.release();
        throw lockedBy(blocking[0]!, file, this.#folder);
      }
      await new Promise(done => setTimeout(done, PATIENCE_MILLISECONDS));
    }
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Others hold it too, or it is gone already.
  }
}

/** Not `recursive`: where the host refuses a folder as if its parent were missing (/proc), that never returns. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
  }
}

function resolve(file: string): string {
  try {
    // Through links, so that one file has one lock.
    return realpathSync(file);
  } catch (thrown) {
    throw hostError(thrown, file, 'find');
  }
}

function inodeOf(file: string): string {
  try {
    const { dev, ino } = statSync(file, { bigint: true });
    return `${dev}:${ino}`;
  } catch (thrown) {
    throw hostError(thrown, file, 'find');
  }
}

function newName(mode: LockMode): string {
  const { pid, started, host, boot } = ownIdentity();
  return `${mode}-${pid}-${started}-${host}-${boot}-${randomBytes(4).toString('hex')}`;
}

/** Those that hold the lock; names left by processes that have ended are removed. */
function holdersOf(folder: string): Holder[] {
  const own = ownIdentity();
  const holders: Holder[] = [];
  for (const name of namesIn(folder)) {
    const holder = parse(name);
    if (holder === undefined) continue;
    if (mayBeAlive(holder, own)) holders.push(holder);
    else rmSync(path.join(folder, name), { force: true });
  }
  return holders;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return [];
    throw hostError(thrown, folder, 'read the lock of');
  }
}

function parse(name: string): Holder | undefined {
  const match = /^(read|write)-(\d{1,10})-(\d+)-([0-9a-f]+)-([0-9a-f]+)-[0-9a-f]+$/.exec(name);
  if (match === null) return undefined;
  const [, mode, pid, started, host, boot] = match as unknown as [string, LockMode, string, string, string, string];
  return { name, mode, pid: Number(pid), started, host, boot };
}

function lockedBy(holder: Holder, file: string, folder: string): AfterimageError {
  if (holder.pid === process.pid && holder.host === ownIdentity().host) return usedTwice(file, folder);
  const what = holder.mode === 'write' ? 'for writing' : 'for reading';
  return new AfterimageError('locked', `The file is in use ${what} by process ${holder.pid}`, {
    path: file,
    pid: holder.pid,
    lock: folder,
  });
}

/** By this very process: no other run has to end for it, and no lock is in the way. */
function usedTwice(file: string, folder: string): AfterimageError {
  return new AfterimageError(
    'locked',
    'The file is in use here already, under this or another name; only read-only it can be used twice',
    {
      path: file,
      pid: process.pid,
      lock: folder,
    },
  );
}

function watchExit(): void {
  if (exitWatched) return;
  exitWatched = true;
  process.on('exit', () => {
    for (const lock of held) lock.release();
  });
}
