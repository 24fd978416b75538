// The serial console between the hart and the parent: two bounded rings, and credits towards the parent. Nobody blocks
// and nothing is lost: a ring without room makes the UART report that it is not ready, and the guest waits.
import { INPUT_WINDOW, OUTPUT_WINDOW } from '../api/messages.ts';
import { AfterimageError } from '../base/errors.ts';
import { SharedRing } from '../base/shared-ring.ts';
import type { Doorbell } from './doorbell.ts';

/** Output that the guest can be ahead of the I/O thread: at 10 MB/s 25 ms, far more than it ever sleeps. */
const OUTPUT_RING = 256 * 1024;
/** Input is taken in the guest's own time; a large ring would only delay the back-pressure. */
const INPUT_RING = 64 * 1024;
/** Longest message to the parent: large enough that its fixed cost does not show (91 µs at 221 MB/s). */
const LONGEST_OUTPUT = 64 * 1024;

/** What both threads need to find each other. */
export interface ConsoleBuffers {
  readonly output: SharedArrayBuffer;
  readonly input: SharedArrayBuffer;
}

export function createConsoleBuffers(): ConsoleBuffers {
  return { output: SharedRing.create(OUTPUT_RING).buffer, input: SharedRing.create(INPUT_RING).buffer };
}

/** The hart's end: what the UART reads from and writes to. */
export class RingConsolePort {
  readonly #output: SharedRing;
  readonly #input: SharedRing;
  #active = false;

  constructor(buffers: ConsoleBuffers) {
    this.#output = SharedRing.over(buffers.output);
    this.#input = SharedRing.over(buffers.input);
  }

  /** Bytes of input that wait for the guest. */
  get available(): number {
    return this.#input.available;
  }

  /** Bytes of output that fit now. */
  get room(): number {
    return this.#output.room;
  }

  read(into: Uint8Array): number {
    const count = this.#input.read(into);
    if (count > 0) this.#active = true;
    return count;
  }

  write(from: Uint8Array): number {
    const count = this.#output.write(from);
    if (count > 0) this.#active = true;
    return count;
  }

  /** Whether bytes moved since the last call. The hart's loop then rings the I/O thread: once per slice, not per byte. */
  takeActivity(): boolean {
    const active = this.#active;
    this.#active = false;
    return active;
  }
}

/** Where the I/O thread's end passes things on to. */
export interface ConsoleParent {
  output(bytes: Uint8Array): void;
  accepted(count: number): void;
}

/** The I/O thread's end. */
export class ConsoleServer {
  readonly #output: SharedRing;
  readonly #input: SharedRing;
  readonly #hartBell: Doorbell;
  readonly #parent: ConsoleParent;
  /** Input that found no room in the ring yet, oldest first; never more than INPUT_WINDOW bytes. */
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #unacknowledged = 0;

  constructor(buffers: ConsoleBuffers, hartBell: Doorbell, parent: ConsoleParent) {
    this.#output = SharedRing.over(buffers.output);
    this.#input = SharedRing.over(buffers.input);
    this.#hartBell = hartBell;
    this.#parent = parent;
  }

  /** Whether output of the guest is still on its way to the parent. */
  get pending(): boolean {
    return this.#output.available > 0;
  }

  /** Bytes from the parent, who keeps to its window. */
  input(bytes: Uint8Array): void {
    if (this.#waitingBytes + bytes.length > INPUT_WINDOW) {
      throw new AfterimageError('internal', 'More console input than the window allows', { count: bytes.length });
    }
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.pump();
  }

  /** The parent has passed on so many more bytes. */
  taken(count: number): void {
    if (!(count >= 0 && count <= this.#unacknowledged)) {
      throw new AfterimageError('internal', 'More console output acknowledged than was sent', { count });
    }
    this.#unacknowledged -= count;
    this.pump();
  }

  /** Moves what can be moved. To be called after the hart has rung. */
  pump(): void {
    const moved = this.#pumpOutput() + this.#pumpInput();
    // The hart may sleep until there is input, or until there is room for output.
    if (moved > 0) this.#hartBell.ring();
  }

  #pumpOutput(): number {
    let moved = 0;
    for (;;) {
      const count = Math.min(this.#output.available, OUTPUT_WINDOW - this.#unacknowledged, LONGEST_OUTPUT);
      if (count === 0) return moved;
      const bytes = new Uint8Array(count);
      this.#output.read(bytes);
      this.#unacknowledged += count;
      moved += count;
      this.#parent.output(bytes);
    }
  }

  #pumpInput(): number {
    let moved = 0;
    while (this.#waiting.length > 0) {
      const next = this.#waiting[0]!;
      const count = this.#input.write(next);
      moved += count;
      if (count < next.length) {
        this.#waiting[0] = next.subarray(count);
        break;
      }
      this.#waiting.shift();
    }
    if (moved > 0) {
      this.#waitingBytes -= moved;
      this.#parent.accepted(moved);
    }
    return moved;
  }
}
