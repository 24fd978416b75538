import { AfterimageError, type PlainError } from '../base/errors.ts';
import { aboutTable, checkDisks, disksTable, requestsTable, screenTable, workingSetTable } from './about.ts';
import type { CheckpointFile } from './file-reader.ts';
import type { Hex } from './format.ts';
import type { CheckpointReader } from './reader.ts';
import { checkCancelled, type JobOptions } from './rewrite.ts';
import type { TreeRecord } from './tree-file.ts';

export interface VerifyOptions extends JobOptions {
  /** Read and decompress every block too, not only what leads to it. On unless turned off. */
  readonly blocks?: boolean;
}

export interface VerifyReport {
  /** Every node restores, every file is needed. */
  readonly sound: boolean;
  readonly nodes: readonly { readonly id: Hex; readonly hidden: boolean; readonly problems: readonly PlainError[] }[];
  /** Files that are in a store and not in the tree. */
  readonly orphans: readonly { readonly store: string; readonly id: Hex; readonly bytes: number }[];
  /** Deleted checkpoints whose files nobody needs any more: `collapse` removes them. */
  readonly unneeded: readonly Hex[];
}

interface TreeToVerify {
  readonly records: readonly TreeRecord[];
  readonly unneeded: readonly TreeRecord[];
  readonly orphans: VerifyReport['orphans'];
  readonly open: (id: Hex) => Promise<CheckpointReader>;
}

/** Opens every checkpoint, resolves every page of it and reads every block of every file once. */
export async function verifyTree(tree: TreeToVerify, options: VerifyOptions): Promise<VerifyReport> {
  const known = new Map<Hex, PlainError[]>();
  const nodes: { id: Hex; hidden: boolean; problems: PlainError[] }[] = [];
  for (const [done, { id, hidden }] of tree.records.entries()) {
    checkCancelled(options);
    nodes.push({ id, hidden, problems: await problemsOf(() => tree.open(id), known, options) });
    options.onProgress?.({ done: done + 1, total: tree.records.length });
  }
  const unneeded = tree.unneeded.map(record => record.id);
  const sound = nodes.every(node => node.problems.length === 0) && tree.orphans.length === 0 && unneeded.length === 0;
  return { sound, nodes, orphans: tree.orphans, unneeded };
}

/** What is wrong with a checkpoint, in its own file or those it takes pages from. */
async function problemsOf(
  open: () => Promise<CheckpointReader>,
  known: Map<Hex, PlainError[]>,
  options: VerifyOptions,
): Promise<PlainError[]> {
  const problems: PlainError[] = [];
  const attempt = async (step: () => unknown) => {
    try {
      await step();
    } catch (thrown) {
      problems.push(AfterimageError.from(thrown).toPlain());
    }
  };
  let reader: CheckpointReader | undefined;
  await attempt(async () => {
    reader = await open();
  });
  if (reader === undefined) return problems;
  const { files, spaces } = reader;
  for (const space of spaces.keys()) await attempt(() => reader?.runs(space));
  for (const name of files[0]!.outline.sections.keys())
    if (name !== 'pages') await attempt(() => reader?.section(name));
  await attempt(() => reader?.table(aboutTable));
  await attempt(async () => {
    const disks = await reader?.table(disksTable);
    if (disks !== undefined) checkDisks(disks);
  });
  for (const table of [requestsTable, workingSetTable, screenTable])
    await attempt(() => files[0]!.table<unknown>(table));
  if (options.blocks !== false) {
    for (const file of files) {
      const found = known.get(file.id) ?? (await problemsOfBlocks(file, options));
      known.set(file.id, found);
      problems.push(...found);
    }
  }
  await attempt(() => reader?.close());
  return problems;
}

async function problemsOfBlocks(file: CheckpointFile, options: VerifyOptions): Promise<PlainError[]> {
  const problems: PlainError[] = [];
  for (let block = 0; block < file.index.blockCount; block += 1) {
    checkCancelled(options);
    try {
      await file.content(block, await file.storedBlock(block));
    } catch (thrown) {
      problems.push(AfterimageError.from(thrown).toPlain());
    }
    // Enough to know; a file that is damaged all over would list every block.
    if (problems.length === 100) break;
  }
  return problems;
}
