// `window.afterimage` for the whole page without a host: a made-up library whose machines change state as asked, and
// whose consoles answer. Nothing is random and nothing takes time but what a test asks for.
import type { TakenCheckpoint } from '../../../../engine/api/checkpoints.ts';
import type { MachineStatus } from '../../../../engine/api/machine.ts';
import { AfterimageError, type PlainError } from '../../../../engine/base/errors.ts';
import type { Answer, Bridge, PlatformFacts } from '../../../../preload/contract/afterimage.ts';
import type { ConsolePort } from '../../../../preload/contract/console.ts';
import type { AppEvent } from '../../../../preload/contract/events.ts';
import { type ChosenFile, type FilePreview, fileKind } from '../../../../preload/contract/files.ts';
import type { ActivityEntry, MachineSummary } from '../../../../preload/contract/library.ts';
import { USUAL_SETTINGS } from '../../../../preload/contract/settings.ts';
import { ScriptedMachine } from '../../scripted/machine.ts';
import { usualActivity } from './scripted-activity.ts';
import { ScriptedConsole } from './scripted-console.ts';
import { DEBIAN, identityOf, NOW, usualMachines } from './scripted-library.ts';

/** What the scripted answers take from the arguments of any call. */
interface Given {
  readonly machine: string;
  readonly name: string;
  readonly id: string;
  readonly start?: boolean;
  readonly change?: object;
}

/** What the views of a machine only read. */
const READING: ReadonlySet<string> = new Set([
  'tree',
  'details',
  'compare',
  'memory',
  'disks',
  'detached-disks',
  'disk-map',
  'disk-job-preview',
  'jobs',
]);

export class ScriptedHost implements Bridge {
  readonly platform: PlatformFacts;
  machines: MachineSummary[];
  /** Everything that was asked for and may change something. */
  readonly calls: { readonly name: string; readonly arguments: unknown }[] = [];
  /** Calls of these names fail with this error. */
  readonly failures = new Map<string, AfterimageError>();
  /** Answers wait until a test lets them go. */
  readonly held = new Map<string, Promise<void>>();
  readonly consoles = new Map<string, ScriptedConsole>();
  chosen: ChosenFile | undefined;
  preview: FilePreview = { kind: 'unknown', bytes: 12_345 };
  /** What has happened, as the activity view lists it. */
  activity: readonly ActivityEntry[];
  /** Checkpoints, disks and memory, the same for every machine. */
  readonly parts: ScriptedMachine;
  #settings = { ...USUAL_SETTINGS };
  #listeners = new Set<(event: AppEvent) => void>();
  #count = 0;

  constructor(
    machines: readonly MachineSummary[] = usualMachines(),
    platform: Partial<PlatformFacts> = {},
    checkpoints = 24,
  ) {
    this.machines = [...machines];
    this.activity = usualActivity(this.machines);
    this.parts = new ScriptedMachine({ checkpoints }, happened => {
      // Its own status is not the library's.
      if (happened.event !== 'status') this.emit({ event: 'machine-event', machine: DEBIAN, happened });
    });
    this.platform = {
      host: 'electron',
      system: 'linux',
      canReveal: true,
      dragOut: 'native',
      notifications: true,
      globalShortcut: true,
      tray: true,
      ...platform,
    };
  }

  fail(name: string, error: PlainError): void {
    this.failures.set(name, AfterimageError.fromPlain(error));
  }

