// One page's WebSocket: calls in, answers and events out, console bytes as binary messages.
import type { RawData, WebSocket } from 'ws';
import { decodeLine, encodeLine } from '../../engine/api/control-wire.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { check } from '../../preload/contract/check.ts';
import type { ConsoleMessage } from '../../preload/contract/console.ts';
import {
  packConsoleBytes,
  type SocketMessage,
  type SocketRequest,
  socketRequest,
  unpackConsoleBytes,
} from '../../preload/contract/socket.ts';
import type { App, PageConnection } from '../ipc/app.ts';
import type { OpenConsole } from '../ipc/consoles.ts';

/** A page that takes nothing any more is cut off: it comes back and asks anew. Console bytes alone are far below. */
const MOST_BUFFERED = 64 * 1024 * 1024;
/** Calls of one page that have no answer yet. */
const MOST_CALLS = 256;

export class PageSocket {
  readonly #app: App;
  readonly #socket: WebSocket;
  readonly #page: PageConnection;
  readonly #consoles = new Map<number, OpenConsole>();
  #calls = 0;

  constructor(app: App, socket: WebSocket, id: number) {
    this.#app = app;
    this.#socket = socket;
    this.#page = app.connect({ id }, event => this.#send({ kind: 'event', event }));
    socket.on('message', (data, isBinary) => this.#hear(data, isBinary));
    socket.on('close', () => this.#page.close());
    // `close` follows.
    socket.on('error', () => {});
  }

  #send(message: SocketMessage): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > MOST_BUFFERED) this.#socket.terminate();
    else this.#socket.send(encodeLine(message));
  }

  #hear(data: RawData, isBinary: boolean): void {
    try {
      const bytes = data as Buffer;
      if (isBinary) this.#input(bytes);
      else this.#request(check(socketRequest, 'socket', decodeLine(bytes.toString('utf8'))));
    } catch {
      // Our own page never does this.
      this.#socket.close(1008, 'not understood');
    }
  }

  #input(packed: Uint8Array): void {
    const unpacked = unpackConsoleBytes(packed);
    if (unpacked === undefined) throw new AfterimageError('usage', 'The message is too short');
    const { console, bytes } = unpacked;
    // The buffer is of the socket, and is used again.
    this.#consoles.get(console)?.receive({ kind: 'input', bytes: new Uint8Array(bytes) });
  }

  #request(request: SocketRequest): void {
    this.#app.focus(this.#page.page);
    switch (request.kind) {
      case 'call':
        void this.#call(request.id, request.name, request.arguments);
        break;
      case 'console-open':
        this.#open(request.console, request.machine);
        break;
      case 'console-taken':
        this.#consoles.get(request.console)?.receive({ kind: 'taken', count: request.count });
        break;
      case 'console-resize':
        this.#consoles.get(request.console)?.receive({ kind: 'resize', size: request.size });
        break;
      case 'console-close':
        this.#consoles.get(request.console)?.close();
        this.#consoles.delete(request.console);
    }
  }

  async #call(id: number, name: string, arguments_: unknown): Promise<void> {
    if (this.#calls >= MOST_CALLS) return this.#socket.terminate();
    this.#calls += 1;
    const answer = await this.#page.call(name, arguments_);
    this.#calls -= 1;
    this.#send({ kind: 'answer', id, answer });
  }

  #open(console: number, machine: string): void {
    try {
      if (this.#consoles.has(console)) throw new AfterimageError('usage', 'This console is open already');
      // What the console says comes after the answer to this.
      const early: ConsoleMessage[] = [];
      let answered = false;
      const pass = (message: ConsoleMessage) => {
        if (!answered) early.push(message);
        else if (message.kind === 'output') this.#output(console, message.bytes);
        else this.#send({ kind: 'console', console, message });
      };
      const opened = this.#page.openConsole(machine, { send: pass });
      answered = true;
      this.#send({ kind: 'console-opened', console });
      for (const message of early) pass(message);
      this.#consoles.set(console, opened);
    } catch (thrown) {
      const error = this.#app.report(thrown, 'console');
      this.#send({ kind: 'console-opened', console, error });
    }
  }

  #output(console: number, bytes: Uint8Array): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(packConsoleBytes(console, bytes));
  }
}
