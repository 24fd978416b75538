// Numbers, times and states as people read them.
import type { MachineStatus } from '../../engine/api/machine.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `3.4 MiB`: short, for tables. */
export function shortSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(1))} ${UNITS[unit]}`;
}

/** `5 min ago`. */
export function age(at: number, now: number): string {
  const passed = Math.max(0, now - at);
  if (passed < MINUTE) return `${Math.floor(passed / SECOND)} s ago`;
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min ago`;
  if (passed < 2 * DAY) return `${Math.floor(passed / HOUR)} h ago`;
  return `${Math.floor(passed / DAY)} d ago`;
}

/** `312 µs`, `1.4 ms`. */
export function pauseText(microseconds: number): string {
  if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
  return `${(microseconds / 1000).toFixed(1)} ms`;
}

/** `paused: the host has no room`. */
export function stateText({ state, pausedBy }: Pick<MachineStatus, 'state' | 'pausedBy'>): string {
  if (state !== 'paused') return state;
  if (pausedBy === 'disk-full') return 'paused: the host has no room';
  return pausedBy === 'page' ? 'paused: a page cannot be read' : state;
}

/** `1 page`, `2 pages`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Rows with columns of equal width; the last column has no end. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, [...cell].length);
    });
  }
  return rows.map(row => {
    const cells = row.map((cell, column) => cell + ' '.repeat(widths[column]! - [...cell].length));
    return cells.join('  ').trimEnd();
  });
}
