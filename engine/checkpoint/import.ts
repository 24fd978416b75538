import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import {
  type About,
  aboutTable,
  checkDisks,
  type Disks,
  disksTable,
  requestsTable,
  screenTable,
  workingSetTable,
} from './about.ts';
import type { BlockCodecs } from './codecs.ts';
import { BLOCK_PAGES, damaged, type Hex } from './format.ts';
import { ZERO_BLOCK } from './page-index.ts';
import { CheckpointReader } from './reader.ts';
import { checkCancelled, copySections, copySpace, type JobOptions } from './rewrite.ts';
import type { CheckpointTree } from './tree.ts';

/** Takes the content of an imported disk. What is not written is zeroes. */
export interface DiskSink {
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes it durable; where it is then, relative to the machine's folder. */
  finish(): Promise<{ readonly layer: string; readonly format: 'raw' | 'qcow2' }>;
  /** Removes it. Does not throw. */
  abort(): Promise<void>;
}

export interface ImportParts {
  /** The checkpoint gets an identity of its own in it, and is listed after the current node. */
  readonly tree: CheckpointTree;
  readonly store: string;
  readonly codecs: BlockCodecs;
  /** A new disk for the device. The device's name comes from the file: it is data, not a path. */
  readonly createDisk: (device: string, bytes: number) => Promise<DiskSink>;
  /** Larger ones are refused before anything is made; they bound the time an import takes, too. */
  readonly mostMemoryBytes: number;
  readonly mostDiskBytes: number;
}

export interface Imported {
  readonly id: Hex;
  readonly about: About;
  readonly disks: Disks;
}

/**
 * Brings in a file that `exportCheckpoint` made, or anyone: index, tables and coverage are checked before anything is
 * made, and every block is decompressed on the way, so that what is listed at the end is whole. Memory stays bounded by
 * the index and a few MiB. Does not close the file.
 * @throws AfterimageError `corrupt`, `unsupported` (needs a parent, unknown features), `too-large`
 */
export async function importCheckpoint(
  file: HostFile,
  parts: ImportParts,
  options: JobOptions = {},
): Promise<Imported> {
  const kept: HostFile = { ...bound(file), close: async () => undefined };
  const noParent = async (): Promise<never> => {
    throw new AfterimageError('unsupported', 'The checkpoint is not self-contained: it needs its parent', {
      file: file.name,
    });
  };
  const reader = await CheckpointReader.open(kept, noParent, parts.codecs);
  const { about, disks } = await check(reader, parts);
  const memory = reader.spaces[0]!;
  const sinks: DiskSink[] = [];
  const draft = await parts.tree.take({ store: parts.store, spaces: [memory] });
  try {
    await copySpace(reader.files, 0, draft.writer, { ...options, verify: true });
    await copySections(reader.files[0]!, draft.writer, new Set([aboutTable.name, disksTable.name]));
    const imported: Disks['disks'][number][] = [];
    for (const disk of disks.disks) {
      const sink = await parts.createDisk(disk.device, disk.size);
      sinks.push(sink);
      await copyDisk(reader, disk.space!, sink, options);
      imported.push({ ...disk, ...(await sink.finish()), space: undefined });
    }
    // The last moment: from here on it happens.
    checkCancelled(options);
    await draft.complete({ about, disks: { disks: imported } });
    return { id: draft.id, about, disks: { disks: imported } };
  } catch (thrown) {
    await draft.abort();
    for (const sink of sinks) await sink.abort();
    throw thrown;
  }
}

/** Everything that can be known without reading the blocks. */
async function check(reader: CheckpointReader, parts: ImportParts): Promise<{ about: About; disks: Disks }> {
  const [memory, ...flat] = reader.spaces;
  const file = reader.files[0]!.name;
  const diskBytes = flat.reduce((sum, space) => sum + space.bytes, 0);
  if (memory!.bytes > parts.mostMemoryBytes || diskBytes > parts.mostDiskBytes) {
    const context = { file, memory: memory!.bytes, disks: diskBytes };
    throw new AfterimageError('too-large', 'The checkpoint is larger than what may be imported', context);
  }
  for (const space of reader.spaces.keys()) reader.runs(space);
  const about = await reader.table(aboutTable);
  if (about === undefined) throw damaged('it says nothing about itself', { file, section: aboutTable.name });
  const disks = checkDisks((await reader.table(disksTable)) ?? { disks: [] });
  for (const table of [requestsTable, workingSetTable, screenTable]) await reader.table<unknown>(table);
  const refuse = (what: string): never => {
    throw damaged(what, { file, section: disksTable.name });
  };
  const used = new Set<number>();
  for (const { space, size, layer } of disks.disks) {
    if (space === undefined || layer !== undefined) refuse('the content of a disk is not in it');
    else if (space === 0 || used.has(space) || reader.spaces[space]?.bytes !== size)
      refuse('a disk is not where it says');
    else used.add(space);
  }
  if (used.size !== flat.length) refuse('it holds a disk that no device has');
  return { about, disks };
}

async function copyDisk(reader: CheckpointReader, space: number, sink: DiskSink, options: JobOptions): Promise<void> {
  const size = reader.spaces[space]!.bytes;
  const buffer = new Uint8Array(BLOCK_PAGES * PAGE_SIZE);
  for (const run of reader.runs(space)) {
    if (run.block === ZERO_BLOCK) continue;
    checkCancelled(options);
    const pages = Array.from({ length: run.count }, (_, index) => run.first + index);
    const frames = pages.map((_, index) => buffer.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE));
    await reader.readPages(space, pages, frames);
    const offset = run.first * PAGE_SIZE;
    const length = Math.min(run.count * PAGE_SIZE, size - offset);
    await sink.write(offset, buffer.subarray(0, length));
    options.onProgress?.({ done: offset + length, total: size });
  }
}

/** The file's methods as plain functions. */
function bound(file: HostFile): HostFile {
  return {
    name: file.name,
    readonly: file.readonly,
    size: () => file.size(),
    read: (at, into) => file.read(at, into),
    write: (at, from) => file.write(at, from),
    flush: () => file.flush(),
    truncate: size => file.truncate(size),
    close: () => file.close(),
  };
}
