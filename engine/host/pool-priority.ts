import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/**
 * Of a thread that takes what others leave, in the host's terms (-20 to 19). The lowest: beside a hart on the same
 * processor it gets 1.4 % of it; at 10 it would get a tenth.
 */
const POLITE = 19;
const lowered = new Set<number>();

/**
 * Has compression and file operations of the runtime's thread pool make way for the hart, which is to lose no more than a
 * few per cent while a checkpoint is saved. Linux gives each thread a priority of its own; elsewhere nothing is done.
 * To be called again now and then: the pool makes its threads when it first needs them.
 */
export function makePoolPolite(): void {
  if (process.platform !== 'linux') return;
  try {
    for (const name of readdirSync('/proc/self/task')) {
      const thread = Number(name);
      if (lowered.has(thread) || !readFileSync(`/proc/self/task/${name}/comm`, 'latin1').startsWith('libuv-worker'))
        continue;
      setPriority(thread, POLITE);
      lowered.add(thread);
    }
  } catch {
    // A thread that has just ended, or a host that hides them: only politeness is lost.
  }
}
