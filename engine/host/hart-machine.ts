// What the hart's loop needs of a machine. engine/machine has the real one; tests put small ones in its place.
import type { SignatureGranularity } from '../api/settings.ts';
import type { MachineParts, RunState } from '../machine/parts.ts';
import type { LiveMachine } from './hart-live.ts';
import type { EndedRequest } from './resume.ts';

/** Only a machine with the members of LiveMachine can be checkpointed. */
export interface HartMachine extends Partial<LiveMachine> {
  /** Runs the guest for about 50 µs to 1 ms. */
  runSlice(): RunState;
  /** The console port may have something new. */
  poll(): void;
  /** Starts over as after power-on, in the same memory; nothing is in flight to a disk. */
  restart(): void;
  /** Guest time stands still between the two. */
  pause(): void;
  resume(): void;
  /** The window at the console has a new size. */
  resize(columns: number, rows: number): void;
  /** Retired since the machine was built, restarts included. */
  readonly instructions: number;
  /** What guests must not do, counted by device and kind since the machine was built. */
  readonly errors: { readonly counts: Readonly<Record<string, number>> };
  /** Of a restored machine: see Machine. */
  settleRequests?(ended: readonly EndedRequest[]): void;
  /** The signature's text (`--signature`). AfterimageError when the program has none. */
  signature(granularity: SignatureGranularity): string;
}

/** Throws AfterimageError when the files or settings do not make a machine. */
export type MachineBuilder = (parts: MachineParts, state?: Uint8Array) => HartMachine;
