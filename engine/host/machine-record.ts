// `machine.json`: read as what others may have put there, replaced so that it is the old one or the new one.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import path from 'node:path';
import { checked, type StoredMachine, storedMachine } from '../api/machine-checks.ts';
import { AfterimageError } from '../base/errors.ts';
import { codeOf, hostError } from './host-errors.ts';

export const RECORD_FILE = 'machine.json';
/** Far more than six disks, a boot configuration and names of layers take. */
const LONGEST_RECORD = 8 * 1024 * 1024;

export function newIdentity(): string {
  return randomBytes(16).toString('hex');
}

/** Errors: `missing`, `denied`, `unsupported`, `too-large`, `corrupt` with the file and the field in the context. */
export async function readMachine(folder: string): Promise<StoredMachine> {
  const file = path.join(folder, RECORD_FILE);
  let value: unknown;
  const json = await readRegular(file);
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (cause) {
    throw new AfterimageError('corrupt', 'The file is not JSON', { path: file }, { cause });
  }
  return checked(storedMachine, value, 'corrupt', RECORD_FILE, { path: file });
}

async function readRegular(file: string): Promise<Uint8Array> {
  try {
    // Neither waits for the other end of a pipe nor follows a link.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      const info = await handle.stat();
      if (!info.isFile()) throw new AfterimageError('unsupported', 'It is not a regular file', { path: file });
      if (info.size > LONGEST_RECORD) {
        throw new AfterimageError('too-large', 'The file is larger than any machine needs', { path: file });
      }
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    if (codeOf(thrown) === 'ELOOP') {
      throw new AfterimageError('unsupported', 'It is a link, not a regular file', { path: file }, { cause: thrown });
    }
    throw hostError(thrown, file, 'read');
  }
}

/** The next `machine.json` until it is complete; what is left of it is rubbish. */
export function partialRecord(folder: string): string {
  return path.join(folder, `${RECORD_FILE}.partial`);
}

/** Durable when it returns. */
export async function replaceMachine(folder: string, machine: StoredMachine): Promise<void> {
  const file = path.join(folder, RECORD_FILE);
  const partial = partialRecord(folder);
  try {
    const handle = await open(partial, 'w', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(machine, undefined, 2)}\n`);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
    await syncFolder(folder);
  } catch (thrown) {
    throw hostError(thrown, file, 'write');
  }
}

/** Makes the names in a folder durable; where nobody can open a folder, its file system does so by itself. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
