// The command of a disk process, checked where it is received (STYLE 12): types end at the border of a process.
import type { DiskCommand } from '../api/disk.ts';
import { AfterimageError } from '../base/errors.ts';
import { checkBitmapAction } from './disk-job-checks.ts';

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const isText: Check = value => typeof value === 'string' && value !== '' && !value.includes('\0');
const isFlag: Check = value => typeof value === 'boolean';
const isFormat: Check = value => value === 'raw' || value === 'qcow2';
const isWhole: Check = value => Number.isSafeInteger(value) && (value as number) >= 0;
const isCount: Check = value => Number.isSafeInteger(value) && (value as number) > 0;
const optional =
  (check: Check): Check =>
  value =>
    value === undefined || check(value);

const isBacking: Check = value => hasFields(value, { name: isText, format: isFormat });
const isOptions: Check = value =>
  hasFields(value, {
    clusterSize: optional(isCount),
    extendedL2: optional(isFlag),
    version: optional(one => one === 2 || one === 3),
    refcountBits: optional(isCount),
    lazyRefcounts: optional(isFlag),
    preallocation: optional(one => one === 'off' || one === 'metadata' || one === 'falloc' || one === 'full'),
    compression: optional(one => one === 'deflate' || one === 'zstd'),
  });

const FILE = { kind: isText, file: isText, format: isFormat, backingFormat: optional(isFormat) };

const COMMANDS: Readonly<Record<DiskCommand['kind'], Readonly<Record<string, Check>>>> = {
  create: {
    kind: isText,
    file: isText,
    format: isFormat,
    size: optional(isWhole),
    backing: optional(isBacking),
    options: isOptions,
  },
  info: { ...FILE, backingChain: isFlag },
  check: { ...FILE, repair: isFlag, giveUpLost: optional(isFlag) },
  map: FILE,
  convert: { ...FILE, to: isText, toFormat: isFormat, compress: isFlag, options: isOptions },
  compact: { ...FILE, compress: isFlag },
  resize: { ...FILE, size: value => Number.isSafeInteger(value), relative: isFlag, shrink: isFlag, force: isFlag },
  rebase: { ...FILE, backing: optional(isBacking), unsafe: isFlag, force: isFlag },
  commit: { ...FILE, remove: isFlag, force: isFlag },
  stream: { ...FILE, base: optional(isText) },
  jobs: { ...FILE, resume: isFlag },
  bitmap: {
    ...FILE,
    action: isText,
    name: optional(isText),
    granularity: optional(isCount),
    from: optional(isWhole),
  },
  bench: { ...FILE, count: isCount, depth: isCount, requestBytes: isCount, write: isFlag, random: isFlag },
};

/** Returns the value as a command; AfterimageError `usage` says what is wrong with it. Unknown fields are refused. */
export function checkDiskCommand(value: unknown): DiskCommand {
  if (typeof value !== 'object' || value === null) throw usage('A disk command must be an object');
  const { kind } = value as Fields;
  if (typeof kind !== 'string' || !Object.hasOwn(COMMANDS, kind)) throw usage('There is no such disk command');
  const wrong = wrongField(value as Fields, COMMANDS[kind as DiskCommand['kind']]);
  if (wrong !== undefined)
    throw usage('A field of the disk command is not what it must be', { command: kind, field: wrong });
  if (kind === 'bitmap') checkBitmapAction(value);
  return value as DiskCommand;
}

function hasFields(value: unknown, checks: Readonly<Record<string, Check>>): boolean {
  return typeof value === 'object' && value !== null && wrongField(value as Fields, checks) === undefined;
}

function wrongField(fields: Fields, checks: Readonly<Record<string, Check>>): string | undefined {
  const unknown = Object.keys(fields).find(name => !Object.hasOwn(checks, name));
  return unknown ?? Object.keys(checks).find(name => !checks[name]!(fields[name]));
}

function usage(message: string, context: Readonly<Record<string, string>> = {}): AfterimageError {
  return new AfterimageError('usage', message, context);
}
