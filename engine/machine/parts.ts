import type { WallClock } from '../devices/clocks.ts';
import type { ConsolePort } from '../devices/console-port.ts';
import type { BlockBackend } from '../devices/virtio/block/backend.ts';
import type { EntropySource } from '../devices/virtio/rng/device.ts';
import type { Software } from '../firmware/boot/plan.ts';
import type { Decompressors } from '../firmware/loaders/decompress.ts';

/** Everything a machine is built from; all effects come in here. Used on the hart thread. */
export interface MachineParts {
  /** Compiled `engine/core/build/core.wasm`. */
  readonly coreModule: WebAssembly.Module;
  /** Shared; see `machineMemorySize`. */
  readonly memory: WebAssembly.Memory;
  /** Bytes of RAM, a multiple of 4096. */
  readonly ram: number;
  /** Asked for at power-on and at each restart of the guest; a restored machine needs none until then. */
  readonly software: Software | (() => Software);
  readonly commandLine?: string;
  readonly decompressors?: Decompressors;
  /** The serial port's other end. */
  readonly console: ConsolePort;
  /** The virtio console's other end, if the machine has one. */
  readonly virtioConsole?: ConsolePort;
  /** At most six, in the order in which the guest is to find them. */
  readonly disks: readonly BlockBackend[];
  readonly entropy: EntropySource;
  readonly wallClock: WallClock;
  /**
   * 16 random bytes of this life of the machine (C18): a restored machine tells its guest that they changed. Without them
   * a new machine draws its own, and a restored one is what it was.
   */
  readonly generation?: Uint8Array;
  /** Milliseconds, never going back, with fractions. */
  readonly monotonic: () => number;
  /** Of a lazy restore: returns when an absent page has been brought (engine/memory/absent-pages.ts). */
  readonly pageIn?: (page: number) => void;
  /**
   * With a saved state: the epoch that its pages are of, with their marks in place (see `AbsentPages.begin`). Without it
   * every page counts as written in the epoch in which the machine goes on.
   */
  readonly restoredEpoch?: number;
  /** The run ends when so many instructions have retired. */
  readonly maxInstructions?: number;
  /** Gets one line per retired instruction (commit log); makes the machine slow. */
  readonly trace?: (line: string) => void;
}

export type StopReason = 'poweroff' | 'fail' | 'reset' | 'exit' | 'limit';

/** What the run loop is to do next. */
export type RunState =
  | { readonly kind: 'running' }
  /** Nothing to do until so many milliseconds have passed (may be Infinity) or something arrives from outside. */
  | { readonly kind: 'idle'; readonly milliseconds: number }
  /** `reset` means that the guest asked for a restart: call `restart`. */
  | { readonly kind: 'stopped'; readonly reason: StopReason; readonly code: number };
