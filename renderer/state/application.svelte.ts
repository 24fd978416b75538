// Everything that views share, made once; they take it from the context.
import { createContext } from 'svelte';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { Afterimage } from '../../preload/contract/client.ts';
import { explain } from '../text/errors.ts';
import { Dialogs } from './dialogs.svelte.ts';
import { MachineList } from './machine-list.svelte.ts';
import { Notifications } from './notifications.svelte.ts';
import { Router } from './router.svelte.ts';
import { Settings } from './settings.svelte.ts';

/** As the host has it before anybody changes it. */
const USUAL_FONT_SIZE = 14;

type Connection = 'there' | 'lost' | 'refused';

export class Application {
  readonly app: Afterimage;
  readonly machines: MachineList;
  readonly settings: Settings;
  readonly notifications = new Notifications();
  readonly dialogs = new Dialogs();
  readonly router = new Router();
  /** Only in a browser: the host is out of reach, or does not know this page. */
  #connection = $state<Connection>('there');

  constructor(app: Afterimage) {
    this.app = app;
    this.machines = new MachineList(app);
    this.settings = new Settings(app);
  }

  get lost(): boolean {
    return this.#connection === 'lost';
  }

  /** The host does not know this page: it can do nothing until the host's address is opened. */
  get refused(): boolean {
    return this.#connection === 'refused';
  }

  async load(): Promise<void> {
    await Promise.all([this.machines.load(), this.attempt(() => this.settings.load())]);
  }

  /** The size of console text, one pixel at a time. */
  async zoomConsole(how: 'zoom-in' | 'zoom-out' | 'zoom-reset'): Promise<void> {
    const size = this.settings.values?.consoleFontSize;
    if (size === undefined) return;
    const to = how === 'zoom-reset' ? USUAL_FONT_SIZE : Math.min(32, Math.max(8, size + (how === 'zoom-in' ? 1 : -1)));
    if (to !== size) await this.attempt(() => this.settings.change({ consoleFontSize: to }));
  }

  setConnection(connection: Connection): void {
    this.#connection = connection;
  }

  /** Tells the user of an error: what happened, and what to do. */
  report(error: unknown, title?: string): void {
    const plain = AfterimageError.from(error).toPlain();
    const { text, advice } = explain(plain);
    this.notifications.show({
      tone: 'error',
      title: title ?? text,
      text: [title === undefined ? undefined : `${text}.`, advice].filter(Boolean).join(' ') || undefined,
      key: `${title}/${text}`,
    });
  }

  /** Runs what a user asked for; undefined after a failure, which the user was told of. */
  async attempt<Result>(work: () => Promise<Result>, title?: string): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      this.report(error, title);
      return undefined;
    }
  }
}

export const [useApplication, provideApplication] = createContext<Application>();
