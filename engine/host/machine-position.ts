// Where a machine stands: the layers that its disks run on, and the checkpoint that it goes on from.
import path from 'node:path';
import type { GuestFiles } from '../api/control.ts';
import type { DiskConfiguration, LayerFormat } from '../api/machine.ts';
import type { ProcessState } from '../api/machine-checks.ts';
import type { ConsoleSize } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import { checkDisks, type Disks, disksTable, screenTable } from '../checkpoint/about.ts';
import type { CheckpointReader } from '../checkpoint/reader.ts';
import { closeChain, openChain } from '../disk/chain/open.ts';
import { clusterCodecs } from './disk-codecs.ts';
import { diskIdentity, recordedDisks, withIdentities } from './disk-identities.ts';
import { freshLayer } from './machine-folder.ts';
import type { MachineHost } from './machine-host.ts';
import { screenOutput } from './machine-stop.ts';
import { putOverlay } from './new-disk.ts';
import { OwnedFolder } from './owned-folder.ts';
import { readResume } from './resume.ts';

/** What a machine will stand on when it goes back to a checkpoint. */
export interface PreparedMove {
  readonly disks: readonly DiskConfiguration[];
  /** Overlays of temporary disks, by the disks' numbers. */
  readonly temporary: Readonly<Record<string, string>>;
  /** Disks of the present state that are nowhere else. */
  readonly alone: readonly DiskConfiguration[];
  /** All overlays that were made for it. */
  readonly fresh: readonly string[];
}

export class MachinePosition {
  readonly #host: MachineHost;
  /** Formats of layers by their paths, as far as the record has named them. */
  readonly #formats = new Map<string, LayerFormat>();

  constructor(host: MachineHost) {
    this.#host = host;
  }

