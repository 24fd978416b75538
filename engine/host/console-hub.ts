// The serial console of one machine between its engine and any number of clients. The guest waits for clients that take
// their time, as long as they take anything at all: what one does not take for seconds it misses, beginning with the
// oldest. Nobody's typing is lost.
import { INPUT_WINDOW, OUTPUT_WINDOW } from '../api/messages.ts';
import { AfterimageError } from '../base/errors.ts';

/** What is kept of the output: some thousand lines, replayed when a client attaches. */
export const SCROLLBACK = 256 * 1024;
/** Bytes that clients may be behind: what the engine sends unasked, twice. */
const RING = 2 * OUTPUT_WINDOW;
/** A client that is so far behind makes the guest wait. */
const FAR_BEHIND = RING / 4;
/** A client that has taken nothing for so long is not waited for. */
const PATIENCE_MILLISECONDS = 2000;
/** Longest piece sent at once, so that other messages get their turn. */
const LONGEST_PIECE = 64 * 1024;
/** Bytes typed that wait for the machine; whoever types more waits for answers. */
const MOST_WAITING_INPUT = 4 * 1024 * 1024;

interface Typed {
  readonly bytes: Uint8Array;
  sent: number;
  left: number;
  readonly done: PromiseWithResolvers<void>;
}

export class ConsoleHub {
  readonly #ring = new Uint8Array(RING);
  /** Bytes of output since the beginning. */
  #end = 0;
  readonly #readers = new Set<ConsoleReader>();
  readonly #taps = new Set<(bytes: Uint8Array) => void>();
  readonly #typed: Typed[] = [];
  #waitingInput = 0;
  /** Bytes sent to the machine that its queue has not taken. */
  #underway = 0;
  #send: ((bytes: Uint8Array) => void) | undefined;
  #taken: ((count: number) => void) | undefined;
  /** Printed, and not reported to the machine as taken. */
  #untaken = 0;
  #impatient: NodeJS.Timeout | undefined;
  #inputs = 0;

  /** Bytes of output since the beginning. */
  get end(): number {
    return this.#end;
  }

  /** How often something was typed. */
  get inputs(): number {
    return this.#inputs;
  }

  /** A machine runs from now on: `send` takes what is typed, `taken` hears how much of its output may be forgotten. */
  connect(send: (bytes: Uint8Array) => void, taken: (count: number) => void): void {
    this.#underway = 0;
    this.#send = send;
    this.#untaken = 0;
    this.#taken = taken;
  }

