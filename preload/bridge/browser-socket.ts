// The page's connection to the browser host: comes back by itself, as often as it is lost.
import { decodeLine, encodeLine } from '../../engine/api/control-wire.ts';
import type { Answer } from '../contract/afterimage.ts';
import type { ConsolePort } from '../contract/console.ts';
import type { AppEvent } from '../contract/events.ts';
import {
  PASS_KEY,
  PATHS,
  packConsoleBytes,
  type SocketMessage,
  type SocketRequest,
  TOKEN_PREFIX,
  unpackConsoleBytes,
} from '../contract/socket.ts';
import { BridgeConsole } from './bridge-console.ts';

const FIRST_WAIT = 250;
const LONGEST_WAIT = 5000;

interface PendingCall {
  readonly request: SocketRequest;
  readonly resolve: (answer: Answer) => void;
}

interface OpenConsole {
  readonly machine: string;
  readonly console: BridgeConsole;
  opened: ((error: unknown) => void) | undefined;
}

export class BrowserSocket {
  readonly #listeners = new Set<(event: AppEvent) => void>();
  readonly #calls = new Map<number, PendingCall>();
  readonly #consoles = new Map<number, OpenConsole>();
  #socket: WebSocket | undefined;
  #wait = FIRST_WAIT;
  #number = 0;
  #wasLost = false;
  #refused = false;

  constructor() {
    void this.#connect();
  }

  call(name: string, arguments_: unknown): Promise<Answer> {
    if (this.#refused) return Promise.resolve(refusal());
    this.#number += 1;
    const request: SocketRequest = { kind: 'call', id: this.#number, name, arguments: arguments_ };
    return new Promise(resolve => {
      this.#calls.set(request.id, { request, resolve });
      this.#send(request);
    });
  }

  onEvent(listener: (event: AppEvent) => void): () => void {
    this.#listeners.add(listener);
    // It may have been told before anybody listened.
    if (this.#refused) listener({ event: 'connection', state: 'refused' });
    else if (this.#wasLost) listener({ event: 'connection', state: 'lost' });
    return () => void this.#listeners.delete(listener);
  }

  console(machine: string): Promise<ConsolePort> {
    this.#number += 1;
    const number = this.#number;
    const console = new BridgeConsole({
      input: bytes => this.#sendBytes(number, bytes),
      taken: count => this.#send({ kind: 'console-taken', console: number, count }),
      resize: size => this.#send({ kind: 'console-resize', console: number, size }),
      close: () => {
        this.#consoles.delete(number);
        this.#send({ kind: 'console-close', console: number });
      },
    });
    return new Promise((resolve, reject) => {
      const opened = (error: unknown) => {
        if (error === undefined) return resolve(console.port());
        this.#consoles.delete(number);
        reject(error);
      };
      this.#consoles.set(number, { machine, console, opened });
      this.#send({ kind: 'console-open', console: number, machine });
    });
  }

  #send(request: SocketRequest): void {
    // What is asked while there is no connection goes out with the next one.
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(encodeLine(request));
  }

  #sendBytes(console: number, bytes: Uint8Array): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(packConsoleBytes(console, bytes));
  }

  async #connect(): Promise<void> {
    const entry = await letIn();
    if (entry === 'refused') return this.#refuse();
    if (entry === 'unreachable') return this.#failed(false);
    const socket = new WebSocket(new URL(PATHS.socket, location.href.replace(/^http/, 'ws')));
    socket.binaryType = 'arraybuffer';
    let opened = false;
    socket.addEventListener('open', () => {
      opened = true;
      this.#socket = socket;
      this.#wait = FIRST_WAIT;
      this.#begin();
    });
    socket.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) => this.#hear(data));
    socket.addEventListener('close', () => {
      this.#socket = undefined;
      this.#failed(opened);
    });
  }