  refuseWhileDisksAreOpen(): void {
    if (this.#host.diskJobs.busy) throw new AfterimageError('state', 'A job works on a disk of the machine');
  }

  /** A checkpoint with all that is needed to go on from it. */
  async openToResume(id: string): Promise<CheckpointReader> {
    const tree = await this.#host.tree();
    const reader = await tree.open(id);
    try {
      await readResume(reader);
      reader.runs(0);
      for (const { layer, format } of (await disksOf(reader)).disks) {
        if (layer === undefined) throw new AfterimageError('unsupported', 'A disk of it is not in a layer', { id });
        await closeChain(await this.#openLayer(layer, format));
      }
      return reader;
    } catch (thrown) {
      await reader.close();
      throw thrown;
    }
  }

  /**
   * Makes new overlays over a checkpoint's layers, while the machine may still run: what the host has no room for fails
   * before the present state ends. They are nobody's until `moveTo`.
   */
  async prepareMove(reader: CheckpointReader): Promise<PreparedMove> {
    const { folder } = this.#host;
    const wanted = await disksOf(reader);
    const was = await recordedDisks(reader);
    const present = withIdentities(folder.record.disks);
    const disks: DiskConfiguration[] = [];
    const temporary: Record<string, string> = {};
    const fresh: string[] = [];
    try {
      for (const [disk, { layer = '', format, temporary: drops }] of wanted.disks.entries()) {
        const id = diskIdentity(was?.[disk], disk);
        const before = present.find(one => one.id === id);
        const readonly = !drops && (was?.[disk] ?? before)?.mode === 'readonly';
        if (readonly) {
          disks.push({ file: layer, format, mode: 'readonly', id });
          continue;
        }
        const overlay = await this.#overlayOver(layer, format, disk);
        fresh.push(overlay);
        if (!drops) disks.push({ file: overlay, format: 'qcow2', mode: 'persistent', id });
        else {
          const base = await this.#baseOfTemporary([before, was?.[disk]]);
          disks.push({ ...(base ?? { file: layer, format, mode: 'temporary' }), id });
          temporary[disk] = overlay;
        }
      }
      const alone = await this.#host.diskSet.inNoCheckpoint(new Set(disks.map(diskIdentity)));
      return { disks, temporary, alone, fresh };
    } catch (thrown) {
      await this.giveUpMove({ fresh });
      throw thrown;
    }
  }

  /** What a temporary disk goes back to at power-off: as the machine has it now, or had it then, if that is still there. */
  async #baseOfTemporary(candidates: readonly (DiskConfiguration | undefined)[]) {
    const there = new Set((await this.#host.layers.facts()).map(({ path: layer }) => layer));
    return candidates.find(one => one?.mode === 'temporary' && there.has(one.file));
  }

  /** The overlays go, at the latest when the folder is opened again. */
  async giveUpMove({ fresh }: Pick<PreparedMove, 'fresh'>): Promise<void> {
    const { layers } = this.#host;
    await layers.suspect(fresh).then(
      () => layers.collect(),
      () => undefined,
    );
  }

  /**
   * The machine, which is off, stands at the checkpoint from here on: machine.json names the new overlays, then the tree
   * says so. A cut before machine.json leaves the old state; after it the next start goes on from the checkpoint.
   */
  async moveTo(id: string, reader: CheckpointReader, { disks, temporary, alone }: PreparedMove): Promise<void> {
    const { folder, layers } = this.#host;
    const tree = await this.#host.tree();
    // All that the disks stand on: some of it may have been kept for the present state alone.
    const left: string[] = [];
    for (const disk of folder.record.disks.keys()) left.push(...(await layers.chain(folder.activeLayer(disk))));
    const from = tree.current;
    await folder.change(({ process }) => ({
      configuration: { disks, memory: reader.spaces[0]!.bytes },
      process: {
        suspended: id,
        restored: { checkpoint: id, ...(from === undefined ? {} : { from }) },
        temporary: Object.keys(temporary).length === 0 ? undefined : temporary,
        garbage: layers.withSuspects(process.garbage, left),
        ...(alone.length === 0 ? {} : { detached: [...(process.detached ?? []), ...alone] }),
      },
    }));
    await tree.setCurrent(id);
    this.#host.announce({ event: 'machine', machine: folder.record });
    this.#host.announce({ event: 'tree' });
    this.#host.announce({ event: 'disks' });
  }

  /** Starts the machine, which stands at the checkpoint. The reader is taken over. A failure leaves it off, and standing there. */
  async goOn(
    id: string,
    reader: CheckpointReader,
    options: {
      readonly paused?: boolean | undefined;
      readonly guest?: GuestFiles | undefined;
      readonly consoleSize?: ConsoleSize | undefined;
    },
  ): Promise<void> {
    const { folder, power } = this.#host;
    try {
      const tree = await this.#host.tree();
      const durable = tree.node(id).durable;
      const screen = await reader.table(screenTable);
      if (screen !== undefined) this.#host.console.output(screenOutput(screen));
      await power.start({ ...options, resume: { reader, from: { tree, durable } } });
    } catch (thrown) {
      await reader.close();
      throw thrown;
    }
    try {
      await folder.change({ process: { suspended: undefined, restored: undefined } });
    } catch (thrown) {
      // The next start would go back to the checkpoint, and all that was done until then would be lost.
      await power.cut();
      throw thrown;
    }
  }

  #overlayOver(layer: string, format: LayerFormat, disk: number): Promise<string> {
    return putOverlay(new OwnedFolder(this.#host.folder.path), disk, { layer, format });
  }

  #openLayer(layer: string, format: LayerFormat) {
    const folder = new OwnedFolder(this.#host.folder.path);
    return openChain(folder, { path: layer, format }, { access: 'read', codecs: clusterCodecs });
  }

  /** Temporary disks get layers of their own, which go at power-off. */
  async prepareTemporary(): Promise<void> {
    const { folder, layers } = this.#host;
    const temporary: Record<string, string> = {};
    for (const [disk, { file, format, mode }] of folder.record.disks.entries()) {
      if (mode === 'temporary') temporary[disk] = await this.#overlayOver(file, format, disk);
    }
    if (Object.keys(temporary).length === 0) return;
    await layers.suspect(Object.values(temporary));
    await folder.change({ process: { temporary } });
  }

  /** Names of layers are relative to the folder of the disk's active one. */
  layers() {
    const { folder } = this.#host;
    const inMachine = (disk: number, layer: string) =>
      path.posix.join(path.posix.dirname(folder.activeLayer(disk)), layer);
    return {
      fresh: async (disk: number, format: LayerFormat) => {
        const from = path.posix.dirname(folder.activeLayer(disk));
        return path.posix.relative(from, path.posix.join(from, path.posix.basename(freshLayer(disk, format))));
      },
      record: async (active: readonly { readonly disk: number; readonly file: string }[]) => {
        await folder.change(({ disks, process }) => {
          const changes = active.map(({ disk, file }) => ({ disk, file: inMachine(disk, file) }));
          return this.activeChange(disks, process, changes);
        });
      },
      inMachine,
      isTemporary: (disk: number) => folder.record.disks[disk]?.mode === 'temporary',
    };
  }

  /** How machine.json changes when disks run on other layers. */
  activeChange(
    disks: readonly DiskConfiguration[],
    process: ProcessState,
    changes: readonly { readonly disk: number; readonly file: string; readonly format?: LayerFormat }[],
  ) {
    for (const { file, format } of disks) this.#formats.set(file, format);
    const next = [...disks];
    const temporary = { ...process.temporary };
    for (const { disk, file, format = this.#formats.get(file) ?? 'qcow2' } of changes) {
      const before = next[disk];
      if (before === undefined) continue;
      if (before.mode === 'temporary') temporary[disk] = file;
      else next[disk] = { ...before, file, format };
    }
    return {
      configuration: { disks: next },
      process: { temporary: Object.keys(temporary).length === 0 ? undefined : temporary },
    };
  }
}

export async function disksOf(reader: CheckpointReader): Promise<Disks> {
  return checkDisks((await reader.table(disksTable)) ?? { disks: [] });
}
