// What the app's handlers use of the machine library (main/machines), as they see it.
import type { ImportPreview, ScreenText } from '../../engine/api/checkpoints.ts';
import type { ArgumentsOf, CallName, ControlEvent, ResultOf } from '../../engine/api/control.ts';
import type {
  AutomaticCheckpoints,
  BootConfiguration,
  Identity,
  LayerFormat,
  NewDisk,
} from '../../engine/api/machine.ts';
import type { LibraryView } from '../../preload/contract/library.ts';

export interface NewMachineRequest {
  readonly name: string;
  readonly memory: number;
  /** With paths of the host. */
  readonly boot: BootConfiguration;
  readonly disks: readonly NewDisk[];
  readonly automatic?: AutomaticCheckpoints;
}

export interface MachineFolderFacts {
  readonly folder: string;
  readonly bytes: number;
  readonly checkpoints: number;
  readonly disks: number;
}

export interface DiskFacts {
  readonly format: LayerFormat;
  readonly virtualSize: number;
  readonly allocatedSize: number;
  readonly backing?: string;
}

export interface Machines {
  view(): LibraryView;
  /** Anything of `view` changed. */
  onChange(listener: () => void): () => void;
  onEvent(listener: (machine: Identity, event: ControlEvent) => void): () => void;
  /** The machine's process is there, or has gone: consoles attach anew. `error` when it ended unexpectedly. */
  onConnection(listener: (machine: Identity, state: 'up' | 'down', error?: unknown) => void): () => void;
  call<Name extends CallName>(machine: Identity, name: Name, arguments_: ArgumentsOf<Name>): Promise<ResultOf<Name>>;
  create(request: NewMachineRequest): Promise<Identity>;
  rename(machine: Identity, name: string): Promise<void>;
  duplicate(machine: Identity, name: string): Promise<Identity>;
  clone(machine: Identity, checkpoint: Identity, name: string): Promise<Identity>;
  /** Of a machine that may be broken. */
  facts(machine: Identity): Promise<MachineFolderFacts>;
  /** `discard` puts the folder away; it is not to be used any more. Stops the machine first. */
  remove(machine: Identity, discard: (folder: string) => Promise<void>): Promise<void>;
  preview(file: string): Promise<ImportPreview>;
  /** Of a disk image that is not in any machine. */
  diskFacts(file: string, format: LayerFormat): Promise<DiskFacts>;
  import(file: string, name: string | undefined): Promise<{ readonly machine: Identity; readonly name: string }>;
  /** What its console shows, for thumbnails and checkpoints that no page takes. */
  setScreen(machine: Identity, screen: ScreenText): void;
  screen(machine: Identity): ScreenText | undefined;
  close(): Promise<void>;
}
