// Machines without processes, for tests of all that stands on them. A console echoes what is typed.
import { writeFile } from 'node:fs/promises';
import type { ImportPreview, ScreenText } from '../../engine/api/checkpoints.ts';
import type { ArgumentsOf, CallName, ControlEvent, ResultOf } from '../../engine/api/control.ts';
import { type Identity, type MachineState, type MachineStatus, USUAL_AUTOMATIC } from '../../engine/api/machine.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { LibraryView, MachineSummary } from '../../preload/contract/library.ts';
import type { DiskFacts, MachineFolderFacts, Machines, NewMachineRequest } from './machines.ts';

interface FakeMachine {
  summary: MachineSummary;
  readonly checkpoints: { readonly id: Identity; readonly name: string; readonly takenAt: number }[];
}

export interface FakeCall {
  readonly machine: Identity;
  readonly name: string;
  readonly arguments: unknown;
}

export class FakeMachines implements Machines {
  /** Everything that was asked, in order. */
  readonly calls: FakeCall[] = [];
  /** Makes a call fail, or wait, or answer something else. */
  readonly answers = new Map<string, (arguments_: never) => unknown>();
  readonly #machines = new Map<Identity, FakeMachine>();
  readonly #changed = new Set<() => void>();
  readonly #events = new Set<(machine: Identity, event: ControlEvent) => void>();
  readonly #connections = new Set<(machine: Identity, state: 'up' | 'down', error?: unknown) => void>();
  #last = 0;
  closed = false;

  add(name: string, state: MachineState = 'off', request: Partial<NewMachineRequest> = {}): Identity {
    const id = this.#identity();
    const { memory = 512 * 1024 * 1024, boot = { kind: 'guest' } } = request;
    const record = { id, createdAt: 0, name, memory, boot, disks: [], automatic: USUAL_AUTOMATIC };
    const summary = { id, name, folder: `/library/${name}`, status: status(state), record, foreign: false };
    this.#machines.set(id, { summary, checkpoints: [] });
    this.#announce();
    return id;
  }

  change(machine: Identity, change: Partial<MachineSummary>): void {
    const found = this.#of(machine);
    found.summary = { ...found.summary, ...change };
    this.#announce();
  }

