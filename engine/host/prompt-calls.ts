// When a read or write of a file is made on the calling thread, without a round trip to the thread pool.
//
// The host has most of what a guest reads in memory and takes what it writes into memory: a system call of 1 µs. Handing
// that to another thread and waking it costs 4 to 40 µs. But a call that has to wait for a disk holds up all that this
// thread does. Node cannot ask the host which of the two a call will be, so slow calls are paid from an account: waiting
// takes from it, time adds to it, and while it is overdrawn all calls go to the pool. So the thread waits for a file for
// at most WAITING_SHARE of its time, whatever the disk, and for all of them, which may be a long chain on one disk, for at
// most SHARE_OF_ALL. A call may also be slow because others had the processor; then little is taken, for the pool would
// be slower still.

import { statfs } from 'node:fs/promises';

/**
 * File systems (linux/magic.h) whose calls end when a disk of this computer answers, at worst: ext2-4, XFS, Btrfs,
 * F2FS, bcachefs, tmpfs, ramfs, overlayfs. A server of a network may never answer.
 */
const LOCAL_FILE_SYSTEMS: readonly number[] = [
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0xca451a4e, 0x01021994, 0x858458f6, 0x794c7630,
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
const WAITING_SHARE = 0.05;
const SHARE_OF_ALL = 0.1;
/** What is taken, of the time of a slow call that has probably not waited for a disk: nothing tells of writes. */
const DOUBTFUL_SHARE = { read: 0.02, write: 0.1 };
/** Longer than the host keeps a thread from the processor on a busy day. */
const CERTAIN_MILLISECONDS = 20;
/** Most waiting that can be saved up. */
const MOST_CREDIT_MILLISECONDS = 10;
/** Time for such calls before everything else on this thread gets its turn. */
const TURN_MILLISECONDS = 0.25;

let spent = 0;
let turn: Promise<void> | undefined;

/** Whether a disk has been read for this process since the last call of this: what explains a slow read. */
function diskWasRead(): boolean {
  const { fsRead } = process.resourceUsage();
  const before = diskReads;
  diskReads = fsRead;
  return fsRead !== before;
}

let diskReads = 0;

/** Time that may be spent waiting. */
export class WaitingAccount {
  readonly #share: number;
  #credit = MOST_CREDIT_MILLISECONDS;
  /** When the credit was that; undefined before the first waiting. */
  #since: number | undefined;

  /** @param share of the time that it gives. */
  constructor(share: number) {
    this.#share = share;
  }

  overdrawn(now: () => number): boolean {
    if (this.#credit < 0) this.#earn(now());
    return this.#credit < 0;
  }

  take(milliseconds: number, now: number): void {
    this.#earn(now);
    this.#credit -= milliseconds;
  }

  #earn(now: number): void {
    const passed = now - (this.#since ?? now);
    this.#credit = Math.min(MOST_CREDIT_MILLISECONDS, this.#credit + passed * this.#share);
    this.#since = now;
  }
}

/** Of all files together, by the process's clock. */
const ofAll = new WaitingAccount(SHARE_OF_ALL);

/** The account of one kind of call on one file. */
export class PromptCalls {
  readonly #kind: 'read' | 'write';
  readonly #clock: () => number;
  readonly #diskWasRead: () => boolean;
  readonly #own = new WaitingAccount(WAITING_SHARE);
  readonly #all: WaitingAccount;

  /** @param clock Milliseconds since any fixed moment. */
  constructor(
    kind: 'read' | 'write',
    clock: () => number = () => performance.now(),
    wasRead = diskWasRead,
    all = ofAll,
  ) {
    this.#kind = kind;
    this.#clock = clock;
    this.#diskWasRead = wasRead;
    this.#all = all;
  }

  get now(): number {
    return this.#clock();
  }

  /** Whether to make a call of so many bytes on this thread. */
  allows(bytes: number): boolean {
    return bytes <= MOST_BYTES && !this.#own.overdrawn(this.#clock) && !this.#all.overdrawn(this.#clock);
  }

  /** To be called after a call, with the time when it began. */
  learn(began: number, bytes: number): void {
    const { now } = this;
    const took = now - began;
    spend(took);
    if (took <= PROMPT_MILLISECONDS + bytes * PROMPT_MILLISECONDS_A_BYTE) return;
    const certain = took >= CERTAIN_MILLISECONDS || (this.#kind === 'read' && this.#diskWasRead());
    const taken = certain ? took : took * DOUBTFUL_SHARE[this.#kind];
    this.#own.take(taken, now);
    this.#all.take(taken, now);
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
