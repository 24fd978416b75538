// The layers in a machine's folder: who needs which, and what of them is garbage. Nothing is deleted but what this
// program made, what was marked as garbage before, and what nobody needs.
import type { DetachedDisk, DiskView, LayerView } from '../api/control.ts';
import type { DiskConfiguration, LayerFormat } from '../api/machine.ts';
import { MOST_GARBAGE } from '../api/machine-checks.ts';
import { AfterimageError } from '../base/errors.ts';
import { checkDisks, disksTable } from '../checkpoint/about.ts';
import type { CheckpointTree } from '../checkpoint/tree.ts';
import { chainModel, type LayerFacts, type LayerModel, type Need } from '../disk/chain/model.ts';
import { backingPath } from '../disk/chain/paths.ts';
import { readHeader } from '../disk/qcow2/header.ts';
import { openReadonly } from './checkpoint-folder.ts';
import { HostFolder } from './disk-folder.ts';
import { diskIdentity, recordedDisks, withIdentities } from './disk-identities.ts';
import { DISKS, isOwnLayer, type MachineFolder } from './machine-folder.ts';
import { namedByJournals } from './machine-leftovers.ts';

export interface CheckpointLayer {
  /** Which disk it is of, by its identity. */
  readonly disk: string;
  readonly path: string;
}

/** What needs layers beside the machine and its checkpoints. */
export interface JobNeed {
  readonly job: number;
  readonly layer: string;
}

interface LayerFile {
  readonly facts: LayerFacts;
  /** Of the file below, where the header says it. */
  readonly below?: LayerFormat | undefined;
}

export class MachineLayers {
  readonly #folder: MachineFolder;
  readonly #host: HostFolder;
  readonly #tree: () => Promise<CheckpointTree>;
  readonly #jobs: () => readonly JobNeed[];
  /** A checkpoint's layers never change. */
  readonly #known = new Map<string, readonly CheckpointLayer[]>();
  #collecting: Promise<unknown> = Promise.resolve();
  /** Suspected since the present collection began: what it knows of them may be old. */
  readonly #suspected = new Set<string>();

  constructor(folder: MachineFolder, tree: () => Promise<CheckpointTree>, jobs: () => readonly JobNeed[]) {
    this.#folder = folder;
    this.#host = new HostFolder(folder.path);
    this.#tree = tree;
    this.#jobs = jobs;
  }

