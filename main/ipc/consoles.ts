// Consoles of machines, shared by any number of pages. The machine's process is attached to once; its output goes into a
// ring from which every page takes at its own speed. The fastest page keeps the machine's output flowing: with one page
// nothing is ever lost, and a second one that has stopped taking (a tab in the background) does not hold up the first,
// but goes on with what the ring still has.
import { OUTPUT_WINDOW } from '../../engine/api/messages.ts';
import { AfterimageError } from '../../engine/base/errors.ts';
import { check } from '../../preload/contract/check.ts';
import {
  CONSOLE_SCROLLBACK,
  CONSOLE_WINDOW,
  type ConsoleMessage,
  consoleRequest,
} from '../../preload/contract/console.ts';
import type { Machines } from './machines.ts';
import { OutputRing } from './output-ring.ts';

/** One message to a page; large enough that the cost of a message does not count. */
const CHUNK = 64 * 1024;
/** Consoles that one page may have open at once; more is a page out of hand. */
export const MOST_CONSOLES = 64;

/** A page's end of a console port, as the platform sees it. */
export interface ConsoleChannel {
  send(message: ConsoleMessage): void;
}

/** What the platform calls for a port. */
export interface OpenConsole {
  /** A message of the page; throws `usage` for what is none. */
  receive(message: unknown): void;
  close(): void;
}

interface Reader {
  readonly channel: ConsoleChannel;
  sent: number;
  taken: number;
}

export class Consoles {
  readonly #machines: Machines;
  readonly #hubs = new Map<string, Hub>();
  readonly #unsubscribe: readonly (() => void)[];

  constructor(machines: Machines) {
    this.#machines = machines;
    this.#unsubscribe = [
      machines.onEvent((machine, event) => {
        if (event.event === 'console-output') this.#hubs.get(machine)?.push(event.bytes);
        else if (event.event === 'status') this.#hubs.get(machine)?.setState(event.status.state);
      }),
      machines.onConnection((machine, state) => this.#hubs.get(machine)?.connection(state)),
    ];
  }

  open(machine: string, channel: ConsoleChannel): OpenConsole {
    const summary = this.#machines.view().machines.find(one => one.id === machine);
    if (summary === undefined) throw new AfterimageError('missing', 'There is no such machine', { machine });
    let hub = this.#hubs.get(machine);
    if (hub === undefined) {
      hub = new Hub(this.#machines, machine, () => this.#hubs.delete(machine));
      this.#hubs.set(machine, hub);
      hub.setState(summary.status.state);
    }
    return hub.open(channel);
  }

  close(): void {
    for (const end of this.#unsubscribe) end();
  }
}

class Hub {
  readonly #machines: Machines;
  readonly #machine: string;
  readonly #ended: () => void;
  readonly #readers = new Set<Reader>();
  readonly #ring = new OutputRing(OUTPUT_WINDOW);
  #running = false;
  #attached = false;
  /** Bytes before this have been reported to the machine as taken. */
  #reported = 0;

  constructor(machines: Machines, machine: string, ended: () => void) {
    this.#machines = machines;
    this.#machine = machine;
    this.#ended = ended;
  }

  open(channel: ConsoleChannel): OpenConsole {
    const from = Math.max(this.#ring.start, this.#ring.end - CONSOLE_SCROLLBACK);
    const reader: Reader = { channel, sent: from, taken: from };
    this.#readers.add(reader);
    channel.send({ kind: this.#running ? 'running' : 'idle' });
    this.#attach();
    this.#pump(reader);
    return {
      receive: message => this.#receive(reader, message),
      close: () => {
        if (!this.#readers.delete(reader)) return;
        if (this.#readers.size === 0) this.#detach();
        else this.#report();
      },
    };
  }

  push(bytes: Uint8Array): void {
    this.#ring.push(bytes);
    for (const reader of this.#readers) this.#pump(reader);
  }

  setState(state: string): void {
    const running = state !== 'off' && state !== 'failed';
    if (running === this.#running) return;
    this.#running = running;
    this.#announce();
    this.#attach();
  }

  connection(state: 'up' | 'down'): void {
    this.#attached = false;
    if (state === 'up') this.#attach();
    else if (this.#running) {
      this.#running = false;
      this.#announce();
    }
  }

  #announce(): void {
    for (const reader of this.#readers) reader.channel.send({ kind: this.#running ? 'running' : 'idle' });
  }

  #receive(reader: Reader, message: unknown): void {
    const request = check(consoleRequest, 'console', message);
    if (request.kind === 'taken') {
      // A page that reports more than it got would open its window without end.
      reader.taken = Math.min(reader.taken + request.count, reader.sent);
      this.#pump(reader);
      this.#report();
    } else if (request.kind === 'resize') {
      this.#ask('console-resize', request.size);
    } else {
      const { length } = request.bytes;
      const accepted = () => reader.channel.send({ kind: 'accepted', count: length });
      // What is typed at a machine that is off is lost, as at a terminal whose other end is.
      this.#machines.call(this.#machine, 'console-input', { bytes: request.bytes }).then(accepted, accepted);
    }
  }

  #pump(reader: Reader): void {
    if (reader.sent < this.#ring.start) {
      reader.taken += this.#ring.start - reader.sent;
      reader.sent = this.#ring.start;
    }
    while (reader.sent < this.#ring.end) {
      const room = CONSOLE_WINDOW - (reader.sent - reader.taken);
      if (room <= 0) return;
      const bytes = this.#ring.read(reader.sent, Math.min(room, CHUNK));
      reader.sent += bytes.length;
      reader.channel.send({ kind: 'output', bytes });
    }
  }

  #report(): void {
    let furthest = this.#reported;
    for (const reader of this.#readers) furthest = Math.max(furthest, reader.taken);
    if (furthest === this.#reported) return;
    const count = furthest - this.#reported;
    this.#reported = furthest;
    if (this.#attached) this.#ask('console-taken', { count });
  }

  #attach(): void {
    if (this.#attached || !this.#running || this.#readers.size === 0) return;
    this.#attached = true;
    // A process that is attached to anew knows nothing of what was taken before.
    this.#reported = this.#ring.end;
    this.#ask('console-attach', { scrollback: this.#ring.end === 0 ? CONSOLE_SCROLLBACK : 0 });
  }

  #detach(): void {
    if (this.#attached) this.#ask('console-detach', {});
    this.#attached = false;
    this.#ended();
  }

  #ask(name: 'console-attach' | 'console-detach' | 'console-taken' | 'console-resize', arguments_: object): void {
    // The connection's end is announced by itself; there is nobody who waits for this answer.
    this.#machines.call(this.#machine, name, arguments_ as never).catch(() => {
      if (name === 'console-attach') this.#attached = false;
    });
  }
}
