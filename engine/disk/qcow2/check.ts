// Compares what an image refers to with what its refcounts say. Reads the file only; nobody may write to it meanwhile.
import type { HostFile } from '../disk.ts';
import { readU64, viewOf } from './bytes.ts';
import { Census } from './census.ts';
import { decodeEntry, decodeTableEntry, entryShape } from './entries.ts';
import { hasBit, INCOMPATIBLE_CORRUPT, INCOMPATIBLE_DIRTY } from './features.ts';
import { type Header, readHeader } from './header.ts';
import { MOST_CHECK_FINDINGS } from './limits.ts';
import { getRefcount } from './refcount-width.ts';
import { activeL2Tables, countReferences, type References, type Report } from './references.ts';
import { Storage } from './storage.ts';

export interface Finding {
  readonly kind: 'corruption' | 'leak';
  readonly message: string;
  /** In the file, in bytes. */
  readonly offset: number;
}

export interface CheckReport {
  /** What can lose data, now or with the next write. */
  readonly corruptions: number;
  /** Clusters that take room and hold nothing. */
  readonly leaks: number;
  /** Marked as in use when its refcounts were last written: they are to be rebuilt before it is written to. */
  readonly dirty: boolean;
  readonly markedCorrupt: boolean;
  /** Guest clusters that the image holds, and how many of them are compressed. */
  readonly allocatedClusters: number;
  readonly compressedClusters: number;
  /** End of the last cluster in use, in bytes of the file. */
  readonly end: number;
  /** The first of them, described. */
  readonly findings: readonly Finding[];
}

/** What a check found, with what a repair needs. */
export interface Survey {
  readonly report: CheckReport;
  readonly storage: Storage;
  readonly header: Header;
  /** References to each cluster, those of the refcounts' own tables left out. */
  readonly census: Census;
  /** Clusters that the refcount table and its blocks take. */
  readonly own: Census;
  /** Refcounts are too low, or their tables damaged: they cannot be mended in place. */
  readonly refcountsBroken: boolean;
  /** Clusters whose refcount is higher than it need be, and what it is to be. */
  readonly leaks: readonly Leak[];
  /** Clusters past the end of the file that entries point to: whatever came to lie there would become theirs. */
  readonly beyond: ReadonlySet<number>;
  /** Corruptions that no rebuilding of refcounts can mend. */
  readonly beyondRepair: number;
}

export interface Leak {
  readonly cluster: number;
  readonly count: number;
}

/** Checks an image. Throws only when it cannot be checked: a damaged header, `too-large`, a file that cannot be read. */
export async function checkImage(file: HostFile): Promise<CheckReport> {
  return (await surveyImage(file)).report;
}

export async function surveyImage(file: HostFile): Promise<Survey> {
  const header = await readHeader(file);
  const storage = new Storage(file, header.clusterSize, header.fileSize);
  const findings: Finding[] = [];
  const totals = { corruption: 0, leak: 0 };
  const note = (kind: Finding['kind'], message: string, offset: number) => {
    totals[kind] += 1;
    if (findings.length < MOST_CHECK_FINDINGS) findings.push({ kind, message, offset });
  };
  const corruption: Report = (message, offset) => note('corruption', message, offset);
  const references = await countReferences(storage, header, corruption);
  const beyondRepair = totals.corruption;
  const { census } = references;
  const refcounts = await compareRefcounts(storage, header, references, note);
  await compareCopied(
    storage,
    header,
    (cluster: number) => census.get(cluster) + refcounts.own.get(cluster),
    corruption,
  );
  const report: CheckReport = {
    corruptions: totals.corruption,
    leaks: totals.leak,
    dirty: hasBit(header.incompatible, INCOMPATIBLE_DIRTY),
    markedCorrupt: hasBit(header.incompatible, INCOMPATIBLE_CORRUPT),
    allocatedClusters: references.allocated,
    compressedClusters: references.compressed,
    end: Math.max(census.end, refcounts.own.end) * header.clusterSize,
    findings,
  };
  const { beyond } = references;
  return { report, storage, header, census, beyond, beyondRepair, ...refcounts };
}

