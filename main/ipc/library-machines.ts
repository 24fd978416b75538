// The machine library as the app's handlers see it: a list that is always up to date, and a session for each machine.
import type { CheckpointTreeView, ImportPreview, ScreenText } from '../../engine/api/checkpoints.ts';
import type { ArgumentsOf, CallName, ControlEvent, GuestFiles, ResultOf } from '../../engine/api/control.ts';
import type { DiskCommand, DiskResult } from '../../engine/api/disk.ts';
import type { Identity, LayerFormat, MachineStatus } from '../../engine/api/machine.ts';
import { AfterimageError, type PlainError } from '../../engine/base/errors.ts';
import type { LibraryView, MachineSummary } from '../../preload/contract/library.ts';
import { EngineKeeper } from '../engines/keeper.ts';
import { isPowered, type MachineEntry, OFF } from '../machines/entries.ts';
import type { LibraryMachine, MachineLibrary } from '../machines/library.ts';
import { measureFolder } from '../machines/measure.ts';
import { type LibraryChange, LibraryWatch } from '../machines/watch.ts';
import type { KnownFacts } from './machine-facts.ts';
import type { DiskFacts, MachineFolderFacts, Machines, NewMachineRequest } from './machines.ts';

export interface LibraryMachinesParts {
  readonly library: MachineLibrary;
  readonly facts: KnownFacts;
  /** The default guest's files, built if they are not there. */
  readonly guest: () => Promise<GuestFiles>;
  readonly runDisk: (command: DiskCommand) => Promise<DiskResult>;
  readonly warn: (text: string) => void;
}

interface Known {
  entry: MachineEntry;
  /** As its process said last; undefined while we have no connection. */
  status: MachineStatus | undefined;
  foreign: boolean;
  /** Its process ended while it was on, and it was not started since. */
  crashed?: PlainError;
}

/** Changes of a machine's files come in groups. */
const MEASURE_MILLISECONDS = 500;

export class LibraryMachines implements Machines {
  readonly #parts: LibraryMachinesParts;
  /** By identity; broken folders by a made-up one that stays the same. */
  readonly #known = new Map<Identity, Known>();
  readonly #changeListeners = new Set<() => void>();
  readonly #eventListeners = new Set<(machine: Identity, event: ControlEvent) => void>();
  readonly #connectionListeners = new Set<(machine: Identity, state: 'up' | 'down', error?: unknown) => void>();
  readonly #toMeasure = new Map<Identity, NodeJS.Timeout>();
  readonly #keeper: EngineKeeper;
  #watch: LibraryWatch | undefined;
  #problem: AfterimageError | undefined;

