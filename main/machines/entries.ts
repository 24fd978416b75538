// The machines of a library as they are found on disk. Only `machine.json` is read of each.
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { MachineStatus } from '../../engine/api/machine.ts';
import { AfterimageError, type PlainError } from '../../engine/base/errors.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';
import { connectMachine } from '../engines/open-machine.ts';
import { type FoundRecord, readRecord } from './record.ts';

export interface FoundMachine extends FoundRecord {
  readonly kind: 'machine';
  /** Absolute. */
  readonly folder: string;
  /** As its process says, or `off` where none listens. */
  readonly status: MachineStatus;
}

/** A folder in the library that is no machine, or none that can be understood. */
export interface BrokenMachine {
  readonly kind: 'broken';
  readonly folder: string;
  readonly problem: PlainError;
}

export type MachineEntry = FoundMachine | BrokenMachine;

export const OFF: MachineStatus = { state: 'off', pid: 0 };

/** Files read, and processes asked, at the same time. */
const AT_ONCE = 32;
/** A process that takes longer to say how it is hangs; the list must not. */
const ANSWER_MILLISECONDS = 3000;

/**
 * All machines, by name. A broken folder is listed as what it is. A library that does not exist is empty. Errors:
 * `denied`, `missing` for a path through a file, `io`.
 */
export async function readEntries(library: string): Promise<MachineEntry[]> {
  const folders = await machineFolders(library);
  const entries = await mapSome(folders, readEntry);
  return withoutTwins(entries.filter(entry => entry !== undefined)).sort(byName);
}

/** The entry of one folder; undefined when there is no such folder any more. */
export async function readEntry(folder: string): Promise<MachineEntry | undefined> {
  try {
    const found = await readRecord(folder);
    return { kind: 'machine', folder, ...found, status: await statusOf(folder) };
  } catch (thrown) {
    if (!(await isFolder(folder))) return undefined;
    return { kind: 'broken', folder, problem: AfterimageError.from(thrown).toPlain() };
  }
}

/** What the machine's process says. Errors: `io` when it does not answer, `denied`. */
export async function statusOf(folder: string): Promise<MachineStatus> {
  const opened = await connectMachine(folder, ANSWER_MILLISECONDS);
  if (opened === undefined) return OFF;
  opened.connection.close();
  return opened.status;
}

/** Whether the hart is powered: nothing but the machine's process may touch its disks. */
export function isPowered({ state }: MachineStatus): boolean {
  return state !== 'off' && state !== 'failed';
}

/** Paths of the folders in a library that may be machines; hidden ones are being made or deleted. */
export async function machineFolders(library: string): Promise<string[]> {
  try {
    const found = await readdir(library, { withFileTypes: true });
    return found
      .filter(entry => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
      .map(entry => path.join(library, entry.name))
      .sort();
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return [];
    throw hostError(thrown, library, 'list');
  }
}

/** A folder that somebody copied by hand is the same machine twice: of these only one can be used. */
function withoutTwins(entries: readonly MachineEntry[]): MachineEntry[] {
  const kept = new Map<string, FoundMachine>();
  for (const entry of entries) {
    if (entry.kind === 'broken') continue;
    const other = kept.get(entry.record.id);
    if (other === undefined || (isPowered(entry.status) && !isPowered(other.status))) kept.set(entry.record.id, entry);
  }
  return entries.map(entry => {
    if (entry.kind === 'broken') return entry;
    const first = kept.get(entry.record.id)!;
    return first === entry ? entry : twinOf(first, entry.folder);
  });
}

function twinOf(first: FoundMachine, folder: string): BrokenMachine {
  const name = path.basename(first.folder);
  const message = `It is a copy of the folder '${name}' with the same identity; delete one of the two, and use 'duplicate' to copy a machine`;
  return {
    kind: 'broken',
    folder,
    problem: { kind: 'state', message, context: { path: folder, other: first.folder } },
  };
}

async function isFolder(name: string): Promise<boolean> {
  try {
    return (await stat(name)).isDirectory();
  } catch (thrown) {
    // What cannot be looked at may be there.
    return !['ENOENT', 'ENOTDIR'].includes(codeOf(thrown));
  }
}

function byName(one: MachineEntry, other: MachineEntry): number {
  return nameOf(one).localeCompare(nameOf(other), 'en', { numeric: true }) || (one.folder < other.folder ? -1 : 1);
}

/** A machine's name; that of its folder when the machine cannot be understood. */
export function nameOf(entry: MachineEntry): string {
  return entry.kind === 'machine' ? entry.record.name : path.basename(entry.folder);
}

async function mapSome<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return results;
}
