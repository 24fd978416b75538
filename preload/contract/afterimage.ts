// The one object that a page gets, `window.afterimage`. Plain functions and data only, so that it crosses the isolation
// of Electron; pages use it through client.ts, which gives it types and errors back.
import type { PlainError } from '../../engine/base/errors.ts';
import type { ConsolePort } from './console.ts';
import type { AppEvent } from './events.ts';
import type { ChosenFile, FilePurpose } from './files.ts';

export type Answer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: PlainError };

export interface PlatformFacts {
  readonly host: 'electron' | 'browser';
  readonly system: 'linux' | 'macos' | 'windows';
  /** The file manager can show a folder. */
  readonly canReveal: boolean;
  /** `native`: `start-drag` in a `dragstart` handler that was prevented. `download`: `downloadUrl` in the drag's data. */
  readonly dragOut: 'native' | 'download';
  /** The system shows notifications; otherwise the page shows each notice. */
  readonly notifications: boolean;
  readonly globalShortcut: boolean;
  readonly tray: boolean;
}

export interface Bridge {
  readonly platform: PlatformFacts;
  /** Never rejects. */
  call(name: string, arguments_: unknown): Promise<Answer>;
  /** Returns what ends it. */
  onEvent(listener: (event: AppEvent) => void): () => void;
  /** A new port to a machine's console. */
  console(machine: string): Promise<ConsolePort>;
  /** A dialog in Electron; a file input and an upload in the browser. Its result is undefined when nothing was chosen. */
  chooseFile(purpose: FilePurpose, progress?: (done: number, total: number) => void): Promise<Answer>;
  /** What was dropped on the page. */
  droppedFile(file: File, progress?: (done: number, total: number) => void): Promise<Answer>;
  /** Where an exported checkpoint can be downloaded, made while it is; empty where `dragOut` is `native`. */
  downloadUrl(machine: string, id: string): string;
}

/** What `chooseFile` and `droppedFile` answer with. */
export type FileAnswer = ChosenFile | undefined;

declare global {
  interface Window {
    readonly afterimage: Bridge;
  }
}
