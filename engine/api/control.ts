// What the process that owns a machine's folder can be asked, by its parent or through the machine's control socket:
// calls, which are answered, and events, which are announced. Plain data that survives structured cloning; arguments
// are validated by the receiver.
//
// A machine's process ends by itself when its machine is off and no client is left: neither its parent nor one at the
// control socket. While the machine runs it goes on without its parent. A process that finds the machine's folder owned
// by another answers its first call with `locked` and ends; whoever forked it then tries the control socket again.
import type { PlainError } from '../base/errors.ts';
import type {
  CheckpointDetails,
  CheckpointTreeView,
  Comparison,
  ImportPreview,
  RestoreArguments,
  Restored,
  TakeArguments,
  TakenCheckpoint,
  TreeVerification,
} from './checkpoints.ts';
import type { HostAbilities } from './disk.ts';
import type {
  AddedDisk,
  DiskConfiguration,
  Identity,
  MachineConfiguration,
  MachineRecord,
  MachineStatus,
  NewMachine,
  RemovedFiles,
} from './machine.ts';
import type { DevirtualizeArguments, MemoryView, PageRangeArgument } from './memory.ts';
import type { EngineDescription } from './messages.ts';
import type { ConsoleSize } from './settings.ts';

interface Call<Arguments, Result> {
  readonly arguments: Arguments;
  readonly result: Result;
}

type Nothing = Readonly<Record<never, never>>;
interface Id {
  readonly id: Identity;
}

/** Where the default guest's files are. Main knows (assets/guest), the process does not. */
export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  /** Kernel command line, before the machine's own. */
  readonly append: string;
}

/** Everything that can be asked, by name. */
export interface ControlCalls {
  readonly describe: Call<Nothing, EngineDescription>;
  readonly machine: Call<Nothing, MachineRecord>;
  readonly status: Call<Nothing, MachineStatus>;
  /**
   * Only while it is off, but for name and automatic checkpoints. What is absent stays as it is. Of `disks` order and
   * modes; others come and go by the calls below.
   */
  readonly configure: Call<{ readonly change: Partial<MachineConfiguration> }, MachineRecord>;
  /** While it is off; answered when the disk is there, which takes as long as copying it. It is the last one. */
  readonly 'add-disk': Call<{ readonly disk: AddedDisk }, MachineRecord>;
  /** While it is off. Checkpoints keep what they have of it. Those behind it move up. */
  readonly 'remove-disk': Call<{ readonly disk: number; readonly files: RemovedFiles }, MachineRecord>;
  /** What removing a disk would do, before it is done. */
  readonly 'disk-removal': Call<{ readonly disk: number }, DiskRemoval>;
  /** Disks that the machine does not have now: kept when they were removed, or in checkpoints. */
  readonly 'detached-disks': Call<Nothing, readonly DetachedDisk[]>;
  /** Deletes a disk that was kept; checkpoints keep what they have of it. */
  readonly 'delete-detached': Call<{ readonly file: string }, Nothing>;

  /**
   * Power on. Where the last run ended by `suspend` it goes on from there, unless `fresh`. `guest` is needed by machines
   * whose boot is `guest`, also later, when they reset.
   */
  readonly start: Call<
    {
      readonly fresh?: boolean;
      readonly paused?: boolean;
      readonly guest?: GuestFiles;
      readonly consoleSize?: ConsoleSize;
    },
    MachineStatus
  >;
  /** Asks the guest to power off (types `poweroff` at the console of the default guest); with `force` does not ask. */
  readonly stop: Call<{ readonly force?: boolean; readonly timeoutSeconds?: number }, MachineStatus>;
  /** Takes a checkpoint and powers off; the next `start` goes on from it. */
  readonly suspend: Call<Nothing, MachineStatus>;
  readonly pause: Call<Nothing, MachineStatus>;
  readonly resume: Call<Nothing, MachineStatus>;
  /** The reset button. */
  readonly reset: Call<Nothing, MachineStatus>;

