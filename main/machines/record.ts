// `machine.json`: what a machine's folder says of it. Others may have written it, so all of it is checked.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import * as v from 'valibot';
import { type Identity, type MachineRecord, USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { LONGEST_APPEND, MOST_DISKS } from '../../engine/api/settings.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import {
  automatic,
  count,
  diskMode,
  identity,
  LONGEST,
  layerFormat,
  machineName,
  memorySize,
} from '../../preload/contract/shapes.ts';
import { readSmallFile } from './files.ts';

export const RECORD_FILE = 'machine.json';
/** Far more than six disks and a boot configuration take. */
const LONGEST_RECORD = 256 * 1024;

const text = (most: number) =>
  v.pipe(
    v.string(),
    v.maxLength(most),
    v.check(value => !value.includes('\0'), 'It has a zero byte'),
  );
const file = v.pipe(text(LONGEST.path), v.nonEmpty());

const boot = v.variant('kind', [
  v.object({ kind: v.literal('guest'), append: v.exactOptional(text(LONGEST_APPEND)) }),
  v.object({
    kind: v.literal('files'),
    kernel: v.exactOptional(file),
    initrd: v.exactOptional(file),
    append: v.exactOptional(text(LONGEST_APPEND)),
    firmware: v.exactOptional(file),
    elf: v.exactOptional(file),
  }),
]);

const disk = v.object({
  file: v.pipe(file, v.check(staysInside, 'It is no relative path that stays in the folder')),
  format: layerFormat,
  mode: diskMode,
});

const record = v.object({
  id: identity,
  createdAt: count,
  name: machineName,
  memory: memorySize,
  boot,
  disks: v.pipe(v.array(disk), v.maxLength(MOST_DISKS)),
  automatic: v.optional(automatic, USUAL_AUTOMATIC),
});

/** The record in a machine's folder. Errors: `missing`, `denied`, `unsupported`, `too-large`, `corrupt`. */
export async function readRecord(folder: string): Promise<MachineRecord> {
  const from = path.join(folder, RECORD_FILE);
  return parseRecord(await readSmallFile(from, LONGEST_RECORD), from);
}

/** `from` is where the text comes from, for errors. Errors: `corrupt`. */
export function parseRecord(json: string, from: string): MachineRecord {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new AfterimageError('corrupt', 'The file is not JSON', { path: from }, { cause });
  }
  const result = v.safeParse(record, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = v.getDotPath(issue) ?? undefined;
  const subject = field === undefined ? 'What it says' : `Its '${field.slice(0, 100)}'`;
  throw new AfterimageError('corrupt', `${subject} is not valid (${reason(issue)})`, { path: from, field });
}

export function recordText(machine: MachineRecord): string {
  return `${JSON.stringify(machine, null, 2)}\n`;
}

/** A machine's name as a user gave it, without the blanks around it. Errors: `usage`. */
export function checkMachineName(given: string): string {
  const result = v.safeParse(machineName, given, { abortEarly: true });
  if (result.success) return result.output;
  throw new AfterimageError(
    'usage',
    `A machine's name has 1 to ${LONGEST.machineName} characters in one line; '${given.slice(0, LONGEST.machineName)}' cannot be one`,
  );
}

export function newIdentity(): Identity {
  return randomBytes(16).toString('hex');
}

/** Valibot repeats what it received, which may be long. */
function reason(issue: v.BaseIssue<unknown>): string {
  const text = issue.message;
  return (text.charAt(0).toLowerCase() + text.slice(1)).slice(0, 120);
}

function staysInside(relative: string): boolean {
  if (relative.includes('\\') || path.posix.isAbsolute(relative) || path.win32.isAbsolute(relative)) return false;
  return relative.split('/').every(part => part !== '' && part !== '.' && part !== '..');
}