  /** The layers that a checkpoint stands on. @throws AfterimageError when its file cannot be read */
  async ofCheckpoint(id: string): Promise<readonly CheckpointLayer[]> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const tree = await this.#tree();
    const reader = await tree.open(id);
    try {
      const { disks } = checkDisks((await reader.table(disksTable)) ?? { disks: [] });
      const was = await recordedDisks(reader);
      const layers = disks.flatMap(({ layer }, index) =>
        layer === undefined ? [] : [{ disk: diskIdentity(was?.[index], index), path: layer }],
      );
      this.#known.set(id, layers);
      return layers;
    } finally {
      await reader.close();
    }
  }

  /** All who need layers, and the checkpoints of which nobody can tell. */
  async needs(): Promise<{ needs: Need[]; unreadable: { id: string; error: AfterimageError }[] }> {
    const { record } = this.#folder;
    const temporary = Object.values(this.#folder.process.temporary ?? {});
    const own = [...this.#recorded().map(({ file }) => file), ...temporary];
    const needs: Need[] = own.map(layer => ({ by: 'machine', id: record.id, layer }));
    for (const { job, layer } of this.#jobs()) needs.push({ by: 'job', id: String(job), layer });
    const unreadable: { id: string; error: AfterimageError }[] = [];
    for (const { id } of (await this.#tree()).nodes) {
      try {
        for (const { path } of await this.ofCheckpoint(id)) needs.push({ by: 'checkpoint', id, layer: path });
      } catch (thrown) {
        unreadable.push({ id, error: AfterimageError.from(thrown) });
      }
    }
    return { needs, unreadable };
  }

  /**
   * Layers that checkpoints stand on directly: nothing may change what they say. While a checkpoint cannot be read, that
   * may be any layer but those that the machine writes to.
   */
  async kept(): Promise<string[]> {
    const { needs, unreadable } = await this.needs();
    const kept = new Set(needs.filter(({ by }) => by === 'checkpoint').map(({ layer }) => layer));
    if (unreadable.length > 0) {
      const active = new Set(needs.filter(({ by }) => by === 'machine').map(({ layer }) => layer));
      for (const { path } of await this.facts()) if (!active.has(path)) kept.add(path);
    }
    return [...kept];
  }

  /** Every layer in `disks/`, and those elsewhere that the machine names. Files that are no layers are left out. */
  async facts(): Promise<LayerFacts[]> {
    const formats = new Map(this.#recorded().map(({ file, format }) => [file, format]));
    const paths = new Set([...(await this.#host.list(DISKS)), ...formats.keys()]);
    const found = new Map<string, LayerFacts>();
    for (const path of [...paths].sort()) await this.#addFacts(path, formats.get(path), found);
    return [...found.values()];
  }

  /** The machine's disks, and those that are kept beside them. */
  #recorded(): readonly DiskConfiguration[] {
    return [...this.#folder.record.disks, ...(this.#folder.process.detached ?? [])];
  }

  /** How a layer is to be opened. @throws AfterimageError `missing` */
  async formatOf(layer: string): Promise<LayerFormat> {
    const found = (await this.facts()).find(({ path }) => path === layer);
    if (found === undefined) throw new AfterimageError('missing', 'There is no such layer', { layer });
    return found.format;
  }

  async model(): Promise<LayerModel[]> {
    const [facts, { needs, unreadable }] = [await this.facts(), await this.needs()];
    return chainModel(facts, needs).map(layer => ({ ...layer, may: inDoubt(layer.may, unreadable) }));
  }

  /** What may be done with a layer. The machine's own use of it is no hindrance: jobs go on below a running machine. */
  async may(layer: string): Promise<LayerModel['may']> {
    const [facts, { needs, unreadable }] = [await this.facts(), await this.needs()];
    const found = verdicts(facts, needs).get(layer);
    if (found === undefined) throw new AfterimageError('missing', 'There is no such layer', { layer });
    return inDoubt(found, unreadable);
  }

  async views(): Promise<DiskView[]> {
    const { record } = this.#folder;
    const { layers, diskOf } = await this.#shown();
    const identities = record.disks.map(diskIdentity);
    return record.disks.map(({ mode }, disk) => {
      const file = this.#folder.activeLayer(disk);
      const own = layers.filter(({ path }) => diskOf.get(path) === identities[disk]);
      const active = layers.find(({ path }) => path === file);
      return { disk, device: deviceName(disk), mode, size: active?.virtualSize ?? 0, active: file, layers: own };
    });
  }

  /** Disks that the machine does not have now. */
  async detached(): Promise<DetachedDisk[]> {
    const { layers, diskOf } = await this.#shown();
    const present = new Set(this.#folder.record.disks.map(diskIdentity));
    const kept = this.#folder.process.detached ?? [];
    const found = kept.map((disk): DetachedDisk => {
      const below = chainIn(layers, disk.file);
      return { kept: disk, size: below[0]?.virtualSize ?? 0, layers: below };
    });
    const listed = new Set([...present, ...kept.map(({ id = '' }) => id)]);
    for (const identity of new Set(diskOf.values())) {
      if (listed.has(identity)) continue;
      const own = layers.filter(({ path }) => diskOf.get(path) === identity);
      found.push({ size: Math.max(...own.map(({ virtualSize }) => virtualSize)), layers: own });
    }
    return found;
  }

  async #shown(): Promise<{ layers: LayerView[]; diskOf: ReadonlyMap<string, string> }> {
    const [facts, { needs, unreadable }] = [await this.facts(), await this.needs()];
    const may = verdicts(facts, needs);
    const judged = (layer: LayerModel) => inDoubt(may.get(layer.path) ?? layer.may, unreadable);
    const model = chainModel(facts, needs).map(layer => ({ ...layer, may: judged(layer) }));
    const names = new Map((await this.#tree()).nodes.map(({ id, name }) => [id, name]));
    return { layers: model.map(layer => viewOf(layer, names)), diskOf: await this.#disksOfLayers(model) };
  }

  /** Notes that layers may be garbage soon, so that a crash does not make us forget them. */
  async suspect(layers: readonly string[]): Promise<void> {
    await this.#folder.change(({ process }) => ({ process: { garbage: this.withSuspects(process.garbage, layers) } }));
  }

  withSuspects(garbage: readonly string[] = [], layers: readonly string[]): string[] | undefined {
    for (const layer of layers) this.#suspected.add(layer);
    const all = [...new Set([...garbage, ...layers.filter(isOwnLayer)])];
    // The oldest are found again when the folder is opened next.
    return all.length === 0 ? undefined : all.slice(-MOST_GARBAGE);
  }

  /** A chain from its top, as far as its files can be read. */
  async chain(top: string): Promise<string[]> {
    const recorded = this.#recorded().find(({ file }) => file === top)?.format;
    const chain: string[] = [];
    let at: string | undefined = top;
    let format = recorded ?? formatOf(top);
    while (at !== undefined && format !== undefined && !chain.includes(at)) {
      chain.push(at);
      const found: LayerFile | undefined = await this.#read(at, format).catch(() => undefined);
      at = found?.facts.backing;
      format = found?.below ?? (at === undefined ? undefined : formatOf(at));
    }
    return chain;
  }

  /**
   * Deletes what was suspected and is needed by nobody; what is needed is forgotten as garbage, so that whoever lets go of
   * it must suspect it then. Deletes nothing while it cannot be known what a checkpoint needs. Returns what was deleted.
   */
  collect(): Promise<readonly string[]> {
    const step = this.#collecting.then(() => this.#collect());
    this.#collecting = step.catch(() => undefined);
    return step;
  }

  /** Resolves when no layers are being deleted. */
  async collected(): Promise<void> {
    for (let last: unknown; last !== this.#collecting; ) {
      last = this.#collecting;
      await last;
    }
  }

  async #collect(): Promise<string[]> {
    this.#suspected.clear();
    const suspects = new Set(this.#folder.process.garbage ?? []);
    if (suspects.size === 0) return [];
    const deleted: string[] = [];
    for (;;) {
      const { needs, unreadable } = await this.needs();
      if (unreadable.length > 0) return deleted;
      const model = chainModel(await this.facts(), needs);
      // From the top: what a deleted layer stood on may be next.
      const next = model.filter(({ path, may }) => suspects.has(path) && isOwnLayer(path) && may.delete.allowed);
      if (next.length === 0) break;
      for (const { path } of next) {
        await this.#host.remove(path);
        suspects.delete(path);
        deleted.push(path);
      }
    }
    await this.#host.flush();
    await this.#folder.change(({ process }) => ({
      // What came meanwhile stays; what is still there is needed: whoever lets go of it names it again.
      process: { garbage: rest(process.garbage ?? [], this.#settled(deleted, suspects)) },
    }));
    return deleted;
  }

  /**
   * Deletes a layer that its owner wants gone, also one that others made. Errors: `missing`; `state` when someone needs it,
   * or nobody can tell who does.
   */
  remove(layer: string): Promise<void> {
    const step = this.#collecting.then(() => this.#remove(layer));
    this.#collecting = step.catch(() => undefined);
    return step;
  }

  async #remove(layer: string): Promise<void> {
    const { needs, unreadable } = await this.needs();
    const found = chainModel(await this.facts(), needs).find(({ path }) => path === layer);
    if (found === undefined) throw new AfterimageError('missing', 'There is no such layer', { layer });
    const refuse = (reason: string) => {
      throw new AfterimageError('state', `The layer cannot be deleted: ${reason}`, { layer });
    };
    if (!found.may.delete.allowed) refuse(found.may.delete.reason ?? 'it is needed');
    if (unreadable.length > 0) refuse(`what checkpoint ${unreadable[0]!.id} needs cannot be read`);
    const named = await namedByJournals(this.#folder.inside(DISKS));
    if (named.some(name => `${DISKS}/${name}` === layer)) refuse('a job that was interrupted names it');
    await this.#host.remove(layer);
    await this.#host.flush();
    await this.#folder.change(({ process }) => ({
      process: { garbage: rest(process.garbage ?? [], new Set([layer])) },
    }));
  }

  #settled(deleted: readonly string[], needed: ReadonlySet<string>): ReadonlySet<string> {
    return new Set([...deleted, ...[...needed].filter(name => !this.#suspected.has(name))]);
  }

  async #addFacts(path: string, format: LayerFormat | undefined, found: Map<string, LayerFacts>): Promise<void> {
    if (found.has(path)) return;
    const known = format ?? formatOf(path);
    if (known === undefined) return;
    try {
      const { facts, below } = await this.#read(path, known);
      found.set(path, facts);
      if (facts.backing !== undefined) await this.#addFacts(facts.backing, below, found);
    } catch (thrown) {
      // Not a layer, or damaged: it is nobody's, and so nobody deletes it. `verify` tells what is wrong with it.
      if (AfterimageError.from(thrown).kind === 'internal') throw thrown;
    }
  }

  /** Without a lock: the folder is ours, and headers change only in one write. */
  async #read(path: string, format: LayerFormat): Promise<LayerFile> {
    const allocatedSize = await this.#host.allocatedBytes(path);
    const file = await openReadonly(this.#folder.inside(path));
    try {
      if (format === 'raw') return { facts: { path, format, allocatedSize, virtualSize: await file.size() } };
      const { size: virtualSize, backing } = await readHeader(file);
      const facts = { path, format, allocatedSize, virtualSize };
      if (backing === undefined) return { facts };
      const below = backing.format === 'raw' || backing.format === 'qcow2' ? backing.format : undefined;
      return { facts: { ...facts, backing: backingPath(path, backing.name) }, below };
    } finally {
      await file.close();
    }
  }

  /** The identity of the disk that a layer belongs to: whose chain it is in, what a checkpoint or its name says. */
  async #disksOfLayers(model: readonly LayerModel[]): Promise<ReadonlyMap<string, string>> {
    const backing = new Map(model.map(layer => [layer.path, layer.backing]));
    const diskOf = new Map<string, string>();
    const claim = (top: string, disk: string) => {
      for (let at: string | undefined = top; at !== undefined && !diskOf.has(at); at = backing.get(at))
        diskOf.set(at, disk);
    };
    const present = withIdentities(this.#folder.record.disks);
    for (const [disk, file] of Object.entries(this.#folder.process.temporary ?? {})) {
      claim(file, diskIdentity(present[Number(disk)], Number(disk)));
    }
    for (const { file, id = '' } of [...present, ...(this.#folder.process.detached ?? [])]) claim(file, id);
    for (const { id } of (await this.#tree()).nodes) {
      const layers = await this.ofCheckpoint(id).catch(() => []);
      for (const { path, disk } of layers) claim(path, disk);
    }
    for (const { path } of model) {
      const named = /^disks\/disk(\d+)-/.exec(path);
      const disk = named === null ? undefined : present[Number(named[1])]?.id;
      if (disk !== undefined) claim(path, disk);
    }
    // What somebody else has put there is shown somewhere, or nobody would know what takes the room.
    const first = present[0]?.id;
    if (first !== undefined) for (const { path } of model) claim(path, first);
    return diskOf;
  }
}

/** A layer and what it stands on. */
function chainIn(layers: readonly LayerView[], top: string): LayerView[] {
  const chain: LayerView[] = [];
  for (let at: string | undefined = top; at !== undefined; at = chain.at(-1)?.backing) {
    const found = layers.find(({ path }) => path === at);
    if (found === undefined || chain.includes(found)) break;
    chain.push(found);
  }
  return chain;
}

/** What changes or removes a layer is put off while it cannot be known what a checkpoint stands on. */
function inDoubt(may: LayerModel['may'], unreadable: readonly { readonly id: string }[]): LayerModel['may'] {
  const [first] = unreadable;
  if (first === undefined) return may;
  const refused = { allowed: false, reason: `what checkpoint ${first.id} stands on cannot be read` };
  const { commit, delete: remove } = may;
  return { ...may, commit: commit.allowed ? refused : commit, delete: remove.allowed ? refused : remove };
}

/** The verdicts of the model, but that an active layer may be compacted and made larger where it is. */
function verdicts(facts: readonly LayerFacts[], needs: readonly Need[]): Map<string, LayerModel['may']> {
  const others = needs.filter(({ by }) => by !== 'machine');
  const free = new Map(chainModel(facts, others).map(({ path, may }) => [path, may]));
  return new Map(
    chainModel(facts, needs).map(({ path, may }) => {
      const { compact, resize } = free.get(path) ?? may;
      return [path, { ...may, compact, resize }];
    }),
  );
}

/** As Linux names virtio disks. */
export function deviceName(disk: number): string {
  return `vd${String.fromCharCode(0x61 + disk)}`;
}

/** Our own names end with the format; other files say it in the record or in what stands on them. */
function formatOf(path: string): LayerFormat | undefined {
  if (path.endsWith('.qcow2')) return 'qcow2';
  return path.endsWith('.raw') ? 'raw' : undefined;
}

function viewOf(layer: LayerModel, names: ReadonlyMap<string, string>): LayerView {
  const neededBy = layer.neededBy.map(({ by, id, direct }) => {
    const name = by === 'checkpoint' ? names.get(id) : undefined;
    return name === undefined ? { by, id, direct } : { by, id, name, direct };
  });
  const { path, format, virtualSize, allocatedSize, backing, overlays, may } = layer;
  const below = backing === undefined ? {} : { backing };
  return { path, format, virtualSize, allocatedSize, ...below, overlays, neededBy, may };
}

function rest(garbage: readonly string[], gone: ReadonlySet<string>): string[] | undefined {
  const left = garbage.filter(path => !gone.has(path));
  return left.length === 0 ? undefined : left;
}
