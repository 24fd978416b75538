// Commands about disks, checked where they are received (STYLE 12): jobs of a running machine, and bitmaps.
import type { BitmapAction, DiskJobCommand, RunningDiskJob } from '../api/disk.ts';
import { AfterimageError } from '../base/errors.ts';
import { backingPath } from '../disk/chain/paths.ts';
import { MOST_BITMAP_NAME_BYTES } from '../disk/qcow2/limits.ts';

type Fields = Readonly<Record<string, unknown>>;

const JOBS = ['overlay', 'commit', 'stream', 'compact', 'copy', 'check', 'resize', 'resume'] as const;
const ACTIONS = ['list', 'add', 'clear', 'remove', 'map'] as const;
/** Far beyond what a machine with years of checkpoints names. */
const MOST_NAMES = 10_000;

/** Returns the value as a command of the given kind; AfterimageError `usage` says what is wrong with it. */
export function checkDiskJobCommand(value: DiskJobCommand): DiskJobCommand {
  const fields = value as unknown as Fields;
  if (!isWhole(fields.disk)) throw usage('A disk is named by its number');
  if (value.kind === 'disk-job') return checkRunningJob(fields) as DiskJobCommand;
  if (value.kind === 'disk-job-limit') checkSpeed(fields);
  if (value.kind === 'disk-bitmap') {
    if (!isWhole(fields.request)) throw usage('A request is named by its number');
    checkBitmapAction(fields.does);
  }
  return value;
}

/** @throws AfterimageError `usage` */
export function checkRunningJob(fields: Fields): RunningDiskJob {
  const job = JOBS.find(one => one === fields.job);
  if (job === undefined) throw usage('There is no such job on disks');
  for (const name of ['layer', 'base', 'to']) if (fields[name] !== undefined) checkLayer(fields[name]);
  checkList(fields.keep, checkLayer);
  if (fields.restartBitmaps !== undefined) checkList(fields.restartBitmaps, checkBitmapName);
  for (const name of ['sparse', 'repair', 'compress']) {
    if (fields[name] !== undefined && typeof fields[name] !== 'boolean') throw usage(`${name} is true or false`);
  }
  checkSpeed(fields);
  if (job === 'resize' && (!isWhole(fields.size) || fields.size === 0)) throw usage('The size is a number of bytes');
  if (job === 'copy' && fields.to === undefined) throw usage('A copy needs the name of its file');
  return fields as unknown as RunningDiskJob;
}

/** @throws AfterimageError `usage` */
export function checkBitmapAction(value: unknown): BitmapAction {
  if (typeof value !== 'object' || value === null) throw usage('What to do with bitmaps must be an object');
  const fields = value as Fields;
  const action = ACTIONS.find(one => one === fields.action);
  if (action === undefined) throw usage('There is no such thing to do with bitmaps');
  if (action !== 'list') checkBitmapName(fields.name);
  for (const name of ['granularity', 'from']) {
    if (fields[name] !== undefined && !isWhole(fields[name])) throw usage(`${name} is a number of bytes`);
  }
  return value as BitmapAction;
}

function checkSpeed({ bytesPerSecond }: Fields): void {
  if (bytesPerSecond !== undefined && (!isWhole(bytesPerSecond) || bytesPerSecond === 0)) {
    throw usage('A speed is a number of bytes a second above zero');
  }
}

function checkList(value: unknown, check: (one: unknown) => void): void {
  if (!Array.isArray(value) || value.length > MOST_NAMES) throw usage('Names come in a list');
  for (const one of value) check(one);
}

/** A plain name in the disk's folder or below it. */
function checkLayer(value: unknown): void {
  if (typeof value !== 'string') throw usage('A layer is named by text');
  backingPath('layer', value);
}

function checkBitmapName(value: unknown): void {
  const fits =
    typeof value === 'string' && value !== '' && new TextEncoder().encode(value).length <= MOST_BITMAP_NAME_BYTES;
  if (!fits) throw usage(`The name of a bitmap is text of 1 to ${MOST_BITMAP_NAME_BYTES} bytes`);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function usage(message: string): AfterimageError {
  return new AfterimageError('usage', message);
}
