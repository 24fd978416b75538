// `machine.json`: what a machine's folder says of it. Others may have written it, so all of it is checked.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import type { Identity, MachineRecord } from '../../engine/api/machine.ts';
import { checked, machineName, storedMachine } from '../../engine/api/machine-checks.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';

export const RECORD_FILE = 'machine.json';
/** As much as the machine's process writes at most. */
const LONGEST_RECORD = 8 * 1024 * 1024;
const SHOWN_OF_NAMES = 100;

export interface FoundRecord {
  readonly record: MachineRecord;
  /** The machine goes on from this checkpoint at its next start. */
  readonly suspended?: Identity;
}

/** What a machine's folder says. Errors: `missing`, `denied`, `unsupported`, `too-large`, `corrupt`. */
export async function readRecord(folder: string): Promise<FoundRecord> {
  const from = path.join(folder, RECORD_FILE);
  return parseRecord(await readRegularFile(from), from);
}

/** `from` is where the bytes come from, for errors. Errors: `corrupt`. */
export function parseRecord(json: Uint8Array, from: string): FoundRecord {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (cause) {
    throw new AfterimageError('corrupt', 'The file is not JSON', { path: from }, { cause });
  }
  const { process, ...record } = checked(storedMachine, value, 'corrupt', 'What it says', { path: from });
  return { record, ...(process.suspended === undefined ? {} : { suspended: process.suspended }) };
}

/** A machine's name as a user gave it, without the blanks around it. Errors: `usage`. */
export function checkMachineName(given: string): string {
  const name = given.trim();
  if (v.is(machineName, name)) return name;
  const shown = given.slice(0, SHOWN_OF_NAMES);
  throw new AfterimageError('usage', `A machine's name has 1 to 100 characters in one line; '${shown}' cannot be one`);
}

async function readRegularFile(file: string): Promise<Uint8Array> {
  // Neither through a link, nor waiting for the other end of a pipe.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, flags);
    const info = await handle.stat();
    if (!info.isFile()) throw new AfterimageError('unsupported', 'It is not a regular file', { path: file });
    if (info.size > LONGEST_RECORD) {
      throw new AfterimageError('too-large', 'The file is larger than any machine needs', { path: file });
    }
    const bytes = Buffer.alloc(info.size);
    // What is added meanwhile is not read; then it is not whole either, and refused.
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytesRead);
  } catch (thrown) {
    if (codeOf(thrown) === 'ELOOP') {
      throw new AfterimageError('unsupported', 'It is a link, not a regular file', { path: file }, { cause: thrown });
    }
    throw hostError(thrown, file, 'read');
  } finally {
    await handle?.close();
  }
}
