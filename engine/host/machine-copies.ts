// Checkpoints that leave their machine: as files to take anywhere, as new machines.
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ImportPreview } from '../api/checkpoints.ts';
import type { FolderCalls } from '../api/control.ts';
import { type BootConfiguration, type DiskConfiguration, type MachineRecord, USUAL_AUTOMATIC } from '../api/machine.ts';
import { checked, type StoredMachine, storedMachine } from '../api/machine-checks.ts';
import { MEMORY_LIMITS } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import { type About, aboutTable, type Disks, disksTable, screenTable } from '../checkpoint/about.ts';
import { exportCheckpoint, exportInto, type FlatDisk } from '../checkpoint/export.ts';
import { FileStore } from '../checkpoint/file-store.ts';
import { importCheckpoint } from '../checkpoint/import.ts';
import { CheckpointReader } from '../checkpoint/reader.ts';
import { copySections, copySpace, type JobOptions } from '../checkpoint/rewrite.ts';
import { CheckpointTree } from '../checkpoint/tree.ts';
import type { Layer } from '../disk/chain/layer.ts';
import { chainPlaces, closeChain, openChain } from '../disk/chain/open.ts';
import { blockCodecs } from './checkpoint-codecs.ts';
import { CheckpointFolder, openReadonly } from './checkpoint-folder.ts';
import { copyHostFile } from './copy-file.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { HostFolder } from './disk-folder.ts';
import { diskIdentity, recordedDisks } from './disk-identities.ts';
import { flatDisk } from './flat-disk.ts';
import { CHECKPOINTS, createMachineFolder } from './machine-folder.ts';
import type { MachineHost } from './machine-host.ts';
import type { JobDescription, JobHandle } from './machine-jobs.ts';
import { disksOf } from './machine-position.ts';
import { newIdentity } from './machine-record.ts';
import { FILE, treeParts } from './machine-stores.ts';
import { screenView } from './machine-tree.ts';
import { createSink, putOverlay } from './new-disk.ts';
import { OwnedFolder } from './owned-folder.ts';

/** Of all disks together; bounds the time that an import takes. */
const MOST_DISK_BYTES = 2 ** 44;
/** Of an imported machine's name. */
const LONGEST_NAME = 100;

/** A self-contained file, which has its name when it is complete. */
export async function exportTo(host: MachineHost, id: string, file: string): Promise<{ bytes: number }> {
  const tree = await host.tree();
  const target = path.resolve(host.folder.path, file);
  const options = { kind: 'export', subject: tree.node(id).name } as const;
  return await reading(host, id, options, async (reader, { signal, progress }) => {
    const chains: Layer[] = [];
    try {
      const folder = new OwnedFolder(host.folder.path);
      const { disks } = await disksOf(reader);
      const flat: FlatDisk[] = [];
      for (const { device, layer, format } of disks) {
        if (layer === undefined) throw new AfterimageError('unsupported', 'A disk of it is not in a layer', { device });
        const chain = await openChain(folder, { path: layer, format }, { access: 'read', codecs: clusterCodecs });
        chains.push(chain);
        flat.push(flatDisk(device, chain));
      }
      const { bytes } = await exportInto(new CheckpointFolder(path.dirname(target)), path.basename(target), one =>
        exportCheckpoint(reader, flat, one, blockCodecs, {
          cancellation: signal,
          onProgress: ({ done, total }) => progress(done, total),
        }),
      );
      return { bytes };
    } finally {
      for (const chain of chains) await closeChain(chain);
    }
  });
}

/** Runs a job that reads a checkpoint and its layers: nobody changes or removes those meanwhile, deleted or not. */
async function reading<Result>(
  host: MachineHost,
  id: string,
  description: JobDescription,
  work: (reader: CheckpointReader, handle: JobHandle) => Promise<Result>,
): Promise<Result> {
  const tree = await host.tree();
  return await host.jobs.run(description, async handle => {
    const layers = (await host.layers.ofCheckpoint(id)).map(({ path: layer }) => layer);
    host.copying.set(handle.job, layers);
    try {
      const reader = await tree.open(id);
      try {
        return await work(reader, handle);
      } finally {
        await reader.close();
      }
    } finally {
      host.copying.delete(handle.job);
      if (!tree.has(id)) await letGo(host, layers);
    }
  });
}

