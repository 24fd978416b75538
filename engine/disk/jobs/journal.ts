// What a job is about, in a small file beside the layer: after a crash it says what was going on and which files nobody
// needs any more. One line of JSON for each state, each with a checksum; the last whole line counts. The file is open,
// and so locked, as long as the job runs.
import { AfterimageError } from '../../base/errors.ts';
import { createWhole, type Folder } from '../chain/folder.ts';
import { backingPath } from '../chain/paths.ts';
import type { HostFile } from '../disk.ts';

const SUFFIX = '.job';
/** A few lines of names; anything much larger is not ours. */
const LARGEST_BYTES = 1024 * 1024;
const MOST_SPARE = 1000;

const KINDS = ['commit', 'stream', 'rebase', 'compact', 'copy', 'convert'] as const;
export type JournaledKind = (typeof KINDS)[number];

/** Paths are those of the folder that the job's disk is in. */
export interface JobRecord {
  readonly kind: JournaledKind;
  /** The layer that is worked on. */
  readonly layer: string;
  /** What the layer is committed into, or is to stand on; none for nothing. */
  readonly base?: string;
  /** The new file of a copy or conversion. */
  readonly to?: string;
  /** Files that the job made, or took out of the chain: nobody needs them unless they are in it. */
  readonly spare: readonly string[];
}

/** The journal of a job that runs. */
export class Journal {
  readonly #folder: Folder;
  readonly #path: string;
  readonly #file: HostFile;
  #record: JobRecord;
  #end: number;
  #kept = false;

  private constructor(folder: Folder, path: string, file: HostFile, record: JobRecord, end: number) {
    this.#folder = folder;
    this.#path = path;
    this.#file = file;
    this.#record = record;
    this.#end = end;
  }

  /**
   * Keeps a journal while work is done. It goes away with the work, also when that fails, unless `keep` has been called.
   * Takes over what a crashed job on the layer has left to be removed. Errors: `locked` when one runs.
   */
  static async during<Result>(
    folder: Folder,
    record: JobRecord,
    work: (journal: Journal) => Promise<Result>,
  ): Promise<Result> {
    const journal = await Journal.#begin(folder, record);
    let done = false;
    try {
      const result = await work(journal);
      done = true;
      return result;
    } finally {
      await journal.#finish(done);
    }
  }

  static async #begin(folder: Folder, record: JobRecord): Promise<Journal> {
    const path = journalPath(record.layer);
    const found = await readJournal(folder, path);
    if (found?.running) {
      throw new AfterimageError('locked', 'A job on this layer runs already', { file: record.layer });
    }
    const whole: JobRecord = { ...record, spare: [...new Set([...(found?.record?.spare ?? []), ...record.spare])] };
    const line = encode(whole);
    await createWhole(folder, path, file => file.write(0, [line]));
    return new Journal(folder, path, await folder.open(path, 'write'), whole, line.length);
  }

  /** Makes another state durable. */
  async note(change: Partial<JobRecord>): Promise<void> {
    const record = { ...this.#record, ...change };
    const line = encode(record);
    await this.#file.write(this.#end, [line]);
    await this.#file.flush();
    this.#end += line.length;
    this.#record = record;
  }

  /** Says, before it happens, that a file is spare unless it is in the chain. */
  async addSpare(path: string): Promise<void> {
    await this.note({ spare: [...this.#record.spare.filter(one => one !== path), path] });
  }

  async removeSpare(path: string): Promise<void> {
    await this.note({ spare: this.#record.spare.filter(one => one !== path) });
  }

  /** From now on a failure leaves something that has to be known. */
  keep(): void {
    this.#kept = true;
  }

  async #finish(done: boolean): Promise<void> {
    // What is left of a journal is found out to be over when it is read.
    await this.#file.close().catch(() => undefined);
    if (!done && this.#kept) return;
    try {
      await this.#folder.remove(this.#path);
      await this.#folder.flush();
    } catch {}
  }
}

export function journalPath(layer: string): string {
  return `${layer}${SUFFIX}`;
}

/** The folders from that of the disk on down to a file, where what stands on the file can be. */
export function foldersAbove(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return [...parts.keys(), parts.length].map(count => parts.slice(0, count).join('/'));
}

/** A journal that was found. */
export interface FoundJournal {
  readonly path: string;
  /** Undefined when nothing can be read in it: the job had done nothing yet. */
  readonly record: JobRecord | undefined;
  readonly running: boolean;
}

/** All journals in a folder and in those below it that `paths` are in. */
export async function findJournals(folder: Folder, paths: readonly string[]): Promise<FoundJournal[]> {
  const found: FoundJournal[] = [];
  for (const under of new Set(['', ...paths.flatMap(foldersAbove)])) {
    for (const path of await folder.list(under)) {
      if (!path.endsWith(SUFFIX)) continue;
      const journal = await readJournal(folder, path);
      if (journal !== undefined) found.push(journal);
    }
  }
  return found;
}

/** Undefined when there is none, or it is a file of someone else's. */
async function readJournal(folder: Folder, path: string): Promise<FoundJournal | undefined> {
  if (!(await folder.exists(path))) return undefined;
  let file: HostFile;
  try {
    // A lock for writing shows that nobody else has one.
    file = await folder.open(path, 'write');
  } catch (thrown) {
    const { kind } = AfterimageError.from(thrown);
    if (kind === 'locked') return { path, record: undefined, running: true };
    if (kind === 'missing' || kind === 'denied' || kind === 'unsupported') return undefined;
    throw thrown;
  }
  try {
    const size = await file.size();
    if (size > LARGEST_BYTES) return undefined;
    const bytes = new Uint8Array(size);
    await file.read(0, [bytes]);
    const record = decode(new TextDecoder().decode(bytes));
    // Not one of ours, unless a crash has left it empty.
    if (record === undefined && size > 0) return undefined;
    return { path, record, running: false };
  } finally {
    await file.close();
  }
}

function encode(record: JobRecord): Uint8Array {
  const text = JSON.stringify(record);
  return new TextEncoder().encode(`${text} ${checksum(text)}\n`);
}

function decode(text: string): JobRecord | undefined {
  let last: JobRecord | undefined;
  for (const line of text.split('\n').slice(0, -1)) {
    const space = line.lastIndexOf(' ');
    const body = line.slice(0, Math.max(0, space));
    if (checksum(body) !== line.slice(space + 1)) break;
    const record = checkRecord(body);
    if (record === undefined) break;
    last = record;
  }
  return last;
}

/** A checksum guards against accidents only: a journal may be anyone's, and names no file outside the folder. */
function checkRecord(text: string): JobRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { kind, layer, base, to, spare } = value as Record<string, unknown>;
  const known = KINDS.find(one => one === kind);
  if (known === undefined || !isPath(layer) || !Array.isArray(spare) || spare.length > MOST_SPARE) return undefined;
  if ((base !== undefined && !isPath(base)) || (to !== undefined && !isPath(to)) || !spare.every(isPath))
    return undefined;
  return { kind: known, layer, spare, ...(base === undefined ? {} : { base }), ...(to === undefined ? {} : { to }) };
}

function isPath(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  try {
    return backingPath('layer', value) === value;
  } catch {
    return false;
  }
}

/** FNV-1a over the text's units, 32 bits: enough to tell a torn line from a whole one. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
