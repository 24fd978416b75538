// The app without windows: machines, settings, files, pages and what they ask. Lives in Electron's main process and in
// the browser host alike.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { AfterimageError, type PlainError } from '../../engine/base/errors.ts';
import type { Answer } from '../../preload/contract/afterimage.ts';
import { checkArguments, checkName } from '../../preload/contract/check.ts';
import type { AppEvent, Notice, PageCommand } from '../../preload/contract/events.ts';
import type { ChosenFile } from '../../preload/contract/files.ts';
import type { MachineSummary } from '../../preload/contract/library.ts';
import type { AppSettings, SettingsChange } from '../../preload/contract/settings.ts';
import { Activity } from './activity.ts';
import { type ConsoleChannel, Consoles, MOST_CONSOLES, type OpenConsole } from './consoles.ts';
import { Drags } from './drags.ts';
import { FileTokens } from './files.ts';
import { type Handlers, handlers } from './handlers.ts';
import { JsonFile } from './json-file.ts';
import type { Machines } from './machines.ts';
import { isRunning, type MenuAction, trayMenu } from './menus.ts';
import type { Page, Platform } from './platform.ts';
import { PutAway, resumePutAway } from './put-away.ts';
import { SettingsStore } from './settings-store.ts';
import { clearTemporaries } from './temporaries.ts';
import { quickSnapshot, settleForQuit, settleForSleep } from './whole-library.ts';

export interface AppParts {
  readonly platform: Platform;
  readonly machines: Machines;
  readonly version: string;
  readonly now: () => number;
  /** Errors of calls, once each. */
  readonly log: (text: string) => void;
}

/** A checkpoint being saved changes its machine's state all the time; the list has that of all machines. */
const ANNOUNCE_MILLISECONDS = 50;
/** Files that the system asked to open and no page has taken yet. */
const MOST_OPENED = 32;

export class App {
  readonly platform: Platform;
  readonly machines: Machines;
  readonly version: string;
  readonly settings: SettingsStore;
  readonly activity: Activity;
  readonly files = new FileTokens();
  readonly drags: Drags;
  readonly putAway: PutAway;
  readonly #parts: AppParts;
  readonly #consoles: Consoles;
  readonly #pages = new Map<number, PageConnection>();
  readonly #handlers: Handlers;
  readonly #unsubscribe: (() => void)[] = [];
  #opened: ChosenFile[] = [];
  #settled: Promise<void> = Promise.resolve();
  #focused: number | undefined;
  #tray = '';
  #announcing: NodeJS.Timeout | undefined;
  #announced = Number.NEGATIVE_INFINITY;

  private constructor(parts: AppParts, settings: SettingsStore, activity: (app: App) => Activity) {
    this.#parts = parts;
    this.platform = parts.platform;
    this.machines = parts.machines;
    this.version = parts.version;
    this.settings = settings;
    this.drags = new Drags(parts.machines, path.join(parts.platform.temporaryFolder, 'out'));
    this.putAway = new PutAway(new JsonFile(path.join(parts.platform.dataFolder, 'put-away.json')));
    this.activity = activity(this);
    this.#consoles = new Consoles(parts.machines);
    this.#handlers = handlers(this);
  }

  static async open(parts: AppParts): Promise<App> {
    const { platform } = parts;
    await clearTemporaries(platform.temporaryFolder);
    const settings = await SettingsStore.open(new JsonFile(path.join(platform.dataFolder, 'settings.json')));
    const history = await Activity.read(new JsonFile(path.join(platform.dataFolder, 'activity.json')));
    const app = new App(parts, settings, own =>
      history({
        now: parts.now,
        nameOf: machine => parts.machines.view().machines.find(one => one.id === machine)?.name,
        changed: entry => own.announce({ event: 'activity', entry }),
      }),
    );
    app.#listen();
    app.#apply(settings.settings);
    return app;
  }

  get hasTrash(): boolean {
    return this.platform.facts.host === 'electron';
  }

  /** A page that has been let in. `send` gets what is announced. */
  connect(page: Page, send: (event: AppEvent) => void): PageConnection {
    const connection = new PageConnection(this, page, send, this.#consoles, () => {
      this.#pages.delete(page.id);
      if (this.#focused === page.id) this.#focused = undefined;
    });
    this.#pages.set(page.id, connection);
    this.#focused ??= page.id;
    return connection;
  }

