// What the parent and the engine process say to each other. Plain data that survives structured cloning; every message
// has a `kind`. Commands travel from the parent to the engine, events back.
//
// Console bytes have flow control both ways: a side sends no more than its window beyond what the other has reported
// as taken, so nothing is lost and no queue grows, whoever is slow.
import type { PlainError } from '../base/errors.ts';
import type { DiskJobCommand, DiskJobEvent } from './disk.ts';
import type { ConsoleSize, MachineSettings } from './settings.ts';

export type { DiskJobCommand, DiskJobEvent };

/** Bytes of console output that the engine sends ahead of the parent's `console-taken`. */
export const OUTPUT_WINDOW = 1024 * 1024;
/** Bytes of console input that the parent sends ahead of the engine's `console-accepted`. */
export const INPUT_WINDOW = 256 * 1024;

export type Command =
  /** What this engine is; answered by `description`. Legal at any time. */
  | { readonly kind: 'describe' }
  /** Builds and starts the machine; once per process. Answered by `started` or `failed`. */
  | { readonly kind: 'start'; readonly settings: MachineSettings }
  /** Bytes typed at the serial console. Those that come before the start wait for it. */
  | { readonly kind: 'console-input'; readonly bytes: Uint8Array }
  /** So many more bytes of console output have been passed on. */
  | { readonly kind: 'console-taken'; readonly count: number }
  | { readonly kind: 'resize'; readonly size: ConsoleSize }
  | DiskJobCommand
  /** The hart stops between two instructions, and goes on. */
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  /** Power off without asking the guest: disks are flushed, `stopped` follows. */
  | { readonly kind: 'stop' };

/** Why a machine stopped. */
export type StopReason =
  | 'poweroff' // the guest switched itself off
  | 'fail' // the guest reported a failure through the test device
  | 'exit' // a bare-metal program ended through HTIF
  | 'limit' // it ran as many instructions as it was allowed
  | 'requested'; // by `stop`, a signal, or because the parent is gone

export type EngineEvent =
  | { readonly kind: 'description'; readonly description: EngineDescription }
  | { readonly kind: 'started' }
  | { readonly kind: 'console-output'; readonly bytes: Uint8Array }
  /** So many more bytes of console input have reached the machine's queue. */
  | { readonly kind: 'console-accepted'; readonly count: number }
  /** The guest rebooted; the machine goes on. */
  | { readonly kind: 'restarted' }
  /** Something that the user should hear of, after which the machine goes on. */
  | { readonly kind: 'warning'; readonly error: PlainError }
  /** The host has no room for what the guest writes. The machine waits, paused, with nothing lost. */
  | { readonly kind: 'disk-full'; readonly error: PlainError }
  /** There was room again, all that waited is written, and the machine goes on. */
  | { readonly kind: 'disk-resumed' }
  /** Pages of a lazy restore that are still in the checkpoint's file only; 0 once, when its files are no longer needed. */
  | { readonly kind: 'absent-pages'; readonly count: number }
  /** The machine waits for one of them that cannot be read, with nothing lost. `resume` tries again. */
  | { readonly kind: 'page-unreadable'; readonly error: PlainError }
  /** It could be read, the machine goes on. */
  | { readonly kind: 'page-readable' }
  | DiskJobEvent
  | { readonly kind: 'stopped'; readonly summary: RunSummary }
  /** The machine could not be started, or cannot go on. The process ends after it, as after `stopped`. */
  | { readonly kind: 'failed'; readonly during: 'start' | 'run'; readonly error: PlainError };

export interface RunSummary {
  readonly reason: StopReason;
  /** The guest's own: 0 after a clean power-off. */
  readonly code: number;
  /** Instructions retired since the start, restarts included. */
  readonly instructions: number;
  /** Things that guests must not do, counted by device and kind. */
  readonly guestErrors: Readonly<Record<string, number>>;
}

/** What `afterimage --version --json` prints about the machine. */
export interface EngineDescription {
  /** Exact ISA string, as in the device tree's `riscv,isa`. */
  readonly isa: string;
  readonly privileges: readonly string[];
  readonly mmu: readonly string[];
}