/** Layers of a checkpoint that was deleted while they were read: what came by then left them where they were. */
async function letGo(host: MachineHost, layers: readonly string[]): Promise<void> {
  const all: string[] = [];
  for (const layer of layers) all.push(...(await host.layers.chain(layer)));
  await host.layers.suspect(all);
  await host.layers.collect();
  host.announce({ event: 'disks' });
}

/** A new machine in a new folder that goes on from a checkpoint of this one. */
export async function cloneTo(
  host: MachineHost,
  { id, folder, name }: { readonly id: string; readonly folder: string; readonly name: string },
): Promise<{ machine: string }> {
  const tree = await host.tree();
  const options = { kind: 'clone', subject: tree.node(id).name } as const;
  return await reading(host, id, options, async (reader, { signal, progress }) => {
    const { disks } = await disksOf(reader);
    const files = await filesBelow(host.folder.path, disks);
    let total = reader.spaces[0]!.bytes;
    for (const file of files) total += (await stat(host.folder.inside(file))).size;
    let done = 0;
    const machine = newIdentity();
    await createMachineFolder(folder, async unfinished => {
      for (const file of files) {
        const to = path.join(unfinished, ...file.split('/'));
        await mkdir(path.dirname(to), { recursive: true });
        await copyHostFile(host.folder.inside(file), to, {
          signal,
          copied: bytes => {
            done += bytes;
            progress(done, total);
          },
        });
      }
      const copy = await adopt(reader, unfinished, machine, {
        cancellation: signal,
        onProgress: one => progress(done + one.done, total),
      });
      const { record } = host.folder;
      const then = { disks: (await recordedDisks(reader)) ?? record.disks, memory: reader.spaces[0]!.bytes };
      const clone = { ...record, ...then, id: machine, name, createdAt: Date.now() };
      return await standing(unfinished, clone, copy, { disks });
    });
    return { machine };
  });
}

/** Every file of the disks, each once. */
async function filesBelow(folder: string, disks: Disks['disks']): Promise<string[]> {
  const owned = new OwnedFolder(folder);
  const files = new Set<string>();
  for (const { layer, format, device } of disks) {
    if (layer === undefined) throw new AfterimageError('unsupported', 'A disk of it is not in a layer', { device });
    for (const place of await chainPlaces(owned, { path: layer, format })) files.add(place.path);
  }
  return [...files];
}

/** The checkpoint as one file in the tree of another machine; its identity there. */
async function adopt(reader: CheckpointReader, folder: string, machine: string, options: JobOptions): Promise<string> {
  const tree = await openNewTree(folder, machine);
  const draft = await tree.take({ store: FILE, spaces: [reader.spaces[0]!] });
  try {
    const about = await reader.table(aboutTable);
    const disks = await reader.table(disksTable);
    if (about === undefined) throw new AfterimageError('corrupt', 'The checkpoint says nothing about itself');
    await copySpace(reader.files, 0, draft.writer, options);
    await copySections(reader.files[0]!, draft.writer, new Set([aboutTable.name, disksTable.name]));
    await draft.complete({ about, ...(disks === undefined ? {} : { disks }) });
    return draft.id;
  } catch (thrown) {
    await draft.abort();
    throw thrown;
  }
}

function openNewTree(folder: string, machine: string): Promise<CheckpointTree> {
  const checkpoints = path.join(folder, CHECKPOINTS);
  const stores = new Map([[FILE, new FileStore(new CheckpointFolder(checkpoints))]]);
  return CheckpointTree.open(treeParts(checkpoints, machine, stores));
}