  private constructor(parts: LibraryMachinesParts) {
    this.#parts = parts;
    // A machine whose process crashed has lost its memory; whether it boots again, its user decides.
    this.#keeper = new EngineKeeper({
      open: folder => parts.library.open(folder),
      onEvent: (folder, event) => this.#happened(folder, event),
      onUp: (folder, status, own) => this.#up(folder, status, own),
      onDown: (folder, error) => this.#down(folder, error),
    });
  }

  static async open(parts: LibraryMachinesParts): Promise<LibraryMachines> {
    const machines = new LibraryMachines(parts);
    const list = () => parts.library.list();
    let before: readonly MachineEntry[] = [];
    try {
      before = await list();
    } catch (thrown) {
      machines.#problem = AfterimageError.from(thrown);
    }
    for (const entry of before) machines.#take(entry);
    machines.#watch = await LibraryWatch.start(
      {
        folder: parts.library.folder,
        list,
        onChange: change => machines.#apply(change),
        onError: thrown => {
          machines.#problem = AfterimageError.from(thrown);
          machines.#changed();
        },
      },
      before,
    );
    return machines;
  }

  view(): LibraryView {
    return {
      folder: this.#parts.library.folder,
      machines: [...this.#known]
        .map(([id, known]) => this.#summary(id, known))
        .sort((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true })),
      ...(this.#problem === undefined ? {} : { problem: this.#problem.toPlain() }),
    };
  }

  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener);
    return () => void this.#changeListeners.delete(listener);
  }

  onEvent(listener: (machine: Identity, event: ControlEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => void this.#eventListeners.delete(listener);
  }

  onConnection(listener: (machine: Identity, state: 'up' | 'down', error?: unknown) => void): () => void {
    this.#connectionListeners.add(listener);
    return () => void this.#connectionListeners.delete(listener);
  }

  async call<Name extends CallName>(
    machine: Identity,
    name: Name,
    arguments_: ArgumentsOf<Name>,
  ): Promise<ResultOf<Name>> {
    const { entry } = this.#of(machine);
    if (name === 'tree') {
      // Whoever asks, the list is told too: nobody announces the checkpoints of a machine that is off.
      const tree = await this.#keeper.call(entry.folder, 'tree', {});
      this.#treeTold(machine, tree);
      return tree as ResultOf<Name>;
    }
    if (name !== 'start' && name !== 'restore') return await this.#keeper.call(entry.folder, name, arguments_);
    const needsGuest = entry.kind === 'machine' && entry.record.boot.kind === 'guest';
    const guest = needsGuest ? await this.#parts.guest() : undefined;
    const complete = (guest === undefined ? arguments_ : { ...arguments_, guest }) as ArgumentsOf<Name>;
    return await this.#keeper.call(entry.folder, name, complete);
  }

  async create(request: NewMachineRequest): Promise<Identity> {
    return this.#made(await this.#parts.library.create(request));
  }

  async rename(machine: Identity, name: string): Promise<void> {
    await this.#parts.library.rename(this.#of(machine).entry.folder, name);
    this.#watch?.refresh();
  }

  async duplicate(machine: Identity, name: string): Promise<Identity> {
    return this.#made(await this.#parts.library.duplicate(this.#of(machine).entry.folder, name));
  }

  async clone(machine: Identity, checkpoint: Identity, name: string): Promise<Identity> {
    return this.#made(await this.#parts.library.clone(this.#of(machine).entry.folder, checkpoint, name));
  }

  async facts(machine: Identity): Promise<MachineFolderFacts> {
    const { folder } = this.#of(machine).entry;
    const { bytes, checkpoints, disks } = await measureFolder(folder);
    return { folder, bytes, checkpoints, disks };
  }

  async remove(machine: Identity, discard: (folder: string) => Promise<void>): Promise<void> {
    const { entry } = this.#of(machine);
    await this.#parts.library.remove(entry.folder, { force: true, trash: discard });
    this.#forget(machine);
    this.#watch?.refresh();
  }

  preview(file: string): Promise<ImportPreview> {
    return this.#parts.library.preview(file);
  }

  async diskFacts(file: string, format: LayerFormat): Promise<DiskFacts> {
    const result = await this.#parts.runDisk({ kind: 'info', file, format, backingChain: false });
    const layer = result.kind === 'info' ? result.layers[0] : undefined;
    if (layer === undefined) throw new AfterimageError('internal', 'The disk process answered something else');
    const { virtualSize, allocatedSize, backing } = layer;
    return { format, virtualSize, allocatedSize, ...(backing === undefined ? {} : { backing }) };
  }

  async import(file: string, name: string | undefined): Promise<{ machine: Identity; name: string }> {
    const made = await this.#parts.library.import(file, name);
    return { machine: this.#made(made), name: made.record.name };
  }

  setScreen(machine: Identity, screen: ScreenText): void {
    this.#parts.facts.set(machine, { screen });
    this.#changed();
  }

  screen(machine: Identity): ScreenText | undefined {
    return this.#parts.facts.get(machine).screen;
  }

  async close(): Promise<void> {
    await this.#watch?.close();
    for (const timer of this.#toMeasure.values()) clearTimeout(timer);
    this.#keeper.close();
    await this.#parts.facts.flush();
  }

  #of(machine: Identity): Known {
    const known = this.#known.get(machine);
    if (known === undefined) throw new AfterimageError('missing', 'There is no such machine', { machine });
    return known;
  }

  /** It is in the list at once; the watch need not find it first. */
  #made({ folder, record }: LibraryMachine): Identity {
    // What the watch has found already says more: clones and imports are suspended.
    if (!this.#known.has(record.id)) this.#take({ kind: 'machine', folder, record, status: OFF });
    this.#watch?.refresh();
    return record.id;
  }

  #apply(change: LibraryChange): void {
    if (change.kind === 'library-vanished') {
      // Also what the watch has not seen yet. What is known of them stays: they may come back.
      this.#known.clear();
      this.#problem = new AfterimageError('missing', 'The folder of the machine library is not there any more', {
        path: this.#parts.library.folder,
      });
    } else if (change.kind === 'library-appeared') this.#problem = undefined;
    else if (change.kind === 'vanished') {
      const id = idOf(change.entry);
      // It may have been moved, and be known from its new place.
      const known = this.#known.get(id);
      if (known?.entry.folder === change.entry.folder) this.#vanished(id, known);
    } else if ('entry' in change) {
      this.#problem = undefined;
      this.#take(change.entry);
    }
    this.#changed();
  }

  #take(entry: MachineEntry): void {
    const id = idOf(entry);
    const known = this.#known.get(id);
    if (known !== undefined) known.entry = entry;
    else this.#known.set(id, { entry, status: undefined, foreign: false });
    if (entry.kind === 'machine' && isPowered(entry.status)) {
      // Somebody else runs it: we want to hear of it. If it has just ended, so be it.
      this.#keeper.follow(entry.folder).catch(thrown => this.#parts.warn(AfterimageError.from(thrown).message));
    }
    this.#measureSoon(id);
    this.#changed();
  }

  #up(folder: string, status: MachineStatus, own: boolean): void {
    const [id, known] = this.#in(folder);
    if (id === undefined) return;
    known.status = status;
    known.foreign = !own;
    for (const listener of this.#connectionListeners) listener(id, 'up');
    this.#happened(folder, { event: 'status', status });
  }

  #down(folder: string, error: AfterimageError | undefined): void {
    const [id, known] = this.#in(folder);
    if (id === undefined) return;
    if (error !== undefined) known.crashed = error.toPlain();
    known.status = undefined;
    known.foreign = false;
    if (known.entry.kind === 'machine') known.entry = { ...known.entry, status: OFF };
    for (const listener of this.#connectionListeners) listener(id, 'down', error);
    this.#watch?.refresh();
    this.#changed();
  }

  #in(folder: string): readonly [Identity, Known] | readonly [undefined, undefined] {
    for (const pair of this.#known) if (pair[1].entry.folder === folder) return pair;
    return [undefined, undefined];
  }

  #happened(folder: string, event: ControlEvent): void {
    const [id, known] = this.#in(folder);
    if (id === undefined) return;
    for (const listener of this.#eventListeners) listener(id, event);
    if (event.event === 'console-output') return;
    if (event.event === 'status') {
      known.status = event.status;
      if (isPowered(event.status)) delete known.crashed;
    }
    if (event.event === 'machine' && known.entry.kind === 'machine') {
      known.entry = { ...known.entry, record: event.machine };
    }
    if (event.event === 'checkpoint' || event.event === 'tree') this.#treeChanged(id);
    const ended = event.event === 'status' && !isPowered(event.status);
    if (event.event === 'disks' || ended) this.#measureSoon(id);
    // Its record says whether it was suspended.
    if (ended) this.#watch?.refresh();
    this.#changed();
  }

  #treeChanged(id: Identity): void {
    this.#measureSoon(id);
    // The end of the connection is told by itself.
    this.call(id, 'tree', {}).catch(() => {});
  }

  #treeTold(id: Identity, { nodes }: CheckpointTreeView): void {
    const newest = nodes.reduce<(typeof nodes)[number] | undefined>(
      (best, node) => (best === undefined || node.takenAt > best.takenAt ? node : best),
      undefined,
    );
    const lastCheckpoint = newest && { id: newest.id, name: newest.name, takenAt: newest.takenAt };
    const before = this.#parts.facts.get(id);
    const { lastCheckpoint: last } = before;
    if (before.checkpoints === nodes.length && last?.id === newest?.id && last?.name === newest?.name) return;
    this.#parts.facts.set(id, { lastCheckpoint, checkpoints: nodes.length });
    this.#changed();
  }

  #measureSoon(id: Identity): void {
    if (this.#toMeasure.has(id)) return;
    const timer = setTimeout(() => {
      this.#toMeasure.delete(id);
      const folder = this.#known.get(id)?.entry.folder;
      if (folder === undefined) return;
      measureFolder(folder).then(
        ({ bytes, checkpoints }) => {
          const before = this.#parts.facts.get(id);
          if (before.bytes === bytes && before.checkpoints !== undefined) return;
          // Files are not checkpoints: some only serve others. The machine's process knows, once it was asked.
          this.#parts.facts.set(id, { bytes, checkpoints: before.checkpoints ?? checkpoints });
          this.#changed();
        },
        // A folder that has just gone.
        () => {},
      );
    }, MEASURE_MILLISECONDS);
    timer.unref();
    this.#toMeasure.set(id, timer);
  }

  /** Its own process says the same, but perhaps to nobody any more. */
  #vanished(id: Identity, { entry, status }: Known): void {
    if (status !== undefined && isPowered(status)) {
      const text = 'Its folder was deleted or moved while it ran, so it is switched off';
      this.#happened(entry.folder, {
        event: 'warning',
        error: new AfterimageError('missing', text, { folder: entry.folder }).toPlain(),
      });
    }
    this.#forget(id);
  }

  #forget(id: Identity): void {
    this.#known.delete(id);
    this.#parts.facts.forget(id);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#changeListeners) listener();
  }

  #summary(id: Identity, { entry, status, foreign, crashed }: Known): MachineSummary {
    const facts = this.#parts.facts.get(id);
    if (entry.kind === 'broken') {
      const name = entry.folder.split(/[\\/]/).at(-1) ?? '';
      return { id, name, folder: entry.folder, status: OFF, problem: entry.problem, foreign: false, ...facts };
    }
    const { record, folder, suspended } = entry;
    // Our own connection knows best; without one the process has ended, or belongs to somebody who starts it now.
    const told = status ?? entry.status;
    const how: MachineStatus =
      crashed !== undefined && told.state === 'off' ? { ...told, state: 'failed', error: crashed } : told;
    const asleep = suspended === undefined || isPowered(how) ? {} : { suspended };
    return { id, name: record.name, folder, status: how, record, foreign, ...asleep, ...facts };
  }
}

/** A folder without a record has no identity; it is known by its path. */
function idOf(entry: MachineEntry): Identity {
  if (entry.kind === 'machine') return entry.record.id;
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (const unit of Buffer.from(entry.folder)) {
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ low, 0x85ebca6b);
  }
  const word = (value: number) => (value >>> 0).toString(16).padStart(8, '0');
  return `${word(low)}${word(high)}${word(low ^ 0x5bd1e995)}${word(high ^ 0x27d4eb2f)}`;
}
