// How a client and the machine's process reach each other: the parent's channel, a port that was handed over, a socket.
import type { Socket } from 'node:net';
import type { ControlMessage } from '../api/control.ts';
import { decodeLine, encodeLine, LineReader } from '../api/control-wire.ts';

export interface ChannelHandlers {
  message(message: unknown): void;
  /** The other side is gone; comes once. */
  gone(): void;
  /** It is no longer congested. */
  drained(): void;
}

/** One client's way in and out. */
export interface ControlChannel {
  /** In order, never blocking. Without effect when the client is gone. */
  send(message: ControlMessage): void;
  /** The client is behind: what can wait should. */
  readonly congested: boolean;
  /** Called once, before anything else. */
  listen(handlers: ChannelHandlers): void;
  /** Resolves when everything sent so far has been handed to the host, or the client is gone. */
  flushed(): Promise<void>;
  /** Ends it from our side. */
  close(): void;
}

/** Messages on their way from which on a parent counts as congested. */
const MOST_UNDERWAY = 64;

/** The channel of a process started with `child_process.fork` and `serialization: 'advanced'`. */
export class ForkChannel implements ControlChannel {
  readonly #process: NodeJS.Process;
  #handlers: ChannelHandlers | undefined;
  #underway = 0;
  #whenFlushed: (() => void)[] = [];

  constructor(ownProcess: NodeJS.Process) {
    this.#process = ownProcess;
  }

  get congested(): boolean {
    return this.#underway >= MOST_UNDERWAY;
  }

  send(message: ControlMessage): void {
    if (!this.#process.connected) return;
    const wasCongested = () => this.#underway === MOST_UNDERWAY - 1;
    this.#underway += 1;
    // The error is that the parent is gone, which `disconnect` reports.
    this.#process.send?.(message, () => {
      this.#underway -= 1;
      if (wasCongested()) this.#handlers?.drained();
      if (this.#underway > 0) return;
      for (const resolve of this.#whenFlushed.splice(0)) resolve();
    });
  }

  listen(handlers: ChannelHandlers): void {
    this.#handlers = handlers;
    this.#process.on('message', message => handlers.message(message));
    this.#process.on('disconnect', () => handlers.gone());
  }

  async flushed(): Promise<void> {
    if (this.#underway === 0 || !this.#process.connected) return;
    await new Promise<void>(resolve => {
      this.#whenFlushed.push(resolve);
      this.#process.once('disconnect', resolve);
    });
  }

  close(): void {
    if (this.#process.connected) this.#process.disconnect();
  }
}

/** What Electron's `process.parentPort` and its MessagePortMain have in common. */
export interface MessagePortLike {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown; ports: readonly MessagePortLike[] }) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  start?(): void;
  close?(): void;
}

/** A port of Electron. Whoever takes part holds its end for as long as it lives; queues are the runtime's. */
export class PortChannel implements ControlChannel {
  readonly congested = false;
  readonly #port: MessagePortLike;
  readonly #handedOver: (port: MessagePortLike) => void;

  /** @param handedOver ports that come with messages: further clients */
  constructor(port: MessagePortLike, handedOver: (port: MessagePortLike) => void = () => undefined) {
    this.#port = port;
    this.#handedOver = handedOver;
  }

  send(message: ControlMessage): void {
    this.#port.postMessage(message);
  }

  listen(handlers: ChannelHandlers): void {
    this.#port.on('message', ({ data, ports }) => {
      for (const port of ports) this.#handedOver(port);
      // A message that only brings ports has no data.
      if (data !== undefined && data !== null) handlers.message(data);
    });
    this.#port.on('close', () => handlers.gone());
    this.#port.start?.();
  }

  async flushed(): Promise<void> {}

  close(): void {
    this.#port.close?.();
  }
}

/** Most bytes that wait for a client to read them; one that calls and never reads is dropped. */
const MOST_WAITING = 64 * 1024 * 1024;

/** A client at the control socket: lines of JSON. */
export class SocketChannel implements ControlChannel {
  readonly #socket: Socket;
  #gone = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get congested(): boolean {
    return this.#socket.writableNeedDrain;
  }

  send(message: ControlMessage): void {
    if (this.#gone) return;
    this.#socket.write(encodeLine(message));
    if (this.#socket.writableLength > MOST_WAITING) this.#socket.destroy();
  }

  listen(handlers: ChannelHandlers): void {
    const lines = new LineReader(line => handlers.message(decodeLine(line)));
    const socket = this.#socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      try {
        lines.push(text);
      } catch {
        // What does not speak our language is no client.
        socket.destroy();
      }
    });
    socket.on('drain', () => handlers.drained());
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      this.#gone = true;
      handlers.gone();
    });
  }

  async flushed(): Promise<void> {
    if (this.#gone || this.#socket.writableLength === 0) return;
    await new Promise<void>(resolve => {
      this.#socket.write('', () => resolve());
      this.#socket.once('close', () => resolve());
    });
  }

  close(): void {
    this.#socket.end();
  }
}
