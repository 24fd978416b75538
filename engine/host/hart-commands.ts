// What the I/O thread asks of the hart's thread beside the words of HartControl, and what it answers. A hart that spins in
// guest code has no event loop, so it takes the commands from the port itself when the bell has rung.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { PendingStrategy } from '../api/checkpoints.ts';
import type { PlainError } from '../base/errors.ts';
import type { DevirtualizeOptions, JobMode } from '../memory/memory-manager.ts';
import type { PageRange } from '../memory/page-ranges.ts';
import type { PendingResult } from './disk-link.ts';

export type HartCommand =
  /** The moment of a checkpoint, at the next slice but one; answered by `moment`, then by `settled`. */
  | { readonly kind: 'take'; readonly since: number; readonly pending: PendingStrategy }
  /** The saver reads no more. Answered. */
  | { readonly kind: 'release'; readonly call: number }
  | { readonly kind: 'virtualize'; readonly call: number; readonly range?: PageRange }
  | {
      readonly kind: 'devirtualize';
      readonly call: number;
      readonly range?: PageRange;
      readonly options: DevirtualizeOptions;
    }
  | { readonly kind: 'share'; readonly call: number; readonly mode: JobMode }
  | { readonly kind: 'scatter'; readonly call: number; readonly seed: number; readonly range?: PageRange }
  | { readonly kind: 'memory-counts'; readonly call: number };

/** The hart's half of a checkpoint. */
export type LiveMessage =
  | {
      readonly kind: 'moment';
      /** Pages last written in it or before are the checkpoint's. */
      readonly epoch: number;
      /** Device state: a tree of sections. */
      readonly state: Uint8Array;
      readonly pauseMicroseconds: number;
      readonly pendingRequests: number;
      readonly instructions: number;
    }
  /** How the requests ended that were pending at the moment. */
  | { readonly kind: 'settled'; readonly results: readonly PendingResult[] }
  | { readonly kind: 'take-failed'; readonly error: PlainError }
  | { readonly kind: 'answer'; readonly call: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly call: number; readonly error: PlainError };

/** What the memory manager says of itself. */
export interface MemoryCountsAnswer {
  readonly counts: Readonly<Record<string, number>>;
  readonly freeFrames: number;
  readonly mapFrames: number;
  readonly busy: boolean;
}

/** The commands as the hart's loop takes them. */
export interface CommandSource {
  next(): HartCommand | undefined;
}

export function commandsFrom(port: MessagePort): CommandSource {
  return { next: () => receiveMessageOnPort(port)?.message as HartCommand | undefined };
}
