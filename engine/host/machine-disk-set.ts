// Which disks a machine has, while it is off: adding, removing, keeping what was removed. Checkpoints have their own.
import type { DiskRemoval } from '../api/control.ts';
import type { AddedDisk, DiskConfiguration, MachineConfiguration, RemovedFiles } from '../api/machine.ts';
import { MOST_DETACHED } from '../api/machine-checks.ts';
import { MOST_DISKS } from '../api/settings.ts';
import { AfterimageError } from '../base/errors.ts';
import { findJournals } from '../disk/jobs/journal.ts';
import { HostFolder } from './disk-folder.ts';
import { diskIdentity, newDiskIdentity, withIdentities } from './disk-identities.ts';
import { DISKS } from './machine-folder.ts';
import type { MachineHost } from './machine-host.ts';
import { deviceName } from './machine-layers.ts';
import { createDisk } from './new-disk-file.ts';

export class MachineDiskSet {
  readonly #host: MachineHost;

  constructor(host: MachineHost) {
    this.#host = host;
  }

  /** @throws AfterimageError `state`, `too-large`, `missing`, and those of reading what is copied */
  async add(disk: AddedDisk): Promise<void> {
    const { folder, jobs } = this.#host;
    await this.#refuseUnlessSettled();
    const { length } = folder.record.disks;
    if (length >= MOST_DISKS) throw new AfterimageError('too-large', `A machine has at most ${MOST_DISKS} disks`);
    if (disk.kind === 'detached') {
      const kept = this.#kept(disk.file);
      await this.#attach(kept, kept.id);
    } else {
      const subject = disk.kind === 'new' ? 'a new disk' : disk.path;
      const made = await jobs.run({ kind: 'import', subject }, ({ progress }) =>
        createDisk(folder.path, length, disk, progress),
      );
      await this.#attach(made, undefined);
    }
    this.#changed();
  }

  /** @throws AfterimageError `state`, `missing` */
  async remove(index: number, files: RemovedFiles): Promise<void> {
    const { folder, layers } = this.#host;
    await this.#refuseUnlessSettled();
    const disk = this.#present(index);
    const chain = await layers.chain(disk.file);
    const kept = files === 'keep' ? [disk] : [];
    await folder.change(({ disks, process }) => ({
      configuration: { disks: withIdentities(disks).filter((_, place) => place !== index) },
      process: {
        ...detachedAnd(process.detached, kept),
        garbage: files === 'keep' ? process.garbage : layers.withSuspects(process.garbage, chain),
      },
    }));
    await layers.collect();
    this.#changed();
  }

  async removal(index: number): Promise<DiskRemoval> {
    const { layers } = this.#host;
    const { file, id } = this.#present(index);
    const chain = await layers.chain(file);
    const model = await layers.model();
    const going = model.filter(
      ({ path, neededBy }) => chain.includes(path) && neededBy.every(({ by }) => by === 'machine'),
    );
    const bytes = going.reduce((sum, { allocatedSize }) => sum + allocatedSize, 0);
    const { length: checkpoints } = await this.#checkpointsWith(id);
    return { device: deviceName(index), layers: going.length, bytes, checkpoints };
  }

  /** @throws AfterimageError `missing` */
  async deleteDetached(file: string): Promise<void> {
    const { folder, layers } = this.#host;
    this.#kept(file);
    const chain = await layers.chain(file);
    await folder.change(({ process }) => ({
      process: {
        ...detachedAnd(
          process.detached?.filter(one => one.file !== file),
          [],
        ),
        garbage: layers.withSuspects(process.garbage, chain),
      },
    }));
    await layers.collect();
    this.#changed();
  }

