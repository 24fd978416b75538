// The machine library as the app shows it.
import type { ScreenText, TakenCheckpoint } from '../../engine/api/checkpoints.ts';
import type { JobView } from '../../engine/api/control.ts';
import type { Identity, MachineRecord, MachineStatus } from '../../engine/api/machine.ts';
import type { PlainError } from '../../engine/base/errors.ts';

export interface LastCheckpoint {
  readonly id: Identity;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly takenAt: number;
}

export interface MachineSummary {
  readonly id: Identity;
  readonly name: string;
  /** For a person: where its folder is. */
  readonly folder: string;
  /** `off` as long as nobody runs it. */
  readonly status: MachineStatus;
  /** Absent when the folder cannot be understood; `problem` says why. */
  readonly record?: MachineRecord;
  readonly problem?: PlainError;
  /** While it is off: its next start goes on from this checkpoint. */
  readonly suspended?: Identity;
  /** Another program of this user runs it; it can be worked with all the same. */
  readonly foreign: boolean;
  /** Allocated bytes of its folder, as last measured. */
  readonly bytes?: number;
  readonly checkpoints?: number;
  readonly lastCheckpoint?: LastCheckpoint;
  /** What its console showed last. */
  readonly screen?: ScreenText;
}

export interface LibraryView {
  /** For a person. */
  readonly folder: string;
  /** By name. */
  readonly machines: readonly MachineSummary[];
  /** The folder itself cannot be used. */
  readonly problem?: PlainError;
}

/** What deleting a machine takes away. */
export interface DeletionPreview {
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
  readonly checkpoints: number;
  readonly disks: number;
  /** To the trash, from which it can come back; otherwise it is gone at once. */
  readonly trash: boolean;
  /** It is stopped first, without asking the guest. */
  readonly running: boolean;
}

/** One line of the activity view: a job, or something that happened. Entries with the same `entry` replace each other. */
export interface ActivityEntry {
  readonly entry: string;
  /** Milliseconds since 1970, of its last change. */
  readonly at: number;
  readonly machine?: Identity;
  readonly machineName?: string;
  readonly what:
    | { readonly kind: 'job'; readonly job: JobView }
    | { readonly kind: 'checkpoint'; readonly taken: TakenCheckpoint }
    | { readonly kind: 'checkpoint-failed'; readonly error: PlainError }
    | { readonly kind: 'started' }
    | { readonly kind: 'ended'; readonly reason: string; readonly error?: PlainError }
    | { readonly kind: 'crashed'; readonly error: PlainError }
    | { readonly kind: 'warning'; readonly error: PlainError }
    | { readonly kind: 'imported' | 'created' | 'deleted' | 'vanished' | 'appeared' };
}

export interface AboutView {
  readonly version: string;
  /** `electron`, `chromium`, `node` and their versions. */
  readonly versions: Readonly<Record<string, string>>;
  readonly platform: string;
  readonly libraryFolder: string;
}
