// Mends what `check` can find: leaks in place, anything worse by writing all refcounts anew. Guest data is never touched.
import { AfterimageError } from '../../base/errors.ts';
import type { HostFile } from '../disk.ts';
import { viewOf, writeU64 } from './bytes.ts';
import { Census } from './census.ts';
import { type CheckReport, checkImage, type Leak, type Survey, surveyImage } from './check.ts';
import { decodeEntry, decodeTableEntry, encodeEntry, encodeTableEntry, entryShape, UNALLOCATED } from './entries.ts';
import { INCOMPATIBLE_CORRUPT, INCOMPATIBLE_DIRTY, withBit } from './features.ts';
import type { Header } from './header.ts';
import * as limits from './limits.ts';
import { largestRefcount, setRefcount } from './refcount-width.ts';
import { activeL2Tables, MOST_BEYOND } from './references.ts';
import type { Storage } from './storage.ts';
import { writeIncompatible } from './writing.ts';

const REFCOUNT_TABLE_AT = 48;

export interface RepairReport {
  readonly before: CheckReport;
  readonly after: CheckReport;
  /** All refcounts were written anew, at the end of the file. */
  readonly rebuilt: boolean;
  /** Guest clusters whose place cannot be told and that read as zeroes now. */
  readonly lost: number;
}

export interface RepairOptions {
  /** Entries that point nowhere become zeroes: what they pointed to is given up. They are left alone without it. */
  readonly giveUpLost?: boolean;
}

/**
 * Repairs refcounts and the flags that depend on them; nobody may use the file meanwhile. Entries that point nowhere
 * are left as they are and stay in the report: only their owner can say what to do about lost data. A power cut leaves
 * the image as damaged as it was, or less. Errors: those of `checkImage`; `unsupported` when a count does not fit.
 */
export async function repairImage(file: HostFile, options: RepairOptions = {}): Promise<RepairReport> {
  let survey = await surveyImage(file);
  const before = survey.report;
  let lost = 0;
  if (options.giveUpLost === true && survey.beyondRepair > 0) {
    lost = await giveUpLost(survey);
    survey = await surveyImage(file);
  }
  const { report, storage, header, beyondRepair } = survey;
  if (report.corruptions === 0 && report.leaks === 0 && !report.dirty && !report.markedCorrupt) {
    return { before, after: report, rebuilt: false, lost };
  }
  const rebuilt = survey.refcountsBroken || report.dirty;
  let own = survey.own;
  if (rebuilt) own = await rebuildRefcounts(survey);
  else await lowerRefcounts(storage, header, survey.leaks);
  await storage.flush();
  await correctFlags(storage, header, cluster => survey.census.get(cluster) + own.get(cluster));
  await storage.flush();
  let bits = withBit(header.incompatible, INCOMPATIBLE_DIRTY, false);
  if (beyondRepair === 0) bits = withBit(bits, INCOMPATIBLE_CORRUPT, false);
  if (header.version === 3 && bits !== header.incompatible) {
    await writeIncompatible(storage, bits);
    await storage.flush();
  }
  return { before, after: await checkImage(file), rebuilt, lost };
}

/**
 * Makes entries of the active tables zero that cannot be followed. What the backing file has there is not shown: it
 * is older. A version without zero clusters can do that only without a backing file.
 */
async function giveUpLost({ storage, header }: Survey): Promise<number> {
  const shape = entryShape(header);
  if (header.version < 3 && header.backing !== undefined) return 0;
  const zero = { ...UNALLOCATED, zero: header.version < 3 ? 0 : shape.all };
  const end = Math.ceil(storage.end / header.clusterSize) * header.clusterSize;
  let lost = 0;
  for (const table of await activeL2Tables(storage, header)) {
    const bytes = await storage.readBytes(table, header.clusterSize);
    const view = viewOf(bytes);
    const already = lost;
    for (let at = 0; at < header.clusterSize; at += shape.entryBytes) {
      const entry = decodeEntry(view, at, shape);
      const follows = typeof entry !== 'string' && (entry.host === 0 || entry.host < storage.end);
      if (follows && entry.host + entry.compressedLength <= end) continue;
      encodeEntry(view, at, zero, shape);
      lost += 1;
    }
    if (lost > already) await storage.write(table, [bytes]);
  }
  lost += await giveUpTables(storage, header);
  await storage.flush();
  return lost;
}

/** The same of whole L2 tables. Where something lies below, an empty entry would show it; those stay. */
async function giveUpTables(storage: Storage, { l1, clusterSize, backing }: Header): Promise<number> {
  if (backing !== undefined || l1.entries === 0) return 0;
  const bytes = await storage.readBytes(l1.offset, l1.entries * 8);
  let lost = 0;
  for (let index = 0; index < l1.entries; index += 1) {
    const entry = decodeTableEntry(viewOf(bytes), index * 8, clusterSize);
    if (typeof entry !== 'string' && (entry.host === 0 || entry.host < storage.end)) continue;
    writeU64(viewOf(bytes), index * 8, 0);
    lost += 1;
  }
  if (lost > 0) await storage.write(l1.offset, [bytes]);
  return lost;
}