  /** Commands of menus go to this page from now on. */
  focus(page: Page): void {
    if (this.#pages.has(page.id)) this.#focused = page.id;
  }

  announce(event: AppEvent): void {
    for (const page of this.#pages.values()) page.send(event);
  }

  /** In passing: by the system where it does so, and by the pages otherwise. */
  notice(notice: Notice): void {
    this.announce({ event: 'notice', notice });
    const { title, text, machine } = notice;
    // Without a page the platform is the only one who can tell.
    const bySystem = this.platform.facts.notifications && this.settings.settings.notifications;
    if (!bySystem && this.#pages.size > 0) return;
    this.platform.notify({
      title,
      text,
      ...(machine === undefined ? {} : { activate: () => void this.perform({ do: 'open', machine }) }),
    });
  }

  async answer(page: Page, name: unknown, arguments_: unknown): Promise<Answer> {
    try {
      const known = checkName(name);
      const checked = checkArguments(known, arguments_);
      const handler = this.#handlers[known] as (checked: unknown, page: Page) => unknown;
      return { ok: true, result: await handler(checked, page) };
    } catch (thrown) {
      return { ok: false, error: this.report(thrown, typeof name === 'string' ? name.slice(0, 40) : 'call') };
    }
  }

  /** Writes an error to the log, where it is not the user's own, and gives it the shape that pages get. */
  report(thrown: unknown, during: string): PlainError {
    const error = AfterimageError.from(thrown);
    if (error.kind === 'internal') {
      const cause = error.cause instanceof Error ? error.cause : error;
      this.#parts.log(`${during}: ${cause.stack ?? cause.message}`);
    }
    const { kind, message, context } = error.toPlain();
    const shown = (value: (typeof context)[string]) => (typeof value === 'string' ? this.files.shown(value) : value);
    const named = Object.entries(context).map(([name, value]) => [name, shown(value)] as const);
    return { kind, message: this.files.shown(message), context: Object.fromEntries(named) };
  }

  machine(machine: string): MachineSummary {
    const found = this.machines.view().machines.find(one => one.id === machine);
    if (found === undefined) throw new AfterimageError('missing', 'There is no such machine', { machine });
    return found;
  }

  running(): readonly MachineSummary[] {
    return this.machines.view().machines.filter(isRunning);
  }

  /** A menu's or the tray's action; what goes wrong is told as a notice. */
  async perform(action: MenuAction): Promise<void> {
    try {
      await this.#perform(action);
    } catch (thrown) {
      const error = this.report(thrown, action.do);
      this.notice({ level: 'error', title: 'That did not work', text: error.message, error });
    }
  }

  quickSnapshot(machine: string): Promise<void> {
    return quickSnapshot(this, machine, this.#parts.now());
  }

  async changeSettings(change: SettingsChange): Promise<AppSettings> {
    const settings = await this.settings.change(change);
    this.#apply(settings);
    this.announce({ event: 'settings', settings });
    return settings;
  }

  async openFile(file: string): Promise<void> {
    const chosen = await this.files.add(file);
    const page = this.#focusedPage();
    if (page?.listensForFiles === true) page.send({ event: 'file-opened', file: chosen });
    else this.#opened = [...this.#opened, chosen].slice(-MOST_OPENED);
  }

  takeOpenedFiles(): readonly ChosenFile[] {
    const opened = this.#opened;
    this.#opened = [];
    return opened;
  }

  /** To the trash where there is one. */
  async discard(folder: string): Promise<void> {
    if (await this.platform.trash(folder)) return;
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }

  sleep(): Promise<void> {
    this.#settled = settleForSleep(this);
    return this.#settled;
  }

  /** Goes on with what the app itself has suspended. Returns the names of those machines. */
  async wake(): Promise<readonly string[]> {
    // A computer may have slept in the middle of it.
    await this.#settled;
    return await resumePutAway(this);
  }

  /** Settles the machines as the user wants it; false when the user thinks better of it. */
  mayQuit(): Promise<boolean> {
    return settleForQuit(this);
  }

  async close(): Promise<void> {
    for (const end of this.#unsubscribe) end();
    clearTimeout(this.#announcing);
    for (const page of this.#pages.values()) page.close();
    this.#consoles.close();
    await this.activity.close();
    await this.files.close();
    await this.drags.close();
    await this.machines.close();
    await rm(this.platform.temporaryFolder, { recursive: true, force: true });
  }

  #listen(): void {
    const { machines } = this;
    this.#unsubscribe.push(
      machines.onChange(() => this.#libraryChanged()),
      machines.onEvent((machine, happened) => {
        this.activity.happened(machine, happened);
        if (happened.event === 'console-output') return;
        this.announce({ event: 'machine-event', machine, happened });
        if (happened.event === 'checkpoint-failed' || happened.event === 'warning') this.#warn(machine, happened);
      }),
      machines.onConnection((machine, state, thrown) => {
        if (state === 'down' && thrown !== undefined) this.#crashed(machine, thrown);
      }),
    );
    this.#libraryChanged();
  }

  #warn(
    machine: string,
    { event, error }: { readonly event: 'checkpoint-failed' | 'warning'; readonly error: PlainError },
  ) {
    const name = this.machines.view().machines.find(one => one.id === machine)?.name ?? '';
    const title = event === 'warning' ? name : `No checkpoint of ${name}`;
    this.notice({ level: event === 'warning' ? 'warning' : 'error', title, text: error.message, machine, error });
  }

  #crashed(machine: string, thrown: unknown): void {
    const error = this.report(thrown, 'machine');
    const name = this.machines.view().machines.find(one => one.id === machine)?.name ?? '';
    this.activity.add(machine, { kind: 'crashed', error });
    const text = `${error.message}. Every checkpoint in its list is still there.`;
    this.notice({ level: 'error', title: `${name} has ended`, text, machine, error });
  }

  /** Any number of changes are one announcement, at once when there was none for a while. */
  #libraryChanged(): void {
    if (this.#announcing !== undefined) return;
    const wait = Math.max(0, this.#announced + ANNOUNCE_MILLISECONDS - performance.now());
    this.#announcing = setTimeout(() => {
      this.#announcing = undefined;
      this.#announced = performance.now();
      const library = this.machines.view();
      this.announce({ event: 'library', library });
      const tray = trayMenu(library.machines);
      const text = JSON.stringify(tray);
      if (text !== this.#tray) this.platform.setTray(tray);
      this.#tray = text;
    }, wait);
  }

  #apply(settings: AppSettings): void {
    this.platform.setTheme(settings.theme);
    const taken = this.platform.setShortcut(settings.quickSnapshotShortcut, () => void this.#snapshotByShortcut());
    if (!taken && settings.quickSnapshotShortcut !== '' && this.platform.facts.globalShortcut) {
      const text = `${settings.quickSnapshotShortcut} is used by another program; choose another in the settings`;
      this.notice({ level: 'warning', title: 'The shortcut for quick snapshots is taken', text });
    }
  }

  async #snapshotByShortcut(): Promise<void> {
    const running = this.running();
    if (running.length === 0) {
      this.notice({ level: 'info', title: 'No quick snapshot', text: 'No machine is running.' });
    }
    await Promise.all(running.map(({ id }) => this.perform({ do: 'quick-snapshot', machine: id })));
  }

  async #perform(action: MenuAction): Promise<void> {
    switch (action.do) {
      case 'page':
        return await this.#command(action.command, action.machine);
      case 'open':
        return await this.#command('show-machine', action.machine);
      case 'show':
      case 'new-window':
        return await this.platform.showWindow();
      case 'quit':
        return this.platform.quit();
      case 'quick-snapshot':
        return await this.quickSnapshot(action.machine);
      case 'start':
      case 'stop':
        await this.machines.call(action.machine, action.do, {});
    }
  }

  async #command(command: PageCommand, machine: string | undefined): Promise<void> {
    await this.platform.showWindow();
    this.#focusedPage()?.send({ event: 'command', command, ...(machine === undefined ? {} : { machine }) });
  }

  #focusedPage(): PageConnection | undefined {
    return this.#pages.get(this.#focused ?? -1) ?? this.#pages.values().next().value;
  }
}

