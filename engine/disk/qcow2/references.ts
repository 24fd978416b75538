// Walks everything in an image that refers to host clusters, and counts the references.

import { AfterimageError } from '../../base/errors.ts';
import { readBitmapDirectory, readBitmapTable } from './bitmap-directory.ts';
import { viewOf } from './bytes.ts';
import { Census } from './census.ts';
import { decodeEntry, decodeTableEntry, entryShape } from './entries.ts';
import type { Header } from './header.ts';
import * as limits from './limits.ts';
import { readSnapshots } from './snapshots.ts';
import type { Storage } from './storage.ts';

export type Report = (message: string, offset: number) => void;

export interface References {
  readonly census: Census;
  /** How often each L2 table is referred to; all of them lie within the file. */
  readonly tables: Census;
  /** Guest clusters of the active disk with a place in the file, and those of them that are compressed. */
  readonly allocated: number;
  readonly compressed: number;
  /** Clusters past the end of the file that entries point to; at most `MOST_BEYOND` of them. */
  readonly beyond: ReadonlySet<number>;
}

/** Each takes some 40 bytes of memory. */
export const MOST_BEYOND = 2 ** 20;

/** Counts all references but those of the refcounts' own tables. What is wrong with an entry goes to `report`. */
export async function countReferences(storage: Storage, header: Header, report: Report): Promise<References> {
  const { clusterSize } = header;
  const census = new Census(clusterSize, storage.end);
  const tables = new Census(clusterSize, storage.end);
  const beyond = new Set<number>();
  census.add(0, clusterSize);
  await countL1s(storage, header, { census, tables, beyond }, report);
  const active = await countTables(storage, header, { census, tables, beyond }, report);
  await countBitmaps(storage, header, census, report);
  return { census, tables, beyond, ...active };
}

type Counts = Pick<References, 'census' | 'tables'> & { readonly beyond: Set<number> };

async function countL1s(storage: Storage, header: Header, counts: Counts, report: Report): Promise<void> {
  const table = await readSnapshots(storage, header);
  if (table.length > 0) counts.census.add(header.snapshots.offset, table.length);
  // Snapshots may share one L1 table: it is read once and counted often.
  const l1s = new Map<string, { offset: number; entries: number; times: number }>();
  for (const { offset, entries } of [header.l1, ...table.snapshots.map(snapshot => snapshot.l1)]) {
    if (entries === 0) continue;
    const key = `${offset}/${entries}`;
    const known = l1s.get(key);
    l1s.set(key, { offset, entries, times: (known?.times ?? 0) + 1 });
  }
  let bytes = 0;
  for (const { offset, entries, times } of l1s.values()) {
    bytes += entries * 8;
    if (bytes > limits.MOST_CHECKED_L1_BYTES) {
      throw new AfterimageError('too-large', 'The L1 tables of the snapshots are too large to check', { offset });
    }
    counts.census.add(offset, entries * 8, times);
    const view = viewOf(await storage.readBytes(offset, entries * 8));
    for (let index = 0; index < entries; index += 1) {
      const entry = decodeTableEntry(view, index * 8, header.clusterSize);
      if (typeof entry === 'string') report(entry, offset + index * 8);
      else if (entry.host === 0) continue;
      else if (!(entry.host < storage.end)) {
        report('An L1 entry points past the end of the file', offset + index * 8);
        noteBeyond(counts.beyond, storage, entry.host, header.clusterSize);
      } else {
        counts.tables.add(entry.host, 1, times);
        counts.census.add(entry.host, 1, times);
      }
    }
  }
}

async function countTables(storage: Storage, header: Header, counts: Counts, report: Report) {
  const shape = entryShape(header);
  const { clusterSize } = header;
  const activeTables = await activeL2Tables(storage, header);
  const end = Math.ceil(storage.end / clusterSize) * clusterSize;
  let allocated = 0;
  let compressed = 0;
  for (const [cluster, times] of counts.tables.counted()) {
    const host = cluster * clusterSize;
    const view = viewOf(await storage.readBytes(host, clusterSize));
    const active = activeTables.has(host);
    for (let index = 0; index < shape.entries; index += 1) {
      const at = index * shape.entryBytes;
      if (view.getUint32(at) === 0 && view.getUint32(at + 4) === 0 && !shape.extended) continue;
      const entry = decodeEntry(view, at, shape);
      if (typeof entry === 'string') report(entry, host + at);
      else if (entry.host === 0) continue;
      else if (!(entry.host < storage.end) || entry.host + entry.compressedLength > end) {
        report('An L2 entry points past the end of the file', host + at);
        noteBeyond(counts.beyond, storage, entry.host, entry.compressedLength || clusterSize);
      } else {
        counts.census.add(entry.host, entry.compressedLength > 0 ? entry.compressedLength : clusterSize, times);
        if (active) allocated += 1;
        if (active && entry.compressedLength > 0) compressed += 1;
      }
    }
  }
  return { allocated, compressed };
}

function noteBeyond(beyond: Set<number>, { end, clusterSize }: Storage, host: number, length: number): void {
  const first = Math.ceil(Math.max(host, end) / clusterSize);
  const last = Math.floor((host + length - 1) / clusterSize);
  for (let cluster = Math.min(first, last); cluster <= last && beyond.size < MOST_BEYOND; cluster += 1) {
    beyond.add(cluster);
  }
}

/** Host offsets of the L2 tables of the active L1 table that lie within the file. */
export async function activeL2Tables(storage: Storage, header: Header): Promise<Set<number>> {
  const view = viewOf(await storage.readBytes(header.l1.offset, header.l1.entries * 8));
  const tables = new Set<number>();
  for (let index = 0; index < header.l1.entries; index += 1) {
    const entry = decodeTableEntry(view, index * 8, header.clusterSize);
    if (typeof entry !== 'string' && entry.host !== 0 && entry.host < storage.end) tables.add(entry.host);
  }
  return tables;
}

async function countBitmaps(storage: Storage, header: Header, census: Census, report: Report): Promise<void> {
  try {
    const directory = await readBitmapDirectory(storage, header);
    if (directory === undefined || !directory.consistent) return;
    census.add(directory.offset, directory.length);
    for (const entry of directory.entries) {
      if (entry.table.entries === 0) continue;
      census.add(entry.table.offset, entry.table.entries * 8);
      for (const { host } of await readBitmapTable(storage, entry)) if (host !== 0) census.add(host, 1);
    }
  } catch (thrown) {
    const error = AfterimageError.from(thrown);
    if (error.kind !== 'corrupt') throw error;
    report(error.message, Number(error.context.offset ?? 0));
  }
}
