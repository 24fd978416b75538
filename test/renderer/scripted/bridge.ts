// `window.afterimage` without a host: one made-up machine, everything in the page.
import { AfterimageError } from '../../../engine/base/errors.ts';
import type { Answer, Bridge, PlatformFacts } from '../../../preload/contract/afterimage.ts';
import type { AppEvent } from '../../../preload/contract/events.ts';
import type { ActivityEntry, LibraryView } from '../../../preload/contract/library.ts';
import { type AppSettings, USUAL_SETTINGS } from '../../../preload/contract/settings.ts';
import { MACHINE, type MachineScript, ScriptedMachine } from './machine.ts';

export class ScriptedBridge implements Bridge {
  readonly platform: PlatformFacts;
  readonly machine: ScriptedMachine;
  /** Newest first. */
  entries: ActivityEntry[] = [];
  /** App calls that change something, for tests. */
  readonly calls: { readonly name: string; readonly arguments: unknown }[] = [];
  readonly #settings: AppSettings;
  readonly #listeners = new Set<(event: AppEvent) => void>();

  constructor(script: MachineScript, platform: Partial<PlatformFacts> = {}, settings: Partial<AppSettings> = {}) {
    this.#settings = { ...USUAL_SETTINGS, ...settings };
    this.platform = {
      host: 'browser',
      system: 'linux',
      canReveal: false,
      dragOut: 'download',
      notifications: false,
      globalShortcut: false,
      tray: false,
      ...platform,
    };
    this.machine = new ScriptedMachine(script, happened => {
      this.emit({ event: 'machine-event', machine: MACHINE, happened });
      if (happened.event === 'job') this.record({ kind: 'job', job: happened.job }, `job ${happened.job.job}`);
    });
  }

  emit(event: AppEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  record(what: ActivityEntry['what'], entry = `entry ${this.entries.length}`, at = Date.now()): void {
    const made: ActivityEntry = { entry, at, machine: MACHINE, machineName: this.machine.record.name, what };
    this.entries = [made, ...this.entries.filter(other => other.entry !== entry)];
    this.emit({ event: 'activity', entry: made });
  }

  async call(name: string, given: unknown): Promise<Answer> {
    try {
      // A structured clone of both, as on the way to a real host.
      return { ok: true, result: structuredClone(this.#answer(name, structuredClone(given))) };
    } catch (error) {
      return { ok: false, error: AfterimageError.from(error).toPlain() };
    }
  }

  #answer(name: string, given: unknown): unknown {
    if (name === 'machine-call') {
      const asked = given as { readonly name: string; readonly arguments: unknown };
      return this.machine.call(asked.name, asked.arguments);
    }
    const answer = this.#answers[name];
    if (answer === undefined) throw new AfterimageError('usage', `No such call: ${name}`);
    if (!['library', 'settings', 'activity', 'opened-files'].includes(name))
      this.calls.push({ name, arguments: given });
    return answer();
  }

  readonly #answers: Readonly<Record<string, () => unknown>> = {
    library: () => this.#library(),
    settings: () => this.#settings,
    activity: () => this.entries,
    'opened-files': () => [],
    'clear-activity': () => {
      this.entries = [];
      return {};
    },
    'clone-checkpoint': () => ({ machine: 'f'.repeat(32) }),
    'export-checkpoint': () => ({ saved: 'demo.afterimage-checkpoint', bytes: 211e6 }),
    'start-drag': () => ({ started: false }),
    'prepare-drag': () => ({ name: 'demo.afterimage-checkpoint', bytes: 211e6 }),
  };

  #library(): LibraryView {
    const { record, status } = this.machine;
    return {
      folder: '~/machines',
      machines: [{ id: MACHINE, name: record.name, folder: 'build-server', status, record, foreign: false }],
    };
  }

  onEvent(listener: (event: AppEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  console(): Promise<never> {
    return Promise.reject(new AfterimageError('unsupported', 'The scripted machine has no console'));
  }

  async chooseFile(): Promise<Answer> {
    return { ok: true, result: undefined };
  }

  async droppedFile(): Promise<Answer> {
    return { ok: false, error: new AfterimageError('unsupported', 'Nothing can be dropped here').toPlain() };
  }

  downloadUrl(machine: string, id: string): string {
    return `download/${machine}/${id}`;
  }
}