/** The record of a machine that stands at a checkpoint whose layers are there; with overlays of its own over them. */
async function standing(
  folder: string,
  record: MachineRecord,
  checkpoint: string,
  { disks }: Pick<Disks, 'disks'>,
): Promise<StoredMachine> {
  const host = new HostFolder(folder);
  const own: DiskConfiguration[] = [];
  for (const [disk, { layer = '', format, temporary }] of disks.entries()) {
    const was = record.disks[disk];
    const mode = temporary ? 'temporary' : (was?.mode ?? 'persistent');
    const id = diskIdentity(was, disk);
    if (mode === 'readonly') own.push({ file: layer, format, mode, id });
    else own.push({ file: await putOverlay(host, disk, { layer, format }), format: 'qcow2', mode, id });
  }
  await host.flush();
  return { ...record, disks: own, process: { suspended: checkpoint } };
}

/** What a file holds that may be anybody's. */
export async function previewFile(file: string): Promise<ImportPreview> {
  const opened = await openReadonly(file);
  const reader = await CheckpointReader.open(opened, refuseParent, blockCodecs);
  try {
    const about = await reader.table(aboutTable);
    if (about === undefined)
      throw new AfterimageError('corrupt', 'The checkpoint says nothing about itself', { path: file });
    const { disks } = (await reader.table(disksTable)) ?? { disks: [] };
    const screen = await reader.table(screenTable);
    return {
      name: about.name,
      note: about.note,
      takenAt: about.takenAt,
      memory: reader.spaces[0]?.bytes ?? 0,
      machineName: machineOf(about)?.name ?? '',
      disks: disks.map(({ device, size }) => ({ device, size })),
      bytes: reader.files[0]!.outline.trailer.fileBytes,
      writer: about.writer,
      ...(screen === undefined ? {} : { screen: screenView(screen) }),
    };
  } finally {
    await reader.close();
  }
}

async function refuseParent(): Promise<never> {
  throw new AfterimageError('unsupported', 'The checkpoint is not self-contained: it needs its parent');
}

/** A new machine out of a file that may be anybody's. */
export async function importFile(
  { file, folder, name }: FolderCalls['import']['arguments'],
  options: JobOptions = {},
): Promise<FolderCalls['import']['result']> {
  const opened = await openReadonly(path.resolve(file));
  try {
    const machine = await createMachineFolder(folder, async unfinished => {
      const id = newIdentity();
      let disk = 0;
      const imported = await importCheckpoint(
        opened,
        {
          tree: await openNewTree(unfinished, id),
          store: FILE,
          codecs: blockCodecs,
          createDisk: async (_, bytes) => {
            disk += 1;
            return await createSink(unfinished, disk - 1, bytes);
          },
          mostMemoryBytes: MEMORY_LIMITS.largest,
          mostDiskBytes: MOST_DISK_BYTES,
        },
        options,
      );
      const { about, disks } = imported;
      const was = machineOf(about);
      const record: MachineRecord = {
        id,
        createdAt: Date.now(),
        name: name ?? plainName(was?.name ?? about.name),
        memory: await memoryOf(opened.name),
        boot: importedBoot(was?.boot),
        disks: was?.disks ?? [],
        automatic: USUAL_AUTOMATIC,
      };
      return await standing(unfinished, record, imported.id, disks);
    });
    return { machine: machine.id, name: machine.name };
  } finally {
    await opened.close();
  }
}

async function memoryOf(file: string): Promise<number> {
  return (await previewFile(file)).memory;
}

/** The settings that the file says its machine had; nothing of them is trusted. */
function machineOf(about: About): StoredMachine | undefined {
  try {
    return checked(storedMachine, JSON.parse(about.machine), 'corrupt', 'The machine');
  } catch {
    return undefined;
  }
}

/** Files of the host that somebody else names are not read: a machine from outside boots the default guest at power-on. */
function importedBoot(boot: BootConfiguration | undefined): BootConfiguration {
  if (boot?.kind !== 'guest' || boot.append === undefined) return { kind: 'guest' };
  return { kind: 'guest', append: boot.append };
}

function plainName(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in a name
  const plain = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ').trim();
  return plain.slice(0, LONGEST_NAME).trim() || 'Imported machine';
}