  /**
   * Refuses what `configure` cannot do: disks other than those that there are, and what a suspended machine would not
   * follow, since it goes on with the memory and disks that it had.
   * @throws AfterimageError `usage`, `state`
   */
  async checkChange({ memory, disks }: Partial<MachineConfiguration>): Promise<Partial<MachineConfiguration>> {
    if (disks === undefined) {
      if (memory !== undefined && memory !== this.#host.folder.record.memory) this.#refuseSuspended();
      return {};
    }
    await this.#refuseUnlessSettled();
    const present = withIdentities(this.#host.folder.record.disks);
    const wanted = disks.map(disk => {
      const known = present.find(({ file }) => file === disk.file);
      if (known === undefined || disk.format !== known.format || (disk.id ?? known.id) !== known.id) {
        const message = 'The machine has no such disk; add and remove disks one by one';
        throw new AfterimageError('usage', message, { file: disk.file });
      }
      return { ...disk, id: known.id! };
    });
    if (wanted.length !== present.length || new Set(wanted.map(({ id }) => id)).size !== present.length) {
      throw new AfterimageError('usage', 'Each disk of the machine must be there once; add and remove them one by one');
    }
    // As long as only modes change, places still say which disk is which.
    return wanted.every(({ id }, place) => id === present[place]!.id) ? {} : { disks: wanted };
  }

  /**
   * The machine's disks that no checkpoint has and that are none of these: to be kept when the machine goes to another
   * state, for they are nowhere else.
   * @throws AfterimageError `too-large` when there is no room for more of them
   */
  async inNoCheckpoint(others: ReadonlySet<string>): Promise<readonly DiskConfiguration[]> {
    const { record, process } = this.#host.folder;
    const alone: DiskConfiguration[] = [];
    for (const disk of withIdentities(record.disks)) {
      if (others.has(disk.id!)) continue;
      if ((await this.#checkpointsWith(disk.id!)).length === 0) alone.push(disk);
    }
    detachedAnd(process.detached, alone);
    return alone;
  }

  /** What a killed run of temporary disks left goes, as at the end of a run. */
  async dropTemporary(): Promise<void> {
    const { folder, layers } = this.#host;
    const { temporary } = folder.process;
    if (temporary === undefined) return;
    const left: string[] = [];
    for (const layer of Object.values(temporary)) left.push(...(await layers.chain(layer)));
    await folder.change(({ process: { garbage } }) => ({
      process: { temporary: undefined, garbage: layers.withSuspects(garbage, left) },
    }));
    await layers.collect();
  }

  async #attach(disk: DiskConfiguration, identity: string | undefined): Promise<void> {
    await this.#host.folder.change(({ disks, process }) => {
      const present = withIdentities(disks);
      // An earlier state of it may be in the machine already, by a restore.
      const taken = identity === undefined || present.some(({ id }) => id === identity);
      const id = taken ? newDiskIdentity() : identity;
      const others = process.detached?.filter(({ file }) => file !== disk.file);
      return { configuration: { disks: [...present, { ...disk, id }] }, process: detachedAnd(others, []) };
    });
  }

  #present(index: number): DiskConfiguration & { readonly id: string } {
    const disk = this.#host.folder.record.disks[index];
    if (disk === undefined) throw new AfterimageError('missing', 'The machine has no such disk', { disk: index });
    return { ...disk, id: diskIdentity(disk, index) };
  }

  #kept(file: string): DiskConfiguration {
    const found = this.#host.folder.process.detached?.find(one => one.file === file);
    if (found === undefined) throw new AfterimageError('missing', 'No disk of this name was kept', { file });
    return found;
  }

  async #checkpointsWith(identity: string): Promise<readonly string[]> {
    const { layers } = this.#host;
    const having: string[] = [];
    for (const { id } of (await this.#host.tree()).nodes) {
      // Nobody can restore one that cannot be read.
      const own = await layers.ofCheckpoint(id).catch(() => []);
      if (own.some(({ disk }) => disk === identity)) having.push(id);
    }
    return having;
  }

  async #refuseUnlessSettled(): Promise<void> {
    const { power, position, folder } = this.#host;
    if (power.on) throw new AfterimageError('state', 'Disks can only be changed while the machine is off');
    this.#refuseSuspended();
    position.refuseWhileDisksAreOpen();
    if ((await findJournals(new HostFolder(folder.inside(DISKS)), [])).length > 0) {
      const message = 'Work on a disk was interrupted; start the machine once, so that it is finished';
      throw new AfterimageError('state', message);
    }
    await this.dropTemporary();
  }

  #refuseSuspended(): void {
    const { suspended } = this.#host.folder.process;
    if (suspended === undefined) return;
    const message = 'The machine is suspended and goes on with the memory and disks that it had; power it off first';
    throw new AfterimageError('state', message, { suspended });
  }

  #changed(): void {
    this.#host.announce({ event: 'machine', machine: this.#host.folder.record });
    this.#host.announce({ event: 'disks' });
  }
}

function detachedAnd(before: readonly DiskConfiguration[] = [], more: readonly DiskConfiguration[]) {
  const detached = [...before, ...more];
  if (detached.length > MOST_DETACHED) {
    const message = 'Too many removed disks are kept; delete some that are not needed';
    throw new AfterimageError('too-large', message, { most: MOST_DETACHED });
  }
  return { detached: detached.length === 0 ? undefined : detached };
}
