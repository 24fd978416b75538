// A machine as the user owns it: what its folder records, and what it is doing. Plain data.
import type { PlainError } from '../base/errors.ts';
import type { BootSettings, ConsoleSize } from './settings.ts';

/** 128 bits as 32 lower-case hexadecimal digits: a machine, a checkpoint. */
export type Identity = string;

export type LayerFormat = 'raw' | 'qcow2';

/**
 * `persistent`: writes stay. `temporary`: the guest writes, and what it wrote is dropped at power-off, not at a
 * checkpoint (B6). `readonly`: the guest cannot write.
 */
export type DiskMode = 'persistent' | 'temporary' | 'readonly';

export interface DiskConfiguration {
  /** The active layer, relative to the machine's folder, with `/` between parts. */
  readonly file: string;
  /** Recorded when the disk was made or imported, never guessed. */
  readonly format: LayerFormat;
  readonly mode: DiskMode;
  /** Which disk it is, however many come and go beside it; `disk` and its index in a machine whose disks never changed. */
  readonly id?: string;
}

/** What runs at power-on. `guest` is the default Debian guest; paths of `files` are absolute or relative to the folder. */
export type BootConfiguration =
  | { readonly kind: 'guest'; readonly append?: string }
  | ({ readonly kind: 'files' } & BootSettings);

/** How many automatic checkpoints stay; manual ones always do. */
export interface Retention {
  /** The newest so many. */
  readonly last: number;
  /** The newest of each of so many hours and days. */
  readonly hourly: number;
  readonly daily: number;
}

/** Checkpoints that nobody asked for. */
export interface AutomaticCheckpoints {
  /** Every so many minutes while the machine runs; 0 for never. */
  readonly everyMinutes: number;
  readonly beforeStop: boolean;
  readonly beforeRestore: boolean;
  readonly retention: Retention;
}

/** What `machine.json` says and a user may change. */
export interface MachineConfiguration {
  /** Shown as text; up to 100 characters, not empty. */
  readonly name: string;
  /** Bytes of RAM, within MEMORY_LIMITS. */
  readonly memory: number;
  readonly boot: BootConfiguration;
  /** In the order in which the guest finds them. */
  readonly disks: readonly DiskConfiguration[];
  readonly automatic: AutomaticCheckpoints;
}

export const USUAL_AUTOMATIC: AutomaticCheckpoints = {
  everyMinutes: 0,
  beforeStop: false,
  beforeRestore: true,
  retention: { last: 8, hourly: 24, daily: 14 },
};

/** The whole of `machine.json`. */
export interface MachineRecord extends MachineConfiguration {
  readonly id: Identity;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** A disk that `create` makes, or takes over, copying it into the machine's folder. */
export type NewDisk =
  | { readonly kind: 'new'; readonly size: number; readonly format: LayerFormat }
  | { readonly kind: 'existing'; readonly path: string; readonly format: LayerFormat; readonly mode: DiskMode };

/** What is added to a machine: as `create` makes it, or one that was taken off it and kept. */
export type AddedDisk = NewDisk | { readonly kind: 'detached'; readonly file: string };

/** `keep`: it stays in the machine's folder and can be added again. `delete`: what nobody else needs of it goes. */
export type RemovedFiles = 'keep' | 'delete';

/** What a machine is made from. */
export interface NewMachine extends Omit<MachineConfiguration, 'disks'> {
  readonly disks: readonly NewDisk[];
}

/**
 * `off`: not powered. `starting`, `stopping`: on the way. `paused`: the hart stands still, by wish or for want of room
 * on the host. `failed`: the last run ended by an error, which the status has; as `off` otherwise.
 */
export type MachineState = 'off' | 'starting' | 'running' | 'paused' | 'stopping' | 'failed';

export interface MachineStatus {
  readonly state: MachineState;
  /** The engine process that owns the machine. */
  readonly pid: number;
  /** Why it is paused: `wish`, or `disk-full` until the host has room, or `page` until a page can be read again. */
  readonly pausedBy?: 'wish' | 'disk-full' | 'page';
  readonly error?: PlainError;
  /** Milliseconds since 1970, of the last start or restore. */
  readonly startedAt?: number;
  /** The checkpoint that the present state comes from. */
  readonly position?: Identity;
  /** A checkpoint being taken now. */
  readonly taking?: TakeProgress;
  /** Pages of a lazy restore that are still in the checkpoint's file only. */
  readonly absentPages?: number;
  /** How the last run ended. */
  readonly ended?: { readonly reason: string; readonly code: number };
  readonly consoleSize?: ConsoleSize;
}

export interface TakeProgress {
  readonly phase: 'preparing' | 'saving' | 'completing';
  readonly name: string;
  readonly origin: 'manual' | 'automatic';
  readonly donePages: number;
  readonly totalPages: number;
  /** Known from the moment on. */
  readonly pauseMicroseconds?: number;
}
