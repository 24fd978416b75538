// The files that a checkpoint takes pages from: its own, then what it builds on, deleted ones included.
import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import { readOutline } from './file-reader.ts';
import type { Hex } from './format.ts';
import { LONGEST_CHAIN } from './reader.ts';
import type { FileFacts } from './tree-shapes.ts';

export function chainOf(facts: ReadonlyMap<Hex, FileFacts>, id: Hex): Hex[] {
  const chain: Hex[] = [];
  for (let at: Hex | undefined = id; at !== undefined && chain.length < LONGEST_CHAIN; at = facts.get(at)?.base) {
    chain.push(at);
  }
  return chain;
}

/** Whether each file is there, complete, and the one that is known; blocks and index are not looked at. */
export async function isThere(
  facts: ReadonlyMap<Hex, FileFacts>,
  chain: readonly Hex[],
  open: (id: Hex) => Promise<HostFile>,
): Promise<boolean> {
  try {
    for (const id of chain) {
      const file = await open(id);
      try {
        if ((await readOutline(file)).trailer.seal !== facts.get(id)?.seal) return false;
      } finally {
        await file.close();
      }
    }
    return true;
  } catch (thrown) {
    if (thrown instanceof AfterimageError && thrown.kind !== 'internal') return false;
    throw thrown;
  }
}
