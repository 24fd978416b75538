import { PAGE_SIZE } from '../base/addresses.ts';
import { AfterimageError } from '../base/errors.ts';
import type { HostFile } from '../disk/disk.ts';
import { encode } from '../state/section.ts';
import { checkDisks, disksTable } from './about.ts';
import type { BlockCodecs } from './codecs.ts';
import type { Folder } from './folder.ts';
import { pagesOf } from './format.ts';
import type { Space } from './header.ts';
import type { CheckpointReader } from './reader.ts';
import { checkCancelled, copySections, copySpace, type JobOptions } from './rewrite.ts';
import { CheckpointWriter, type WrittenCheckpoint } from './writer.ts';

/** Content of a disk from `offset` on. What lies between runs is zeroes. */
export interface DiskRun {
  /** A multiple of 4096. */
  readonly offset: number;
  /** A multiple of 4096 long, except at the end of the disk. */
  readonly bytes: Uint8Array;
}

/** A disk as it was at the moment, its layers flattened. */
export interface FlatDisk {
  /** As in the checkpoint's `disks` section. */
  readonly device: string;
  readonly bytes: number;
  /** In ascending order, without overlap. The bytes are used before the next run is asked for. */
  readonly runs: AsyncIterable<DiskRun>;
}

/**
 * Writes one self-contained file: memory flattened through the chain, device state, the disks. Streamed; every checksum
 * of what is copied is verified. The file is durable and valid at the end; naming it is the caller's.
 * @throws AfterimageError `usage` when a disk of the checkpoint is not given or a run does not fit
 */
export async function exportCheckpoint(
  reader: CheckpointReader,
  disks: readonly FlatDisk[],
  file: HostFile,
  codecs: BlockCodecs,
  options: JobOptions = {},
): Promise<WrittenCheckpoint> {
  const top = reader.files[0]!;
  const memory = reader.spaces[0]!;
  const table = checkDisks((await reader.table(disksTable)) ?? { disks: [] });
  const spaces = disks.map((disk, index): Space => ({ kind: 'disk', name: `disk${index}`, bytes: disk.bytes }));
  const flat = table.disks.map(disk => {
    const index = disks.findIndex(one => one.device === disk.device);
    if (index < 0 || disks[index]!.bytes !== disk.size) {
      throw new AfterimageError('usage', 'A disk of the checkpoint is not given as it is', { device: disk.device });
    }
    return { ...disk, layer: undefined, format: 'raw' as const, ownCopy: true, space: index + 1 };
  });
  const { id, machine } = reader.header;
  const { seal } = top.outline.trailer;
  const writer = CheckpointWriter.begin(file, { id, machine, spaces: [memory, ...spaces] }, codecs, seal);
  try {
    // Before anything is written: a checkpoint that lacks a page is not worth the time.
    reader.runs(0);
    const total = disks.reduce((sum, disk) => sum + disk.bytes, memory.bytes);
    let before = 0;
    const inner: JobOptions = {
      ...options,
      onProgress: ({ done }) => options.onProgress?.({ done: before + done, total }),
    };
    await copySpace(reader.files, 0, writer, inner);
    before = memory.bytes;
    for (const [index, disk] of disks.entries()) {
      await writeDisk(writer, index + 1, disk, inner);
      before += disk.bytes;
    }
    await copySections(top, writer, new Set([disksTable.name]));
    writer.writeSection(disksTable.name, encode(disksTable, { disks: flat }));
    return await writer.finish();
  } catch (thrown) {
    await writer.abort();
    throw thrown;
  }
}

/** The same into a folder, in one step: the file has its name when it is complete, or there is none. */
export async function exportInto(
  folder: Folder,
  name: string,
  write: (file: HostFile) => Promise<WrittenCheckpoint>,
): Promise<WrittenCheckpoint> {
  const partial = `${name}.partial`;
  const file = await folder.create(partial);
  try {
    const written = await write(file);
    await file.close();
    await folder.rename(partial, name);
    await folder.flush();
    return written;
  } catch (thrown) {
    await file.close().catch(() => undefined);
    await folder.remove(partial).catch(() => undefined);
    throw thrown;
  }
}

async function writeDisk(writer: CheckpointWriter, space: number, disk: FlatDisk, options: JobOptions): Promise<void> {
  const pages = pagesOf(disk.bytes);
  let next = 0;
  for await (const { offset, bytes } of disk.runs) {
    checkCancelled(options);
    const first = offset / PAGE_SIZE;
    const end = offset + bytes.length;
    const whole = bytes.length % PAGE_SIZE === 0 || end === disk.bytes;
    if (!Number.isInteger(first) || first < next || end > disk.bytes || !whole) {
      throw new AfterimageError('usage', 'Content of a disk does not fit it', { device: disk.device, offset });
    }
    writer.writeZeroes(space, next, first - next);
    next = first;
    for (let at = 0; at < bytes.length; at += PAGE_SIZE, next += 1) {
      let frame = bytes.subarray(at, at + PAGE_SIZE);
      if (frame.length < PAGE_SIZE) {
        const padded = new Uint8Array(PAGE_SIZE);
        padded.set(frame);
        frame = padded;
      }
      await writer.writePages(space, [next], [frame]);
    }
    options.onProgress?.({ done: end, total: disk.bytes });
  }
  writer.writeZeroes(space, next, pages - next);
}
