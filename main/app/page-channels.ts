// Messages of windows: who sent them is checked before what they say.
import type { BrowserWindow, IpcMainEvent, IpcMainInvokeEvent, MessagePortMain } from 'electron';
import * as v from 'valibot';
import { AfterimageError } from '../../engine/base/errors.ts';
import type { Answer } from '../../preload/contract/afterimage.ts';
import { CHANNELS, type PortMessage } from '../../preload/contract/channels.ts';
import type { FilePurpose } from '../../preload/contract/files.ts';
import { identity, LONGEST } from '../../preload/contract/shapes.ts';
import type { App, PageConnection } from '../ipc/app.ts';
import type { OpenConsole } from '../ipc/consoles.ts';
import { isOurs } from '../windows/origin.ts';
import type { ElectronModule } from './electron.ts';

const purpose = v.picklist([
  'checkpoint',
  'disk',
  'kernel',
  'initrd',
  'firmware',
  'elf',
  'raw-store',
  'any',
] satisfies FilePurpose[]);
const droppedPath = v.pipe(v.string(), v.minLength(1), v.maxLength(LONGEST.path));

export class PageChannels {
  readonly #app: App;
  /** By the number of the window's contents. */
  readonly #pages = new Map<number, PageConnection>();

  constructor({ ipcMain }: Pick<ElectronModule, 'ipcMain'>, app: App) {
    this.#app = app;
    ipcMain.handle(CHANNELS.call, (event, name: unknown, arguments_: unknown) =>
      this.#answer(event, page => page.call(name, arguments_)),
    );
    ipcMain.handle(CHANNELS.chooseFile, (event, wanted: unknown) =>
      this.#answer(event, page => this.#chooseFile(page, wanted)),
    );
    ipcMain.handle(CHANNELS.droppedFile, (event, path: unknown) => this.#answer(event, () => this.#droppedFile(path)));
    ipcMain.on(CHANNELS.console, (event, machine: unknown) => this.#console(event, machine));
  }

  /** From now on the window's page is one of ours. */
  add(window: BrowserWindow): void {
    const contents = window.webContents;
    const { id } = contents;
    const connect = () => {
      this.#pages.get(id)?.close();
      const page = this.#app.connect({ id }, event => {
        if (!contents.isDestroyed()) contents.send(CHANNELS.event, event);
      });
      this.#pages.set(id, page);
    };
    connect();
    // A page that loads anew knows nothing of the consoles that the former had open.
    contents.on('did-navigate', connect);
    window.on('focus', () => this.#app.focus({ id }));
    window.on('closed', () => {
      this.#pages.get(id)?.close();
      this.#pages.delete(id);
    });
  }

  #answer(event: IpcMainInvokeEvent, work: (page: PageConnection) => Promise<Answer>): Promise<Answer> {
    const page = this.#trusted(event);
    if (page !== undefined) return work(page);
    const error = new AfterimageError('denied', 'This page may not ask anything');
    return Promise.resolve({ ok: false, error: error.toPlain() });
  }

  /** One of our windows, its own page and not a frame in it, at one of our addresses. */
  #trusted({ sender, senderFrame }: IpcMainInvokeEvent | IpcMainEvent): PageConnection | undefined {
    if (senderFrame === null || senderFrame.parent !== null || !isOurs(senderFrame.url)) return undefined;
    return this.#pages.get(sender.id);
  }

  async #chooseFile(page: PageConnection, wanted: unknown): Promise<Answer> {
    return await this.#try(async () => {
      const chosen = v.is(purpose, wanted) ? await this.#app.platform.chooseFile(wanted, page.page) : undefined;
      return chosen === undefined ? undefined : await this.#app.files.add(chosen);
    });
  }

  async #droppedFile(path: unknown): Promise<Answer> {
    return await this.#try(async () => {
      if (!v.is(droppedPath, path))
        throw new AfterimageError('unsupported', 'What was dropped is no file of this computer');
      return await this.#app.files.add(path);
    });
  }

  async #try(work: () => Promise<unknown>): Promise<Answer> {
    try {
      return { ok: true, result: await work() };
    } catch (thrown) {
      return { ok: false, error: this.#app.report(thrown, 'file') };
    }
  }

  #console(event: IpcMainEvent, machine: unknown): void {
    const page = this.#trusted(event);
    const [port, ...others] = event.ports;
    for (const other of others) other.close();
    if (page === undefined || port === undefined || !v.is(identity, machine)) {
      port?.close();
      return;
    }
    this.#serve(page, machine, port);
  }

  #serve(page: PageConnection, machine: string, port: MessagePortMain): void {
    const send = (message: PortMessage) => port.postMessage(message);
    let opened: OpenConsole;
    try {
      opened = page.openConsole(machine, { send });
    } catch (thrown) {
      send({ kind: 'opened', error: this.#app.report(thrown, 'console') });
      return;
    }
    send({ kind: 'opened' });
    port.on('message', ({ data }) => {
      try {
        opened.receive(data);
      } catch {
        // Our own page never says such a thing. The port does not tell us of what we close ourselves.
        port.close();
        opened.close();
      }
    });
    port.on('close', () => opened.close());
    port.start();
  }
}
