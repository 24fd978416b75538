// The values of command-line options, from text to what they mean. Every function throws AfterimageError `usage`.
import { existsSync } from 'node:fs';
import {
  type DiskSettings,
  GIB,
  KIB,
  MEMORY_LIMITS,
  MIB,
  MOST_DISKS,
  type SignatureGranularity,
} from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';

const UNITS: Readonly<Record<string, number>> = { K: KIB, M: MIB, G: GIB };
/** Timers of the host count milliseconds in 31 bits. */
const LONGEST_TIMEOUT_SECONDS = 2_147_483;
/** As the control interface has it. */
const LONGEST_PATIENCE_SECONDS = 86_400;

/** `512M`, `2G`, `1.5GiB`: bytes within the limits of the engine. */
export function parseMemory(text: string): number {
  const { smallest, largest, step } = MEMORY_LIMITS;
  const range = `give a size from ${smallest / MIB}M to ${largest / GIB}G, such as 512M or 2G`;
  const match = /^(\d+(?:\.\d+)?)([KMG])(?:i?B)?$/i.exec(text);
  if (match === null) throw usage(`--memory: '${text}' is not a size; ${range}`);
  const bytes = Number(match[1]) * UNITS[match[2]!.toUpperCase()]!;
  if (bytes < smallest) throw usage(`--memory: ${text} is too small; ${range}`);
  if (bytes > largest) throw usage(`--memory: ${text} is too large; ${range}`);
  if (bytes % step !== 0) throw usage(`--memory: ${text} is not a whole number of MiB; ${range}`);
  return bytes;
}

const DISK_FORMATS: Readonly<Record<string, 'raw' | 'qcow2'>> = { 'format=raw': 'raw', 'format=qcow2': 'qcow2' };

/**
 * `FILE[,readonly][,temporary][,format=raw|qcow2]`. Without a format it is told by the name alone: the content of a raw
 * disk may be a qcow2 header that the guest wrote.
 */
export function parseDisk(text: string): DiskSettings {
  const words: string[] = [];
  let path = text;
  for (;;) {
    const comma = path.lastIndexOf(',');
    const word = path.slice(comma + 1);
    const known = word === 'readonly' || word === 'temporary' || DISK_FORMATS[word] !== undefined;
    if (comma < 0 || !known) break;
    words.push(word);
    path = path.slice(0, comma);
  }
  if (path === '') throw usage('a disk needs a file; give FILE, FILE,readonly or FILE,temporary');
  const [, unknown] = /,([a-z]+(?:=\w*)?)$/.exec(path) ?? [];
  if (unknown !== undefined && !existsSync(path)) {
    throw usage(`a disk has no option '${unknown}'; there are readonly, temporary, format=raw and format=qcow2`);
  }
  const [readonly, temporary] = [words.includes('readonly'), words.includes('temporary')];
  if (readonly && temporary) throw usage('a disk is either readonly or temporary, not both');
  const formats = words.map(word => DISK_FORMATS[word]).filter(format => format !== undefined);
  if (formats.length > 1) throw usage('a disk has one format');
  const format = formats[0] ?? (/\.qcow2$/i.test(path) ? 'qcow2' : 'raw');
  return { path, format, readonly, temporary };
}

/** For an option that can be given several times. */
export function collectDisks(text: string, previous: readonly DiskSettings[] = []): DiskSettings[] {
  if (previous.length === MOST_DISKS) throw usage(`a machine has at most ${MOST_DISKS} disks`);
  return [...previous, parseDisk(text)];
}

/** An expression as JavaScript understands it; `^` and `$` also match at the ends of lines. */
export function parseExpression(text: string): RegExp {
  try {
    return new RegExp(text, 'm');
  } catch (thrown) {
    throw usage(`'${text}' is not a regular expression: ${(thrown as Error).message.replace(/^.*: /, '')}`);
  }
}

export function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds > 0 && seconds <= LONGEST_TIMEOUT_SECONDS)) {
    throw usage(`'${text}' is not a time limit; give seconds, such as 60 or 2.5, up to ${LONGEST_TIMEOUT_SECONDS}`);
  }
  return seconds;
}

/** Seconds that a machine's process waits for its guest. */
export function parsePatience(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds > LONGEST_PATIENCE_SECONDS)
    throw usage(`'${text}' is more than a day (${LONGEST_PATIENCE_SECONDS} seconds)`);
  return seconds;
}

export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(count) || count === 0) {
    throw usage(`'${text}' is not a number of instructions; give a whole number from 1 to 2^53 - 1`);
  }
  return count;
}

export function parseGranularity(text: string): SignatureGranularity {
  if (text !== '4' && text !== '8' && text !== '16') throw usage(`'${text}' is no granularity; there are 4, 8 and 16`);
  return Number(text) as SignatureGranularity;
}

function usage(message: string): AfterimageError {
  return new AfterimageError('usage', message);
}