  /** `sent`: what was asked may have arrived. */
  #failed(sent: boolean): void {
    if (sent) this.#lost();
    else if (!this.#wasLost) {
      this.#wasLost = true;
      this.#announce({ event: 'connection', state: 'lost' });
    }
    setTimeout(() => void this.#connect(), this.#wait);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
  }

  #begin(): void {
    for (const [number, { machine, console }] of this.#consoles) {
      console.restart();
      this.#send({ kind: 'console-open', console: number, machine });
    }
    for (const { request } of this.#calls.values()) this.#send(request);
    if (this.#wasLost) this.#announce({ event: 'connection', state: 'back' });
    this.#wasLost = false;
  }

  /** A call that was sent may have been done or not, so it is not sent again. */
  #lost(): void {
    this.#wasLost = true;
    for (const { resolve } of this.#calls.values()) {
      resolve({ ok: false, error: { kind: 'io', message: 'The connection to the host was lost', context: {} } });
    }
    this.#calls.clear();
    for (const { console } of this.#consoles.values()) console.hear({ kind: 'idle' });
    this.#announce({ event: 'connection', state: 'lost' });
  }

  /** The host does not know this page: it was told to forget all, or the address was not the one that it gave. */
  #refuse(): void {
    this.#refused = true;
    for (const { resolve } of this.#calls.values()) resolve(refusal());
    this.#calls.clear();
    for (const { opened } of this.#consoles.values()) opened?.(refusal().error);
    this.#announce({ event: 'connection', state: 'refused' });
  }

  #hear(data: string | ArrayBuffer): void {
    if (typeof data !== 'string') {
      const unpacked = unpackConsoleBytes(new Uint8Array(data));
      if (unpacked === undefined) return;
      this.#consoles.get(unpacked.console)?.console.hear({ kind: 'output', bytes: unpacked.bytes });
      return;
    }
    const message = decodeLine(data) as SocketMessage;
    switch (message.kind) {
      case 'answer':
        this.#calls.get(message.id)?.resolve(message.answer);
        this.#calls.delete(message.id);
        break;
      case 'event':
        this.#announce(message.event);
        break;
      case 'console-opened': {
        const opening = this.#consoles.get(message.console);
        opening?.opened?.(message.error);
        if (opening !== undefined) opening.opened = undefined;
        break;
      }
      case 'console':
        this.#consoles.get(message.console)?.console.hear(message.message);
    }
  }

  #announce(event: AppEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/**
 * Trades the token of the address for a cookie, and takes it out of the address and the history. Without a token the
 * cookie of an earlier visit may still do, and after a restart of the host the pass that it gave.
 */
async function letIn(): Promise<'in' | 'refused' | 'unreachable'> {
  const token = location.hash.startsWith(TOKEN_PREFIX) ? location.hash.slice(TOKEN_PREFIX.length) : '';
  if (token !== '') history.replaceState(null, '', `${location.pathname}#/`);
  try {
    let response = await session({ token, pass: keptPass() });
    // An old address: who has been here before is let in all the same.
    if (response.status === 401 && token !== '') response = await session({ token: '', pass: keptPass() });
    if (response.status === 401 || response.status === 403) return 'refused';
    if (!response.ok) return 'unreachable';
    const { pass } = (await response.json()) as { readonly pass?: string };
    if (pass !== undefined) keepPass(pass);
    return 'in';
  } catch {
    // The host is not there: it may come back.
    return 'unreachable';
  }
}

function session(body: { readonly token: string; readonly pass: string }): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(PATHS.session, { method: 'POST', headers, body: JSON.stringify(body) });
}

function keptPass(): string {
  try {
    return localStorage.getItem(PASS_KEY) ?? '';
  } catch {
    return '';
  }
}

/** A browser may be told to keep nothing: then the address is needed after each restart of the host. */
function keepPass(pass: string): void {
  try {
    localStorage.setItem(PASS_KEY, pass);
  } catch {}
}

function refusal() {
  const message = 'This page may not speak to the host; open the address that it printed when it started';
  return { ok: false, error: { kind: 'denied', message, context: {} } } as const;
}
