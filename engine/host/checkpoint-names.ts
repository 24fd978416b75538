// What a checkpoint is called when nobody says, and which program wrote it.
import { readFileSync } from 'node:fs';

/** As a person writes it, local time. */
export function nameOfNow(): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}

let known: string | undefined;

/** Of this program. */
export function version(): string {
  if (known === undefined) {
    try {
      known = String(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version);
    } catch {
      known = 'unknown';
    }
  }
  return known;
}
