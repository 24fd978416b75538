// The values of `afterimage disk`'s options, from text to what they mean. All throw AfterimageError `usage`.
import type { BitmapAction, DiskFormat, ImageOptions } from '../../engine/api/disk.ts';
import { AfterimageError } from '../../engine/base/errors.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const SECTOR = 512;
/** As the control interface has it. */
const LARGEST_DISK = 1024 * 2 ** 40;

/** `512M`, `1.5G`, `4096`: bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  const bytes = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!.toUpperCase()]!;
  if (!Number.isSafeInteger(bytes)) throw usage(`'${text}' is not a size; give bytes, or such as 512M, 20G`);
  return bytes;
}

/** A size of a disk: whole sectors. */
export function parseDiskSize(text: string): number {
  const size = parseSize(text);
  if (size % SECTOR !== 0) throw usage(`a disk of ${text} is not a whole number of sectors of ${SECTOR} bytes`);
  return size;
}

export interface SizeChange {
  readonly size: number;
  readonly relative: boolean;
}

/** A size that a disk of a machine can have. */
export function parseMachineDiskSize(text: string): number {
  return machineDiskSize(text, '--size');
}

/** The same, for an option of another name. */
export function machineDiskSize(text: string, option: string): number {
  const range = `give a size from ${SECTOR} bytes to ${LARGEST_DISK / UNITS.T!}T in steps of ${SECTOR}, such as 8G`;
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
  if (number === undefined) throw usage(`${option}: '${text}' is not a size of a disk; ${range}`);
  const size = Number(number) * UNITS[unit.toUpperCase()]!;
  if (size < SECTOR) throw usage(`${option}: ${text} is too small; ${range}`);
  if (size > LARGEST_DISK) throw usage(`${option}: ${text} is too large; ${range}`);
  if (size % SECTOR !== 0) throw usage(`${option}: ${text} is not a whole number of sectors; ${range}`);
  return size;
}

/** `20G`, `+1G` or `-512M`. */
export function parseSizeChange(text: string): SizeChange {
  const sign = /^[+-]/.exec(text)?.[0];
  const size = parseDiskSize(sign === undefined ? text : text.slice(1));
  return { size: sign === '-' ? -size : size, relative: sign !== undefined };
}

export function parseFormat(text: string): DiskFormat {
  if (text !== 'raw' && text !== 'qcow2') throw usage(`there is no format '${text}'; there are raw and qcow2`);
  return text;
}

/**
 * The format of a file on the command line: as given, or by its name. Never by the content of what may be a raw disk,
 * which a guest could have written.
 */
export function formatOf(file: string, given: DiskFormat | undefined): DiskFormat {
  return given ?? (/\.qcow2$/i.test(file) ? 'qcow2' : 'raw');
}

/** What to do with a bitmap, from the words of the command line. */
export function parseBitmapAction(
  action: string,
  name: string | undefined,
  { granularity, from }: { readonly granularity?: number; readonly from?: number },
): BitmapAction {
  if (granularity !== undefined && action !== 'add') throw usage('--granularity is for add');
  if (from !== undefined && action !== 'map') throw usage('--from is for map');
  if (action === 'list') {
    if (name !== undefined) throw usage('list takes no name');
    return { action };
  }
  if (action !== 'add' && action !== 'clear' && action !== 'remove' && action !== 'map') {
    throw usage(`there is no action '${action}'; there are list, add, clear, remove and map`);
  }
  if (name === undefined || name === '') throw usage(`${action} needs the name of a bitmap`);
  if (action === 'add') return granularity === undefined ? { action, name } : { action, name, granularity };
  if (action === 'map') return from === undefined ? { action, name } : { action, name, from };
  return { action, name };
}

export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(count) || count === 0) throw usage(`'${text}' is not a whole number above zero`);
  return count;
}

/** `cluster_size=64K,extended_l2=on`, as qemu-img has it; several can be given. */
export function parseImageOptions(text: string, previous: ImageOptions = {}): ImageOptions {
  let options = previous;
  for (const word of text.split(',')) {
    const equals = word.indexOf('=');
    const [name, value] = equals < 0 ? [word, 'on'] : [word.slice(0, equals), word.slice(equals + 1)];
    const parse = IMAGE_OPTIONS[name];
    if (parse === undefined) {
      throw usage(`there is no option '${name}'; there are ${Object.keys(IMAGE_OPTIONS).join(', ')}`);
    }
    options = { ...options, ...parse(value) };
  }
  return options;
}

const PREALLOCATIONS = { off: 'off', metadata: 'metadata', falloc: 'falloc', full: 'full' } as const;

const IMAGE_OPTIONS: Readonly<Record<string, (value: string) => ImageOptions>> = {
  cluster_size: value => ({ clusterSize: parseSize(value) }),
  extended_l2: value => ({ extendedL2: parseSwitch(value) }),
  lazy_refcounts: value => ({ lazyRefcounts: parseSwitch(value) }),
  refcount_bits: value => ({ refcountBits: parseCount(value) }),
  compat: value => ({ version: oneOf(value, { '0.10': 2, '1.1': 3 } as const) }),
  preallocation: value => ({ preallocation: oneOf(value, PREALLOCATIONS) }),
  compression_type: value => ({ compression: oneOf(value, { zlib: 'deflate', zstd: 'zstd' } as const) }),
};

function parseSwitch(value: string): boolean {
  return oneOf(value, { on: true, off: false } as const);
}

function oneOf<Choices extends Readonly<Record<string, unknown>>>(value: string, choices: Choices) {
  if (!Object.hasOwn(choices, value)) throw usage(`'${value}' is none of ${Object.keys(choices).join(', ')}`);
  return choices[value] as Choices[keyof Choices];
}

function usage(message: string): AfterimageError {
  return new AfterimageError('usage', message);
}
