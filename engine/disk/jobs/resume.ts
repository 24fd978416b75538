// What is to be done about jobs that a crash has interrupted, and about files that others in the folder stand on.
import { AfterimageError } from '../../base/errors.ts';
import { inParallel } from '../../base/parallel.ts';
import { type Folder, partialName } from '../chain/folder.ts';
import { backingPath } from '../chain/paths.ts';
import { readHeader } from '../qcow2/header.ts';
import { findJournals, foldersAbove, type JobRecord, journalPath } from './journal.ts';

/** A layer of the chain that was opened, from the top. */
interface ChainLayer {
  readonly path: string;
  readonly backing: { readonly path: string } | undefined;
}

/** A job to be done again; what it has done already it finds done. */
export interface InterruptedJob {
  readonly kind: 'commit' | 'stream';
  readonly layer: string;
  readonly base?: string;
}

/**
 * Settles what crashed jobs have left, as far as it concerns a chain: half-made files and layers that are out of it are
 * removed, unless something needs them. Layers stay for another time while it is not known what is needed. Returns the
 * jobs that are to be done again; their journals stay.
 */
export async function settleJobs(
  folder: Folder,
  chain: readonly ChainLayer[],
  needed: ((path: string) => boolean) | undefined,
): Promise<InterruptedJob[]> {
  const paths = chain.map(({ path }) => path);
  const interrupted: InterruptedJob[] = [];
  for (const path of paths) await folder.remove(partialName(journalPath(path)));
  for (const journal of await findJournals(folder, paths)) {
    const { record } = journal;
    if (journal.running) continue;
    if (record === undefined) {
      await folder.remove(journal.path);
      continue;
    }
    if (![record.layer, record.base].some(path => path !== undefined && paths.includes(path))) {
      // Of another disk, unless all that it is about is gone: what is spare there, only that disk can say.
      const left = await Promise.all([record.layer, ...record.spare].map(path => folder.exists(path)));
      if (!left.includes(true)) await folder.remove(journal.path);
      continue;
    }
    const left = await removeLeft(folder, record, paths, needed);
    const job = unfinished(chain, record);
    if (job !== undefined) interrupted.push(job);
    else if (!left) await folder.remove(journal.path);
  }
  await folder.flush();
  return interrupted;
}

/** What was interrupted in a chain, without any change. */
export async function interruptedJobs(folder: Folder, chain: readonly ChainLayer[]): Promise<InterruptedJob[]> {
  const journals = await findJournals(
    folder,
    chain.map(({ path }) => path),
  );
  return journals.flatMap(({ record, running }) => {
    const job = record === undefined || running ? undefined : unfinished(chain, record);
    return job === undefined ? [] : [job];
  });
}

/**
 * Refuses to use a layer by itself while a commit into it is half done: its content is neither the old nor the new,
 * only with the layer above it is it the disk.
 */
export async function refuseHalfCommitted(folder: Folder, path: string): Promise<void> {
  for (const journal of await findJournals(folder, [path])) {
    const { record } = journal;
    if (record?.kind !== 'commit' || record.base !== path) continue;
    if ((await standingOn(folder, [record.layer], path)).length === 0) continue;
    throw new AfterimageError(
      'state',
      `A commit of ${record.layer} into it was interrupted; commit that again, or delete ${journal.path}`,
      { path, layer: record.layer },
    );
  }
}

/** The images in the folder that stand directly on a file, also those that someone writes to. */
export async function overlaysOf(folder: Folder, path: string): Promise<string[]> {
  const overlays: string[] = [];
  for (const under of foldersAbove(path)) {
    const others = (await folder.list(under)).filter(other => other !== path && !NO_IMAGE.test(other));
    overlays.push(...(await standingOn(folder, others, path)));
  }
  return overlays;
}

/** What we write beside images; half-made ones stand on nothing yet. */
const NO_IMAGE = /\.(job|json|lock|partial)$/;

/** Refuses to change a file that other images than `except` stand on. */
export async function refuseOverlays(folder: Folder, path: string, except: readonly string[] = []): Promise<void> {
  const others = (await overlaysOf(folder, path)).filter(other => !except.includes(other));
  if (others.length === 0) return;
  const names = others.slice(0, MOST_NAMES).join(', ') + (others.length > MOST_NAMES ? ' and others' : '');
  const stand = others.length === 1 ? 'stands on it too and' : 'stand on it too and';
  throw new AfterimageError('state', `${names} ${stand} would be damaged`, { path, overlays: others.length });
}

/** Named in one message. */
const MOST_NAMES = 5;

/** Headers that are looked at at a time: the host's thread pool has other work, too. */
const GLANCES_AT_ONCE = 4;

/** Which of the files stand directly on `path`. Only headers are read, and no file is locked. */
async function standingOn(folder: Folder, files: readonly string[], path: string): Promise<string[]> {
  const identity = await folder.identity(path).catch(nothing);
  const stand = await inParallel(files, GLANCES_AT_ONCE, async file => {
    const below = await nameBelow(folder, file);
    if (below === undefined) return false;
    // It may be named by a link.
    return below === path || (identity !== undefined && (await folder.identity(below).catch(nothing)) === identity);
  });
  return files.filter((_, index) => stand[index]);
}

async function nameBelow(folder: Folder, overlay: string): Promise<string | undefined> {
  try {
    const file = await folder.glance(overlay);
    try {
      const { backing } = await readHeader(file);
      return backing && backingPath(overlay, backing.name);
    } finally {
      await file.close();
    }
  } catch (thrown) {
    return nothing(thrown);
  }
}

/** Of what is no image, or is one that nobody can open. */
function nothing(thrown: unknown): undefined {
  if (thrown instanceof AfterimageError && thrown.kind !== 'internal') return undefined;
  throw thrown;
}

function unfinished(chain: readonly ChainLayer[], { kind, layer: path, base }: JobRecord): InterruptedJob | undefined {
  // The others leave the chain as it was.
  if (kind !== 'commit' && kind !== 'stream') return undefined;
  const layer = chain.find(one => one.path === path);
  if (layer === undefined) return undefined;
  // A commit is over when the layer is out of the way; a stream when the layer stands where it is to stand.
  const stands = layer.backing?.path === base;
  if (kind === 'commit' ? !stands : stands) return undefined;
  return { kind, layer: path, ...(base === undefined ? {} : { base }) };
}

/** Returns whether there is something left that may be removed another time. */
async function removeLeft(
  folder: Folder,
  record: JobRecord,
  chain: readonly string[],
  needed: ((path: string) => boolean) | undefined,
): Promise<boolean> {
  const partial = record.kind === 'compact' ? record.layer : record.to;
  if (partial !== undefined) await folder.remove(partialName(partial));
  let left = false;
  for (const path of record.spare) {
    await folder.remove(partialName(path));
    if (chain.includes(path) || !(await folder.exists(path))) continue;
    if (needed === undefined) left = true;
    else if (!needed(path) && (await overlaysOf(folder, path)).length === 0) {
      if (await isFree(folder, path)) await folder.remove(path);
      else left = true;
    }
  }
  return left;
}

/** Whether nobody has it open. */
async function isFree(folder: Folder, path: string): Promise<boolean> {
  try {
    await (await folder.open(path, 'write')).close();
    return true;
  } catch (thrown) {
    if (AfterimageError.from(thrown).kind === 'locked') return false;
    throw thrown;
  }
}