  emit(machine: Identity, event: ControlEvent): void {
    for (const listener of this.#events) listener(machine, event);
  }

  print(machine: Identity, text: string): void {
    this.emit(machine, { event: 'console-output', bytes: new TextEncoder().encode(text) });
  }

  /** As when the process of a running machine is killed. */
  crash(machine: Identity): void {
    this.change(machine, { status: status('off') });
    const error = new AfterimageError('io', "The machine's process was killed");
    for (const listener of this.#connections) listener(machine, 'down', error);
  }

  view(): LibraryView {
    return { folder: '/library', machines: [...this.#machines.values()].map(({ summary }) => summary) };
  }

  onChange(listener: () => void): () => void {
    this.#changed.add(listener);
    return () => void this.#changed.delete(listener);
  }

  onEvent(listener: (machine: Identity, event: ControlEvent) => void): () => void {
    this.#events.add(listener);
    return () => void this.#events.delete(listener);
  }

  onConnection(listener: (machine: Identity, state: 'up' | 'down', error?: unknown) => void): () => void {
    this.#connections.add(listener);
    return () => void this.#connections.delete(listener);
  }

  async call<Name extends CallName>(
    machine: Identity,
    name: Name,
    arguments_: ArgumentsOf<Name>,
  ): Promise<ResultOf<Name>> {
    const found = this.#of(machine);
    this.calls.push({ machine, name, arguments: arguments_ });
    const own = this.answers.get(name);
    const result = own === undefined ? this.#usual(found, name, arguments_) : own(arguments_ as never);
    return (await result) as ResultOf<Name>;
  }

  async create(request: NewMachineRequest): Promise<Identity> {
    return this.add(request.name, 'off', request);
  }

  async rename(machine: Identity, name: string): Promise<void> {
    this.change(machine, { name });
  }

  async duplicate(machine: Identity, name: string): Promise<Identity> {
    this.#of(machine);
    return this.add(name);
  }

  async clone(machine: Identity, _checkpoint: Identity, name: string): Promise<Identity> {
    this.#of(machine);
    return this.add(name);
  }

  async facts(machine: Identity): Promise<MachineFolderFacts> {
    const { summary, checkpoints } = this.#of(machine);
    return { folder: summary.folder, bytes: 4096, checkpoints: checkpoints.length, disks: 1 };
  }

  async remove(machine: Identity, discard: (folder: string) => Promise<void>): Promise<void> {
    await discard(this.#of(machine).summary.folder);
    this.#machines.delete(machine);
    this.#announce();
  }

  async preview(): Promise<ImportPreview> {
    return {
      name: 'from afar',
      note: '',
      takenAt: 0,
      memory: 0,
      machineName: 'Debian',
      disks: [],
      bytes: 1,
      writer: '',
    };
  }

  async diskFacts(_file: string, format: 'raw' | 'qcow2'): Promise<DiskFacts> {
    return { format, virtualSize: 1024, allocatedSize: 512 };
  }

  async import(_file: string, name: string | undefined): Promise<{ machine: Identity; name: string }> {
    const given = name ?? 'Debian';
    return { machine: this.add(given), name: given };
  }

  setScreen(machine: Identity, screen: ScreenText): void {
    this.change(machine, { screen });
  }

  screen(machine: Identity): ScreenText | undefined {
    return this.#of(machine).summary.screen;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async #usual(found: FakeMachine, name: CallName, arguments_: unknown): Promise<unknown> {
    const { id } = found.summary;
    switch (name) {
      case 'start':
      case 'resume':
        return this.#become(id, 'running');
      case 'pause':
        return this.#become(id, 'paused');
      case 'stop':
      case 'suspend':
        return this.#become(id, 'off');
      case 'status':
        return found.summary.status;
      case 'checkpoint':
        return this.#checkpoint(found, (arguments_ as { readonly name?: string }).name ?? 'checkpoint');
      case 'tree':
        return { nodes: found.checkpoints, hiddenBytes: 0 };
      case 'details':
        return found.checkpoints.find(one => one.id === (arguments_ as { id: string }).id) ?? missing();
      case 'export':
        await writeFile((arguments_ as { file: string }).file, 'a checkpoint');
        return { bytes: 12 };
      case 'console-input':
        this.emit(id, { event: 'console-output', bytes: (arguments_ as { bytes: Uint8Array }).bytes });
        return {};
      case 'memory':
        return { totalPages: 3, first: 0, pages: new Uint8Array([0, 1, 2]), group: 1, counts: {}, virtualized: [] };
      default:
        return {};
    }
  }

  #become(machine: Identity, state: MachineState): MachineStatus {
    this.change(machine, { status: status(state) });
    this.emit(machine, { event: 'status', status: status(state) });
    return status(state);
  }

  #checkpoint(found: FakeMachine, name: string) {
    const taken = {
      id: this.#identity(),
      name,
      pauseMicroseconds: 312,
      durationMilliseconds: 5,
      pages: 10,
      zeroPages: 1,
      bytes: 40_960,
      pendingRequests: 0,
      incremental: false,
    };
    found.checkpoints.push({ id: taken.id, name, takenAt: found.checkpoints.length });
    this.emit(found.summary.id, { event: 'checkpoint', taken });
    this.emit(found.summary.id, { event: 'tree' });
    return taken;
  }

  #identity(): Identity {
    this.#last += 1;
    return this.#last.toString(16).padStart(32, '0');
  }

  #of(machine: Identity): FakeMachine {
    return this.#machines.get(machine) ?? missing();
  }

  #announce(): void {
    for (const listener of this.#changed) listener();
  }
}

function status(state: MachineState): MachineStatus {
  return { state, pid: state === 'off' ? 0 : 1 };
}

function missing(): never {
  throw new AfterimageError('missing', 'There is no such thing');
}