async function lowerRefcounts(storage: Storage, header: Header, leaks: readonly Leak[]): Promise<void> {
  const { clusterSize, refcountBits } = header;
  const perBlock = (clusterSize * 8) / refcountBits;
  const table = viewOf(
    await storage.readBytes(header.refcountTable.offset, header.refcountTable.clusters * clusterSize),
  );
  const byBlock = Map.groupBy(leaks, leak => Math.floor(leak.cluster / perBlock));
  for (const [index, inBlock] of byBlock) {
    const at = Number(table.getBigUint64(index * 8));
    const block = await storage.readBytes(at, clusterSize);
    for (const { cluster, count } of inBlock) setRefcount(viewOf(block), cluster % perBlock, refcountBits, count);
    await storage.write(at, [block]);
  }
}

/** Writes refcounts behind all that is in use and then points the header to them. Returns what they take themselves. */
async function rebuildRefcounts({ storage, header, census, own: old, beyond }: Survey): Promise<Census> {
  const { clusterSize, refcountBits } = header;
  const most = largestRefcount(refcountBits);
  for (const [cluster, count] of census.counted()) {
    if (count <= most) continue;
    const offset = cluster * clusterSize;
    throw new AfterimageError('unsupported', 'A cluster has more references than its refcount can hold', { offset });
  }
  if (beyond.size >= MOST_BEYOND) {
    throw new AfterimageError('too-large', 'Too many entries point nowhere', { file: storage.file.name });
  }
  const perBlock = (clusterSize * 8) / refcountBits;
  const first = Math.max(census.end, old.end, Math.ceil(storage.end / clusterSize));
  let blocks = 0;
  let tableClusters = 0;
  for (;;) {
    const needed = Math.ceil((first + blocks + tableClusters) / perBlock);
    const neededTable = Math.ceil((needed * 8) / clusterSize);
    if (needed <= blocks && neededTable <= tableClusters) break;
    blocks = needed;
    tableClusters = neededTable;
  }
  const end = Math.ceil(storage.end / clusterSize);
  for (let cluster = end; cluster < first + blocks + tableClusters; cluster += 1) {
    if (!beyond.has(cluster)) continue;
    // It would come to point to what is put there.
    const context = { file: storage.file.name, offset: cluster * clusterSize };
    throw new AfterimageError(
      'unsupported',
      'Entries that point nowhere are in the way; give up what is lost',
      context,
    );
  }
  if (tableClusters * clusterSize > Math.max(limits.MOST_REFCOUNT_TABLE_BYTES, clusterSize)) {
    throw new AfterimageError('too-large', 'The image is too large for its refcounts', { file: storage.file.name });
  }
  const own = new Census(clusterSize, (first + blocks + tableClusters) * clusterSize);
  own.add(first * clusterSize, (blocks + tableClusters) * clusterSize);
  const table = new Uint8Array(tableClusters * clusterSize);
  for (let index = 0; index < blocks; index += 1) {
    const block = new Uint8Array(clusterSize);
    const view = viewOf(block);
    for (let entry = 0; entry < perBlock; entry += 1) {
      const cluster = index * perBlock + entry;
      // What entries point to that point nowhere is not given to anyone else.
      const count = census.get(cluster) + own.get(cluster) + (beyond.has(cluster) ? 1 : 0);
      if (count > 0) setRefcount(view, entry, refcountBits, count);
    }
    await storage.write((first + index) * clusterSize, [block]);
    writeU64(viewOf(table), index * 8, (first + index) * clusterSize);
  }
  await storage.write((first + blocks) * clusterSize, [table]);
  await storage.flush();
  const pointer = new Uint8Array(12);
  writeU64(viewOf(pointer), 0, (first + blocks) * clusterSize);
  viewOf(pointer).setUint32(8, tableClusters);
  await storage.write(REFCOUNT_TABLE_AT, [pointer]);
  return own;
}

/** Makes the flags of the active tables say whether a cluster may be written in place. */
async function correctFlags(storage: Storage, header: Header, countOf: (cluster: number) => number): Promise<void> {
  const { clusterSize, l1 } = header;
  const shape = entryShape(header);
  const alone = (host: number) => countOf(host / clusterSize) === 1;
  for (const table of await activeL2Tables(storage, header)) {
    const bytes = await storage.readBytes(table, clusterSize);
    const view = viewOf(bytes);
    let changed = false;
    for (let index = 0; index < shape.entries; index += 1) {
      const at = index * shape.entryBytes;
      const entry = decodeEntry(view, at, shape);
      if (typeof entry === 'string' || entry.host === 0 || entry.compressedLength > 0) continue;
      if (!(entry.host < storage.end) || entry.copied === alone(entry.host)) continue;
      encodeEntry(view, at, { ...entry, copied: !entry.copied }, shape);
      changed = true;
    }
    if (changed) await storage.write(table, [bytes]);
  }
  const bytes = await storage.readBytes(l1.offset, l1.entries * 8);
  const view = viewOf(bytes);
  let changed = false;
  for (let index = 0; index < l1.entries; index += 1) {
    const entry = decodeTableEntry(view, index * 8, clusterSize);
    if (typeof entry === 'string' || entry.host === 0 || !(entry.host < storage.end)) continue;
    if (entry.copied === alone(entry.host)) continue;
    encodeTableEntry(view, index * 8, { ...entry, copied: !entry.copied });
    changed = true;
  }
  if (changed) await storage.write(l1.offset, [bytes]);
}