  readonly checkpoint: Call<TakeArguments, TakenCheckpoint>;
  /** Gives up the checkpoint being taken; the machine runs on. */
  readonly 'cancel-checkpoint': Call<Nothing, Nothing>;
  readonly tree: Call<Nothing, CheckpointTreeView>;
  readonly details: Call<Id, CheckpointDetails>;
  readonly compare: Call<{ readonly from: Identity; readonly to: Identity }, Comparison>;
  readonly verify: Call<{ readonly deep?: boolean }, TreeVerification>;
  readonly 'rename-checkpoint': Call<Id & { readonly name: string }, Nothing>;
  readonly 'annotate-checkpoint': Call<Id & { readonly note: string }, Nothing>;
  readonly 'protect-checkpoint': Call<Id & { readonly protected: boolean }, Nothing>;
  /** Makes an automatic one manual. */
  readonly 'keep-checkpoint': Call<Id, Nothing>;
  /** One of them, or with all that come after it; what others need is merged. */
  readonly 'delete-checkpoint': Call<Id & { readonly subtree?: boolean }, { readonly deleted: readonly Identity[] }>;
  /** From RAM or a raw medium to a file (C15). */
  readonly 'persist-checkpoint': Call<Id & { readonly store: string }, Nothing>;
  readonly restore: Call<RestoreArguments & { readonly guest?: GuestFiles }, Restored>;
  /** A new machine in a new folder, with its own identity. The folder must not exist; it is made in one step. */
  readonly clone: Call<Id & { readonly folder: string; readonly name: string }, { readonly machine: Identity }>;
  /** A self-contained file; it has its name when it is complete. */
  readonly export: Call<Id & { readonly file: string }, { readonly bytes: number }>;

  readonly memory: Call<{ readonly range?: PageRangeArgument; readonly groups?: number }, MemoryView>;
  readonly virtualize: Call<{ readonly range?: PageRangeArgument }, Nothing>;
  readonly devirtualize: Call<DevirtualizeArguments, Nothing>;
  readonly share: Call<Nothing, Nothing>;
  readonly scatter: Call<{ readonly range?: PageRangeArgument; readonly seed?: number }, Nothing>;

  readonly disks: Call<Nothing, readonly DiskView[]>;
  /** Allocated ranges of one layer, at most `most` runs; the largest gaps are joined when there would be more. */
  readonly 'disk-map': Call<{ readonly layer: string; readonly most?: number }, readonly AllocatedRange[]>;
  readonly 'disk-job': Call<DiskJobArguments, { readonly job: number }>;
  /** What a job would do and free, before it is done. */
  readonly 'disk-job-preview': Call<DiskJobArguments, JobPreview>;
  readonly jobs: Call<Nothing, readonly JobView[]>;
  readonly 'cancel-job': Call<{ readonly job: number }, Nothing>;
  /** Bytes per second; absent: as fast as it can. */
  readonly 'limit-job': Call<{ readonly job: number; readonly bytesPerSecond?: number }, Nothing>;

  /** From now on this client gets `console-output`, with what was printed last before it, up to `scrollback` bytes. */
  readonly 'console-attach': Call<{ readonly scrollback?: number }, Nothing>;
  readonly 'console-detach': Call<Nothing, Nothing>;
  /** Answered when the machine's queue has taken the bytes. */
  readonly 'console-input': Call<{ readonly bytes: Uint8Array }, Nothing>;
  readonly 'console-resize': Call<ConsoleSize, Nothing>;
  /** So many bytes of console output have been shown; keeps the window of OUTPUT_WINDOW open. */
  readonly 'console-taken': Call<{ readonly count: number }, Nothing>;
  /**
   * Types a command at the default guest's shell; `output` without the echo, its last megabytes. With `stream` this client
   * gets `exec-output` instead, of one command at a time. `input` is what it reads, at most MOST_EXEC_INPUT bytes.
   */
  readonly exec: Call<
    {
      readonly command: string;
      /** Until the shell waits for a command. */
      readonly promptSeconds?: number;
      /** For the command itself. */
      readonly timeoutSeconds?: number;
      readonly input?: Uint8Array;
      readonly stream?: boolean;
    },
    {
      readonly status: number;
      readonly output: string;
      /** Bytes that were lost because this client did not take them for too long. */
      readonly missed?: number;
    }
  >;
  /** What `exec-output` counted has been taken; keeps the window of OUTPUT_WINDOW open. */
  readonly 'exec-taken': Call<{ readonly count: number }, Nothing>;
}

/** Calls of a process that was started without a machine's folder; it ends with its parent. */
export interface FolderCalls {
  /** A new machine in a new folder, made in one step: its disks are created, or copied with all they stand on. */
  readonly create: Call<{ readonly folder: string; readonly machine: NewMachine }, MachineRecord>;
  /** What a checkpoint file holds, before it is imported. */
  readonly preview: Call<{ readonly file: string }, ImportPreview>;
  /** A new machine in a new folder out of a self-contained checkpoint file; the machine stands at its state. */
  readonly import: Call<
    { readonly file: string; readonly folder: string; readonly name?: string },
    { readonly machine: Identity; readonly name: string }
  >;
}

export type CallName = keyof ControlCalls;
export type ArgumentsOf<Name extends CallName> = ControlCalls[Name]['arguments'];
export type ResultOf<Name extends CallName> = ControlCalls[Name]['result'];

