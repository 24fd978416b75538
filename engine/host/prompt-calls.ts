// When a read or write of a file is made on the calling thread, without a round trip to the thread pool.
//
// The host has most of what a guest reads in memory and takes what it writes into memory: a system call of 1 µs. Handing
// that to another thread and waking it costs 5 to 40 µs. But a call that has to wait for a disk would hold up all that
// this thread does. Node cannot ask the host which of the two it will be, so it is learned from the last calls: one that
// took too long closes the gate for a multiple of what it took, longer each time in a row. So the thread waits for slow
// disks for at most 1/PENALTY of its time.

import { statfs } from 'node:fs/promises';

/**
 * File systems (linux/magic.h) whose calls end when a disk of this computer answers, at worst: ext2-4, XFS, Btrfs,
 * F2FS, bcachefs, ZFS, tmpfs, ramfs, overlayfs. A server of a network may never answer.
 */
const LOCAL_FILE_SYSTEMS: readonly number[] = [
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0xca451a4e, 0x2fc12fc1, 0x01021994, 0x858458f6, 0x794c7630,
];

/** Whether calls on a file may be made at once, as long as they are prompt. False where that cannot be told. */
export async function mayCallAtOnce(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const type = await statfs(path).then(
    found => found.type >>> 0,
    () => 0,
  );
  return LOCAL_FILE_SYSTEMS.includes(type);
}

/** Larger transfers lose nothing by a round trip, and copying them would keep the thread busy for long. */
const MOST_BYTES = 128 * 1024;
/** What a call may take that has nothing to wait for: several times the usual, far below any disk's latency. */
const PROMPT_MILLISECONDS = 0.02;
const PROMPT_MILLISECONDS_A_BYTE = 0.000_000_5;
const PENALTY = 50;
const LEAST_PENALTY_MILLISECONDS = 2;
const MOST_PENALTY_MILLISECONDS = 1000;
const MOST_FACTOR = 512;
/** So many prompt calls in a row end the growth of penalties: the host has learned what the guest uses. */
const PROMPT_AGAIN = 64;
/** Time for such calls before everything else on this thread gets its turn. */
const TURN_MILLISECONDS = 0.25;

let spent = 0;
let turn: Promise<void> | undefined;

/** The gate of one kind of call on one file. */
export class PromptCalls {
  readonly #clock: () => number;
  #closedUntil = 0;
  #factor = 1;
  #promptSince = 0;

  /** @param clock Milliseconds since any fixed moment. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  get now(): number {
    return this.#clock();
  }

  /** Whether to make a call of so many bytes on this thread. */
  allows(bytes: number): boolean {
    return bytes <= MOST_BYTES && (this.#closedUntil === 0 || this.now >= this.#closedUntil);
  }

  /** To be called after a call, with the time when it began. */
  learn(began: number, bytes: number): void {
    const took = this.now - began;
    spend(took);
    if (took <= PROMPT_MILLISECONDS + bytes * PROMPT_MILLISECONDS_A_BYTE) {
      if (this.#closedUntil === 0) return;
      this.#promptSince += 1;
      if (this.#promptSince < PROMPT_AGAIN) return;
      this.#closedUntil = 0;
      this.#factor = 1;
      return;
    }
    const penalty = Math.max(LEAST_PENALTY_MILLISECONDS, took * PENALTY) * this.#factor;
    this.#closedUntil = began + took + Math.min(MOST_PENALTY_MILLISECONDS, penalty);
    this.#factor = Math.min(this.#factor * 2, MOST_FACTOR);
    this.#promptSince = 0;
  }
}

/** What to wait for before the next call, when those of this turn of the event loop have had their time. */
export function nextTurn(): Promise<void> | undefined {
  return spent < TURN_MILLISECONDS ? undefined : turn;
}

function spend(milliseconds: number): void {
  spent += milliseconds;
  turn ??= new Promise(resolve => {
    setImmediate(() => {
      spent = 0;
      turn = undefined;
      resolve();
    });
  });
}
