// The control socket of a machine that another process owns.
import { connect as connectSocket, type Socket } from 'node:net';
import { decodeLine, encodeLine, LineReader } from '../../engine/api/control-wire.ts';
import { codeOf, hostError } from '../../engine/base/host-errors.ts';
import type { ControlTransport, TransportEnd, TransportHandlers } from './transport.ts';

/** A socket file without a process behind it, or none. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ECONNRESET', 'EPIPE']);

/** Undefined when nobody listens there. Errors: `denied`, `io`. */
export async function connectTransport(address: string, words: () => string): Promise<ControlTransport | undefined> {
  const socket = connectSocket(address);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } catch (thrown) {
    socket.destroy();
    if (NOBODY.has(codeOf(thrown))) return undefined;
    throw hostError(thrown, address, 'connect to');
  }
  return new SocketTransport(socket, words);
}

class SocketTransport implements ControlTransport {
  readonly #socket: Socket;
  readonly #words: () => string;
  #problem: unknown;

  constructor(socket: Socket, words: () => string) {
    this.#socket = socket;
    this.#words = words;
    socket.on('error', error => {
      this.#problem ??= error;
    });
  }

  open({ message, end }: TransportHandlers): void {
    const lines = new LineReader(line => message(decodeLine(line)));
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => {
      try {
        lines.push(text);
      } catch (thrown) {
        this.#problem = thrown;
        this.#socket.destroy();
      }
    });
    this.#socket.on('close', () => end(this.#end()));
  }

  send(message: unknown): void {
    if (this.#socket.writable) this.#socket.write(encodeLine(message));
  }

  close(): void {
    // What was asked last still goes out; answers are not waited for.
    this.#socket.end();
    this.#socket.unref();
  }

  #end(): TransportEnd {
    const problem = this.#problem === undefined ? {} : { problem: this.#problem };
    return { code: null, signal: null, lastWords: this.#words(), ...problem };
  }
}