export type ControlEvent =
  | { readonly event: 'status'; readonly status: MachineStatus }
  /** Name, memory, disks or automatic checkpoints changed. */
  | { readonly event: 'machine'; readonly machine: MachineRecord }
  /** The tree changed: to be asked for anew. */
  | { readonly event: 'tree' }
  | { readonly event: 'checkpoint'; readonly taken: TakenCheckpoint }
  | { readonly event: 'checkpoint-failed'; readonly error: PlainError }
  /** Layers changed: to be asked for anew. */
  | { readonly event: 'disks' }
  | { readonly event: 'job'; readonly job: JobView }
  | { readonly event: 'warning'; readonly error: PlainError }
  | { readonly event: 'restarted' }
  /** To the client that runs a command; `count` is for `exec-taken`. */
  | { readonly event: 'exec-output'; readonly text: string; readonly count: number }
  /** To clients that attached. */
  | { readonly event: 'console-output'; readonly bytes: Uint8Array };

/** The wire: a call, its answer, an event. On a socket each is one line of JSON, bytes as `{"$bytes": base64}`. */
export type ControlMessage =
  | { readonly id: number; readonly call: string; readonly arguments: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: PlainError }
  | ControlEvent;

/** `delete` takes away a layer that nobody needs; `LayerView.may` says which those are. */
/** As much as one line of the control socket holds. */
export const MOST_EXEC_INPUT = 4 * 1024 * 1024;

export type DiskJobKind = 'overlay' | 'commit' | 'stream' | 'compact' | 'check' | 'resize' | 'delete';

export interface DiskJobArguments {
  /** Index of the disk. */
  readonly disk: number;
  readonly kind: DiskJobKind;
  /** Path of the layer as in DiskView; the active one unless said. */
  readonly layer?: string;
  /** `resize`: bytes. */
  readonly size?: number;
  /** `check`: repair what can be. */
  readonly repair?: boolean;
  /** `compact`: compress clusters. */
  readonly compress?: boolean;
  readonly bytesPerSecond?: number;
}

export interface JobPreview {
  /** For a person: what will be done. */
  readonly text: string;
  readonly bytesToCopy: number;
  /** Room that it gives back at the end. */
  readonly bytesFreed: number;
  readonly allowed: boolean;
  /** Why not. */
  readonly reason?: string;
}

export interface DiskRemoval {
  /** As the guest names it. */
  readonly device: string;
  /** Layers that nobody else needs, and the bytes that deleting them would free. */
  readonly layers: number;
  readonly bytes: number;
  /** Checkpoints that have the disk, and keep it. */
  readonly checkpoints: number;
}

export interface DetachedDisk {
  /** What it was kept as, with which it can be added; absent when only checkpoints have it. */
  readonly kept?: DiskConfiguration;
  readonly size: number;
  readonly layers: readonly LayerView[];
}

/** Work that takes a while: on disks, exports, imports, verification, merging of deleted checkpoints. */
export interface JobView {
  readonly job: number;
  readonly kind: DiskJobKind | 'export' | 'import' | 'clone' | 'verify' | 'merge' | 'persist' | 'restore';
  /** For a person: a disk's, layer's or checkpoint's name. */
  readonly subject: string;
  readonly disk?: number;
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  /** Bytes. */
  readonly done: number;
  readonly total: number;
  readonly bytesPerSecond?: number;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly error?: PlainError;
  /** For a person, when it has something to say: what was found or freed. */
  readonly outcome?: string;
}

export interface AllocatedRange {
  readonly start: number;
  readonly length: number;
  readonly kind: 'data' | 'zero' | 'compressed';
}

export interface DiskView {
  /** Index, and as the guest names it. */
  readonly disk: number;
  readonly device: string;
  readonly mode: 'persistent' | 'temporary' | 'readonly';
  readonly size: number;
  /** Path of the active layer. */
  readonly active: string;
  /** All layers of this disk that the machine or any checkpoint needs, or nobody any more. */
  readonly layers: readonly LayerView[];
  /** What the file system under it can do for it; absent where nobody can tell. */
  readonly host?: HostAbilities;
}

export interface Verdict {
  readonly allowed: boolean;
  /** For a person: why not. */
  readonly reason?: string;
}

export interface LayerView {
  /** Relative to the machine's folder. */
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  readonly virtualSize: number;
  readonly allocatedSize: number;
  readonly backing?: string;
  readonly overlays: readonly string[];
  readonly neededBy: readonly {
    readonly by: 'machine' | 'checkpoint' | 'job';
    /** A checkpoint's identity, a job's number, or the machine's identity. */
    readonly id: string;
    /** A checkpoint's name. */
    readonly name?: string;
    readonly direct: boolean;
  }[];
  readonly may: Readonly<Record<'delete' | 'commit' | 'stream' | 'compact' | 'resize', Verdict>>;
}