  /** The machine has ended, with what was typed and not taken. */
  disconnect(): void {
    this.#send = undefined;
    this.#taken = undefined;
    clearTimeout(this.#impatient);
    this.#underway = 0;
    this.#waitingInput = 0;
    const gone = new AfterimageError('state', 'The machine ended before it took what was typed');
    for (const { done } of this.#typed.splice(0)) done.reject(gone);
  }

  /** The machine has printed something. */
  output(bytes: Uint8Array): void {
    const kept = bytes.length > RING ? bytes.subarray(bytes.length - RING) : bytes;
    const at = (this.#end + bytes.length - kept.length) % RING;
    const first = Math.min(kept.length, RING - at);
    this.#ring.set(kept.subarray(0, first), at);
    this.#ring.set(kept.subarray(first), 0);
    this.#end += bytes.length;
    this.#untaken += bytes.length;
    for (const tap of this.#taps) tap(bytes);
    for (const reader of this.#readers) reader.pump();
    this.settle();
  }

  /** Lets the machine print on unless a client that takes what it gets is far behind. */
  settle(): void {
    clearTimeout(this.#impatient);
    if (this.#untaken === 0) return;
    const now = performance.now();
    const waits = [...this.#readers].some(
      reader => this.#end - reader.position > FAR_BEHIND && reader.patience(now) > 0,
    );
    if (waits) {
      const soon = Math.min(...[...this.#readers].map(reader => reader.patience(now)).filter(left => left > 0));
      this.#impatient = setTimeout(() => this.settle(), soon + 1);
      return;
    }
    const count = this.#untaken;
    this.#untaken = 0;
    this.#taken?.(count);
  }

  /** Everything printed from now on, as it comes. Returns what ends it. */
  tap(listener: (bytes: Uint8Array) => void): () => void {
    this.#taps.add(listener);
    return () => this.#taps.delete(listener);
  }

  /** The last bytes of output, at most so many. */
  recent(most: number): Uint8Array {
    const from = Math.max(0, this.#end - Math.min(most, SCROLLBACK));
    const bytes = new Uint8Array(this.#end - from);
    for (let done = 0; done < bytes.length; ) {
      const piece = this.piece(from + done, bytes.length - done);
      bytes.set(piece, done);
      done += piece.length;
    }
    return bytes;
  }

  attach(send: (bytes: Uint8Array) => void, scrollback: number, congested: () => boolean): ConsoleReader {
    const reader = new ConsoleReader(this, send, congested, Math.max(0, this.#end - Math.min(scrollback, SCROLLBACK)));
    this.#readers.add(reader);
    reader.pump();
    return reader;
  }

  detach(reader: ConsoleReader): void {
    this.#readers.delete(reader);
    this.settle();
  }

  /** Resolves when the machine's queue has taken the bytes. @throws AfterimageError `state` when nothing runs */
  async input(bytes: Uint8Array): Promise<void> {
    if (this.#send === undefined) throw new AfterimageError('state', 'The machine is not running');
    if (this.#waitingInput + bytes.length > MOST_WAITING_INPUT) {
      throw new AfterimageError('state', 'The machine has not taken what was typed before', {
        waiting: this.#waitingInput,
      });
    }
    this.#inputs += 1;
    if (bytes.length === 0) return;
    const typed = { bytes, sent: 0, left: bytes.length, done: Promise.withResolvers<void>() };
    this.#typed.push(typed);
    this.#waitingInput += bytes.length;
    this.#forward();
    await typed.done.promise;
  }

  /** The machine's queue has taken so many bytes. */
  accepted(count: number): void {
    this.#underway -= count;
    let left = count;
    while (left > 0 && this.#typed.length > 0) {
      const [first] = this.#typed;
      const taken = Math.min(left, first!.left);
      first!.left -= taken;
      left -= taken;
      this.#waitingInput -= taken;
      if (first!.left > 0) break;
      this.#typed.shift();
      first!.done.resolve();
    }
    this.#forward();
  }

  /** Output from a position on, as much as lies together; nothing that was overwritten is asked for. */
  piece(from: number, most: number): Uint8Array {
    const at = from % RING;
    return this.#ring.subarray(at, Math.min(at + Math.min(most, this.#end - from), RING));
  }

  #forward(): void {
    for (const typed of this.#typed) {
      const count = Math.min(INPUT_WINDOW - this.#underway, typed.bytes.length - typed.sent);
      if (count > 0) {
        const piece = typed.bytes.slice(typed.sent, typed.sent + count);
        typed.sent += count;
        this.#underway += count;
        this.#send?.(piece);
      }
      if (typed.sent < typed.bytes.length) return;
    }
  }
}

/** One client's place in the output. */
export class ConsoleReader {
  readonly #hub: ConsoleHub;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #congested: () => boolean;
  #position: number;
  /** Sent, and not reported as shown. */
  #untaken = 0;
  #missed = 0;
  /** When it last took something, or was up to date. */
  #tookAt = performance.now();

  constructor(hub: ConsoleHub, send: (bytes: Uint8Array) => void, congested: () => boolean, position: number) {
    this.#hub = hub;
    this.#send = send;
    this.#congested = congested;
    this.#position = position;
  }

  /** Bytes that were overwritten before the client took them. */
  get missed(): number {
    return this.#missed;
  }

  /** Next byte of output that is to be sent. */
  get position(): number {
    return this.#position;
  }

  /** Milliseconds that it is still waited for. */
  patience(now: number): number {
    return Math.max(0, this.#tookAt + PATIENCE_MILLISECONDS - now);
  }

  /** The client has shown so many bytes. */
  taken(count: number): void {
    this.#untaken = Math.max(0, this.#untaken - count);
    this.#tookAt = performance.now();
    this.pump();
    this.#hub.settle();
  }

  /** Sends what the client has room for. */
  pump(): void {
    const oldest = this.#hub.end - RING;
    if (this.#position < oldest) {
      this.#missed += oldest - this.#position;
      this.#position = oldest;
    }
    // What it owes nothing of, it is given time for.
    if (this.#untaken === 0) this.#tookAt = performance.now();
    while (this.#position < this.#hub.end && !this.#congested()) {
      const room = Math.min(LONGEST_PIECE, OUTPUT_WINDOW - this.#untaken);
      if (room <= 0) return;
      const piece = this.#hub.piece(this.#position, room).slice();
      this.#position += piece.length;
      this.#untaken += piece.length;
      this.#send(piece);
    }
  }
}
