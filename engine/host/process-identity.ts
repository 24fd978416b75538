// Which process is it, and does it still run? A process number alone is not enough: numbers are used again, by other
// processes, after a restart of the host, and in other containers.
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';
import { codeOf } from './host-errors.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in the kernel's ticks since the host booted; '0' where it cannot be found out. */
  readonly started: string;
  /** Stands for the host and the process numbering in it. */
  readonly host: string;
  /** Stands for one run of the host's kernel; '0' where it cannot be found out. */
  readonly boot: string;
}

export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    started: startTime(process.pid) ?? '0',
    host: digest(`${os.hostname()} ${readOr('', () => readlinkSync('/proc/self/ns/pid'))}`),
    boot: readOr('0', () => digest(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'))),
  };
}

/** False only when it is certain that the process has ended. */
export function mayBeAlive(other: ProcessIdentity, own: ProcessIdentity): boolean {
  if (other.host !== own.host) return true;
  if (other.boot !== own.boot) return false;
  if (!numberIsInUse(other.pid)) return false;
  const started = startTime(other.pid);
  if (started === undefined) return true;
  return started === other.started;
}

function numberIsInUse(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it runs, for another user.
    return codeOf(thrown) !== 'ESRCH';
  }
}

/** Field 22 of /proc/PID/stat; 'ended' for a process that only waits for its parent; undefined on other systems. */
function startTime(pid: number): string | undefined {
  const stat = readOr('', () => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field is the program's name in parentheses and may contain anything; the third is the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return 'ended';
  return fields[19];
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function readOr(fallback: string, read: () => string): string {
  try {
    return read();
  } catch {
    return fallback;
  }
}