type Note = (kind: Finding['kind'], message: string, offset: number) => void;

async function compareRefcounts(storage: Storage, header: Header, { census, beyond }: References, note: Note) {
  const { clusterSize, refcountBits, refcountTable } = header;
  const own = new Census(clusterSize, storage.end);
  const leaks: Leak[] = [];
  let broken = false;
  const bad = (message: string, offset: number) => {
    broken = true;
    note('corruption', message, offset);
  };
  const tableBytes = refcountTable.clusters * clusterSize;
  own.add(refcountTable.offset, tableBytes);
  const table = viewOf(await storage.readBytes(refcountTable.offset, tableBytes));
  const blocks = new Map<number, number>();
  for (let index = 0; index < tableBytes / 8; index += 1) {
    const block = readU64(table, index * 8);
    const at = refcountTable.offset + index * 8;
    if (block === 0) continue;
    if (block % clusterSize !== 0) bad('A refcount block is not on a cluster', at);
    else if (!(block < storage.end)) bad('A refcount block points past the end of the file', at);
    else {
      if (own.get(block / clusterSize) + census.get(block / clusterSize) > 0) bad('A refcount block is shared', at);
      own.add(block, 1);
      blocks.set(index, block);
    }
  }
  const perBlock = (clusterSize * 8) / refcountBits;
  for (const [index, block] of blocks) {
    const view = viewOf(await storage.readBytes(block, clusterSize));
    for (let entry = 0; entry < perBlock; entry += 1) {
      const cluster = index * perBlock + entry;
      const stored = getRefcount(view, entry, refcountBits);
      const count = census.get(cluster) + own.get(cluster);
      if (stored === count) continue;
      const offset = cluster * clusterSize;
      if (stored < count) bad(`A cluster has ${count} references but a refcount of ${stored}`, offset);
      else if (!beyond.has(cluster)) {
        note('leak', `A cluster has ${count} references and a refcount of ${stored}`, offset);
        // Bounded as findings are: a repair of more rebuilds all.
        if (leaks.length < MOST_CHECK_FINDINGS) leaks.push({ cluster, count });
        else broken = true;
      }
    }
  }
  for (const counts of [census, own]) {
    for (const [cluster] of counts.counted()) {
      if (!blocks.has(Math.floor(cluster / perBlock))) bad('A cluster in use has no refcount', cluster * clusterSize);
    }
  }
  return { own, leaks, refcountsBroken: broken };
}

/** Compares the flag for "may be written in place" with the references, in the active tables: elsewhere it means nothing. */
async function compareCopied(storage: Storage, header: Header, countOf: (cluster: number) => number, report: Report) {
  const shape = entryShape(header);
  const { clusterSize, l1 } = header;
  const message = (count: number) => `An entry is wrong about being alone: there are ${count} references`;
  const l1View = viewOf(await storage.readBytes(l1.offset, l1.entries * 8));
  for (let index = 0; index < l1.entries; index += 1) {
    const entry = decodeTableEntry(l1View, index * 8, clusterSize);
    if (typeof entry === 'string' || entry.host === 0 || !(entry.host < storage.end)) continue;
    const count = countOf(entry.host / clusterSize);
    if (entry.copied !== (count === 1)) report(message(count), l1.offset + index * 8);
  }
  for (const table of await activeL2Tables(storage, header)) {
    const view = viewOf(await storage.readBytes(table, clusterSize));
    for (let index = 0; index < shape.entries; index += 1) {
      const entry = decodeEntry(view, index * shape.entryBytes, shape);
      if (typeof entry === 'string' || entry.host === 0 || entry.compressedLength > 0) continue;
      if (!(entry.host < storage.end)) continue;
      const count = countOf(entry.host / clusterSize);
      if (entry.copied !== (count === 1)) report(message(count), table + index * shape.entryBytes);
    }
  }
}