  emit(event: AppEvent): void {
    for (const listener of this.#listeners) listener(structuredClone(event));
  }

  setStatus(id: string, change: Partial<MachineStatus>): MachineStatus {
    const machine = this.#machine(id);
    const status = { ...machine.status, ...change };
    this.machines = this.machines.map(one => (one.id === id ? { ...one, status } : one));
    this.emit({ event: 'machine-event', machine: id, happened: { event: 'status', status } });
    return status;
  }

  async call(name: string, given: unknown): Promise<Answer> {
    const arguments_ = structuredClone(given) as Given;
    const asked = name === 'machine-call' ? arguments_.name : name;
    await this.held.get(asked);
    try {
      const failure = this.failures.get(asked);
      if (failure !== undefined) throw failure;
      const result = name === 'machine-call' ? this.#machineCall(arguments_ as never) : this.#appCall(name, arguments_);
      return { ok: true, result: structuredClone(result) };
    } catch (error) {
      return { ok: false, error: AfterimageError.from(error).toPlain() };
    }
  }

  onEvent(listener: (event: AppEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async console(machine: string): Promise<ConsolePort> {
    const console = new ScriptedConsole(this.#machine(machine));
    this.consoles.set(machine, console);
    return console;
  }

  async chooseFile(): Promise<Answer> {
    return { ok: true, result: this.chosen };
  }

  async droppedFile(file: File): Promise<Answer> {
    const dropped: ChosenFile = {
      token: `file-${identityOf(900)}`,
      name: file.name,
      bytes: file.size,
      kind: fileKind(file.name),
    };
    return { ok: true, result: dropped };
  }

  downloadUrl(machine: string, id: string): string {
    return `download/${machine}/${id}`;
  }

  #machine(id: string): MachineSummary {
    const machine = this.machines.find(one => one.id === id);
    if (machine === undefined) throw new AfterimageError('missing', 'There is no such machine');
    return machine;
  }

  #changed(machines: readonly MachineSummary[]): void {
    this.machines = [...machines].sort((a, b) => a.name.localeCompare(b.name));
    this.emit({ event: 'library', library: this.#library() });
  }

  #library() {
    return { folder: '/home/ada/.local/share/afterimage/machines', machines: this.machines };
  }

  #appCall(name: string, given: Given): unknown {
    const quiet: Readonly<Record<string, () => unknown>> = {
      library: () => this.#library(),
      settings: () => this.#settings,
      'opened-files': () => [],
      activity: () => this.activity,
      'report-screen': () => ({}),
      about: () => ({
        version: '0.1.0',
        versions: { electron: '45.4.1', chromium: '152.0', node: '24.21.0' },
        platform: 'Linux x86-64',
        libraryFolder: this.#library().folder,
      }),
      'deletion-preview': () => {
        const { name: called, folder, bytes, checkpoints, status } = this.#machine(given.machine);
        const running = status.state !== 'off';
        return {
          name: called,
          folder,
          bytes: bytes ?? 0,
          checkpoints: checkpoints ?? 0,
          disks: 1,
          trash: true,
          running,
        };
      },
      'preview-file': () => this.preview,
    };
    const answer = quiet[name];
    if (answer !== undefined) return answer();
    this.calls.push({ name, arguments: given });
    const { machine: id, name: newName } = given;
    switch (name) {
      case 'change-settings':
        this.#settings = { ...this.#settings, ...given.change };
        return this.#settings;
      case 'create-machine':
      case 'duplicate-machine':
      case 'import-checkpoint':
        return this.#add(newName, given.start === true);
      case 'rename-machine':
        this.#changed(
          this.machines.map(one =>
            one.id === id ? { ...one, name: newName, record: { ...one.record!, name: newName } } : one,
          ),
        );
        return {};
      case 'delete-machine':
        this.#changed(this.machines.filter(one => one.id !== id));
        return {};
      default:
        return {};
    }
  }

  #add(name: string, start: boolean): unknown {
    const [model] = usualMachines();
    const id = identityOf(500 + this.machines.length);
    const status: MachineStatus = { state: start ? 'running' : 'off', pid: 1, startedAt: NOW };
    const { lastCheckpoint: _, screen: __, ...rest } = model!;
    this.#changed([
      ...this.machines,
      { ...rest, id, name, status, record: { ...model!.record!, id, name }, checkpoints: 0 },
    ]);
    return { machine: id, name };
  }

  #machineCall({ machine, name, arguments: given }: { machine: string; name: string; arguments: Given }): unknown {
    const states: Readonly<Record<string, MachineStatus['state']>> = {
      start: 'running',
      stop: 'off',
      suspend: 'off',
      pause: 'paused',
      resume: 'running',
      reset: 'running',
    };
    const { status } = this.#machine(machine);
    if (name === 'status') return status;
    if (name === 'machine') return this.#machine(machine).record;
    if (name === 'disk-removal') return { device: 'vda', layers: 1, bytes: 4_000_000, checkpoints: 2 };
    if (READING.has(name)) return this.parts.call(name, given);
    this.calls.push({ name, arguments: given });
    if (name === 'disk-job') return this.parts.call(name, given);
    if (name === 'checkpoint') return this.#checkpoint(machine, given);
    if (name === 'restore') {
      this.setStatus(machine, { position: given.id, startedAt: status.startedAt! + 1 });
      return { id: given.id, milliseconds: 42 };
    }
    const state = states[name];
    if (state === undefined) return {};
    const console = this.consoles.get(machine);
    console?.setState(state === 'off' ? 'idle' : 'running');
    return this.setStatus(machine, { state, ...(name === 'suspend' && { ended: { reason: 'suspend', code: 0 } }) });
  }

  #checkpoint(machine: string, given: Given): TakenCheckpoint {
    this.#count += 1;
    const taken: TakenCheckpoint = {
      id: identityOf(700 + this.#count),
      name: given.name ?? `Checkpoint ${this.#count}`,
      pauseMicroseconds: 412,
      durationMilliseconds: 830,
      pages: 9000,
      zeroPages: 100_000,
      bytes: 36_100_000,
      pendingRequests: 2,
      incremental: true,
    };
    const { taking: _, ...rest } = this.#machine(machine).status;
    this.machines = this.machines.map(one => (one.id === machine ? { ...one, status: rest } : one));
    this.emit({ event: 'machine-event', machine, happened: { event: 'status', status: rest } });
    this.emit({ event: 'machine-event', machine, happened: { event: 'checkpoint', taken } });
    return taken;
  }
}