/** One page's way into the app. */
export class PageConnection {
  readonly #app: App;
  readonly #page: Page;
  readonly #send: (event: AppEvent) => void;
  readonly #consoles: Consoles;
  readonly #open = new Set<OpenConsole>();
  readonly #closed: () => void;
  /** It has asked for files once, so it is there to hear of more. */
  listensForFiles = false;

  constructor(app: App, page: Page, send: (event: AppEvent) => void, consoles: Consoles, closed: () => void) {
    this.#app = app;
    this.#page = page;
    this.#send = send;
    this.#consoles = consoles;
    this.#closed = closed;
  }

  get page(): Page {
    return this.#page;
  }

  send(event: AppEvent): void {
    this.#send(event);
  }

  /** Never rejects. */
  call(name: unknown, arguments_: unknown): Promise<Answer> {
    if (name === 'opened-files') this.listensForFiles = true;
    return this.#app.answer(this.#page, name, arguments_);
  }

  /** Errors: `missing` for no such machine, `too-large` for more consoles than a page can need. */
  openConsole(machine: string, channel: ConsoleChannel): OpenConsole {
    if (this.#open.size >= MOST_CONSOLES)
      throw new AfterimageError('too-large', 'This page has too many consoles open');
    const opened = this.#consoles.open(machine, channel);
    this.#open.add(opened);
    return {
      receive: message => opened.receive(message),
      close: () => {
        this.#open.delete(opened);
        opened.close();
      },
    };
  }

  close(): void {
    for (const opened of this.#open) opened.close();
    this.#open.clear();
    this.#closed();
  }
}
