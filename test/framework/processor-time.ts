import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks of /proc per second, on every Linux that we know. */
const TICKS_PER_SECOND = 100;

/** Ticks that a process and its children have used; what ends meanwhile does not count. */
function ticksOf(pid: number): number {
  let total = 0;
  for (const id of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${id}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      if (Number(id) === pid || Number(fields[1]) === pid) total += Number(fields[11]) + Number(fields[12]);
    } catch {
      // ended between the listing and the look
    }
  }
  return total;
}

/** Share of one processor that a process and its children use while so many milliseconds pass. */
export async function processorShare(pid: number, milliseconds: number): Promise<number> {
  const before = ticksOf(pid);
  await new Promise(resolve => setTimeout(resolve, milliseconds));
  return ((ticksOf(pid) - before) * 1000) / TICKS_PER_SECOND / milliseconds;
}
